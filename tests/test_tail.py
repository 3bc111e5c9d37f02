"""Following a log: whole lines once each, whatever was written meanwhile."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerosum import files
from zerosum import tail as tails
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


OLD = [{"a": place} for place in range(9)]
OTHERS = {
    "same": OLD,
    "other": [{"b": place} for place in range(9)],
    "longer": [{"a": place + 1} for place in range(40)],
    "longer, of the same beginning": [*OLD[:4], *({"c": place} for place in range(20))],
    "more of the same": [*OLD, {"c": 3}],
    "shorter": [{"c": 3}],
    "empty": [],
}


def rewrite(path, lines):
    files.write(path, b"".join(json.dumps(line).encode() + b"\n" for line in lines))


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_log_that_was_rewritten_any_number_of_times_loses_no_line(tmp_path, name, times):
    """The second new file gets the place on the disk that the first one had, so it looks like the same."""
    path = tmp_path / "events.jsonl"
    rewrite(path, OLD)
    tail = Tail(path)
    assert tail.new().records == OLD
    for _ in range(times - 1):
        rewrite(path, [{"between": 1}])
    rewrite(path, OTHERS[name])
    found = tail.new()
    known = [] if found.again else OLD
    assert known + found.records == OTHERS[name]
    assert found.again or name in ("same", "more of the same")
    assert tail.new() == New([], again=False)


def test_a_log_that_is_written_anew_in_its_place_is_read_again(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n')
    tail = Tail(path)
    tail.new()
    path.write_bytes(b'{"a": 2}\n{"a": 3}\n')
    assert tail.new() == New([{"a": 2}, {"a": 3}], again=True)


@pytest.mark.parametrize("most", [7, 64, 1 << 20])
def test_a_line_that_is_too_long_is_read_once_and_left_out(tmp_path, monkeypatch, most):
    monkeypatch.setattr(tails, "LONGEST", 1000)
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": "' + b"x" * 5000)
    tail, found = Tail(path), []
    while new := tail.new(most).records:
        found += new
    assert found == [{"a": 1}]
    assert tail.offset == path.stat().st_size  # it is not read again
    with open(path, "ab") as file:
        file.write(b'{"still": "of that line"}\n{"a": 2}\n')
    assert tail.new() == New([{"a": 2}], again=False)
    rewrite(path, [{"a": 3}])
    assert tail.new() == New([{"a": 3}], again=True)


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
