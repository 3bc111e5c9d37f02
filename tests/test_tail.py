"""Following a log: whole lines once each, whatever was written meanwhile."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerosum import files
from zerosum.tail import New, Tail


def test_lines_come_once_and_a_torn_one_when_it_is_whole(tmp_path):
    path = tmp_path / "stats.jsonl"
    tail = Tail(path)
    assert tail.new() == New([], again=False)
    path.write_bytes(b'{"images": 1}\n{"images"')
    assert tail.new() == New([{"images": 1}], again=False)
    assert tail.new() == New([], again=False)
    with open(path, "ab") as file:
        file.write(b': 2}\nnot json\n[3]\n{"images": 4}\n')
    assert tail.new() == New([{"images": 2}, {"images": 4}], again=False)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_rewound_log_is_read_again(tmp_path, kept):
    """``keep_lines`` writes a new file; it may even be longer than the old one by the time it is looked at."""
    path = tmp_path / "stats.jsonl"
    for images in range(3):
        files.append_line(path, {"images": images})
    tail = Tail(path)
    tail.new()
    files.keep_lines(path, lambda line: line["images"] < kept)
    files.append_line(path, {"images": 7, "a longer line": "x" * 200})
    found = tail.new()
    assert found.again
    assert [record["images"] for record in found.records] == [*range(kept), 7]
    path.unlink()
    assert tail.new() == New([], again=True)
    assert tail.new() == New([], again=False)


@given(
    lines=st.lists(st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), max_size=8), most=st.integers(1, 40)
)
def test_any_size_of_bites_gives_all_lines_in_order(tmp_path_factory, lines, most):
    path = tmp_path_factory.mktemp("tail") / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    tail, found = Tail(path), []
    while new := tail.new(most).records:
        found += new
    assert found == lines
