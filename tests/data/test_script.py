"""A user's own file with a function source()."""

from __future__ import annotations

import contextlib
import io
import textwrap
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zerosum.data.decode import decode
from zerosum.data.readers import script as module
from zerosum.data.readers.script import script
from zerosum.data.source import Source, Unreadable
from zerosum.data.survey import survey
from zerosum.errors import UserError

START = """
import io
import numpy as np
from PIL import Image
def png(value): stream = io.BytesIO(); Image.fromarray(np.full((4, 5, 3), value, np.uint8)).save(stream, "PNG"); \
return stream.getvalue()
"""


def write(folder, body):
    path = folder / "my data.v2.py"
    path.write_text(START + textwrap.dedent(body))
    return path


def returning(folder, expression):
    return script(write(folder, f"def source(): return {expression}"))


def refused(folder, expression, *words):
    with pytest.raises(UserError) as caught:
        returning(folder, expression)
    assert "my data.v2.py" in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def pictures_of(source):
    return np.stack([decode(source.read(index)) for index in range(len(source))])


def test_arrays(tmp_path):
    source = returning(tmp_path, "np.arange(60, dtype=np.uint8).reshape(1, 4, 5, 3)")
    assert source.name == "my data.v2"
    assert pictures_of(source).reshape(-1).tolist() == list(range(60))
    assert source.labels is None
    source = returning(tmp_path, "(np.linspace(-1, 1, 300).reshape(5, 3, 4, 5), [0, 2, 1, 0, 0])")
    assert pictures_of(source).shape == (5, 4, 5, 3)
    assert source.read(4)[3, 4, 2] == 255
    assert source.labels.tolist() == [0, 2, 1, 0, 0]
    assert source.classes == ("0", "1", "2")
    assert any("[-1, 1]" in note for note in source.notes)
    for labels in ("np.eye(3)[[0, 2, 1]]", "np.array([[0], [2], [1]])", "np.array([0, 2, 1], np.uint8)", "(0, 2, 1)"):
        assert returning(tmp_path, f"np.zeros((3, 4, 5)), {labels}").labels.tolist() == [0, 2, 1]
    assert returning(tmp_path, "np.zeros((3, 4, 5)), None").labels is None


def test_numbers_of_classes_with_gaps(tmp_path):
    for made in ("(np.zeros((3, 4, 5)), [7, 0, 7])", "[(np.zeros((4, 5), np.uint8), value) for value in (7, 0, 7)]"):
        source = returning(tmp_path, made)
        assert source.labels.tolist() == [1, 0, 1]
        assert source.classes == ("0", "7")
        assert any("gaps (0, 7)" in note for note in source.notes)


def test_tensors(tmp_path):
    source = returning(tmp_path, "(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.tensor([1, 0, 1]))\nimport torch")
    assert source.read(0).shape == (8, 8, 3)
    assert source.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "item",
    [
        "png({})",
        "bytearray(png({}))",
        "Image.fromarray(np.full((4, 5, 3), {}, np.uint8))",
        "Image.fromarray(np.full((4, 5), {}, np.uint8))",
        "np.full((4, 5), {}, np.uint8)",
        "np.full((4, 5, 3), {}, np.uint8)",
        "Image.open(io.BytesIO(png({})))",
    ],
)
@pytest.mark.parametrize("labelled", [True, False])
def test_items(tmp_path, item, labelled):
    pair = f"({item}, 2 - value)" if labelled else item
    source = returning(tmp_path, f"[{pair.format('value')} for value in range(3)]")
    assert len(source) == 3
    assert (pictures_of(source) == np.arange(3)[:, None, None, None]).all()
    assert pictures_of(source).shape[1:3] == (4, 5)
    assert (source.labels.tolist() if labelled else source.labels) == ([2, 1, 0] if labelled else None)
    assert source.classes == (("0", "1", "2") if labelled else ())
    assert (survey(source).sizes == (5, 4)).all()


@pytest.mark.parametrize(
    ("mode", "channels"),
    [
        ("1", 1),
        ("L", 1),
        ("LA", 4),
        ("P", 3),
        ("RGB", 3),
        ("RGBA", 4),
        ("CMYK", 3),
        ("YCbCr", 3),
        ("HSV", 3),
        ("I;16", 1),
    ],
)
def test_images_of_every_mode(tmp_path, mode, channels):
    source = returning(tmp_path, f"[Image.new({mode!r}, (5, 4))]")
    assert source.read(0).shape == (4, 5, channels)
    assert source.read(0).dtype == np.uint8


def test_16_bits_lose_the_low_byte(tmp_path):
    source = returning(tmp_path, "[Image.fromarray(np.full((4, 5), 0x1234, np.uint16))]")
    assert (source.read(0) == 0x12).all()


def test_images_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "x.jpg", exif=exif)
    assert returning(tmp_path, f"[Image.open({str(tmp_path / 'x.jpg')!r})]").read(0).shape == (5, 4, 3)


def test_a_source_is_taken_as_it_is(tmp_path):
    source = script(
        write(
            tmp_path,
            """
            from zerosum.data.source import Source
            def source(): return Source(name="own", count=1, read=lambda index: png(index))
            """,
        )
    )
    assert isinstance(source, Source)
    assert source.name == "own"


SEQUENCE = """
seen = []
class Pictures:
    def __len__(self): return 5
    def __getitem__(self, index):
        if not 0 <= index < 5: raise AssertionError(index)
        seen.append(index)
        return ITEM
def source(): return Pictures()
"""


def test_pictures_are_fetched_when_they_are_needed(tmp_path):
    source = script(write(tmp_path, SEQUENCE.replace("ITEM", "png(index)")))
    seen = module.sys.modules[module.MODULE].seen
    assert len(source) == 5
    assert seen == [0]
    source.read(3)
    assert seen == [0, 3]
    source = script(write(tmp_path, SEQUENCE.replace("ITEM", "(png(index), np.int32(index // 2))")))
    seen = module.sys.modules[module.MODULE].seen
    assert source.labels.tolist() == [0, 0, 1, 1, 2]
    assert seen == [0, 0, 1, 2, 3, 4]


def test_items_are_fetched_by_one_thread_at_a_time(tmp_path):
    body = SEQUENCE.replace(
        "seen.append(index)", "global inside; assert not inside; inside = 1; time.sleep(0.001); inside = 0"
    )
    source = script(write(tmp_path, "import time\ninside = 0\n" + body.replace("ITEM", "png(index)")))
    wrong = []

    def work():
        try:
            pictures_of(source)
        except AssertionError as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_dataclasses_work_in_the_file(tmp_path):
    body = """
    from dataclasses import dataclass
    @dataclass
    class Item:
        value: "int"
    def source(): return [png(Item(3).value)]
    """
    assert (pictures_of(script(write(tmp_path, body))) == 3).all()


# ---- what is refused ----


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "no function source()"),
        ("def sources(): return []", "no function source()"),
        ("source = [1]", "no function"),
        ("source = None", "no function"),
    ],
)
def test_no_function(tmp_path, body, words):
    with pytest.raises(UserError, match=r"my data\.v2\.py"):
        script(write(tmp_path, body))
    with pytest.raises(UserError, match=words.replace("(", r"\(").replace(")", r"\)")):
        script(write(tmp_path, body))


def test_no_file(tmp_path):
    for path in (tmp_path / "missing.py", tmp_path, tmp_path / "x.txt"):
        with pytest.raises(UserError, match="no Python file"):
            script(path)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("None", "is there a return?"),
        ("3", "type int"),
        ("'folder'", "type str"),
        ("b'bytes'", "type bytes"),
        ("{0: png(0)}", "type dict"),
        ("(png(0) for _ in range(3))", "type generator"),
        ("object", "type type"),
        ("[]", "no pictures"),
        ("['a.png']", "type str, no picture"),
        ("[None]", "NoneType"),
        ("[('a.png', 0)]", "type str, no picture"),
        ("[np.zeros((4, 5))]", "float64, expected uint8"),
        ("[np.zeros((4, 5, 2), np.uint8)]", "(4, 5, 2)"),
        ("[np.zeros((0, 5), np.uint8)]", "(0, 5)"),
        ("[Image.new('F', (4, 4))]", "mode F"),
        ("[(png(0), 'cat')]", "Item 0"),
        ("[(png(0), 0.5)]", "Item 0"),
        ("[(png(0), 0), png(1)]", "Item 1"),
        ("[(png(0), 0), (png(1), 0, 2)]", "Item 1"),
        ("[(png(0), -1)]", "-1"),
        ("[(png(0), 10**6)]", "1000000"),
        ("[(png(0), 10**30)]", "too large"),
        ("np.zeros((4, 5))", "(4, 5)"),
        ("np.full((2, 4, 5), 300)", "300"),
        ("np.zeros((2, 4, 5), object)", "unpickled"),
        ("(np.zeros((2, 4, 5)), [0])", "one for each of the 2"),
        ("(np.zeros((2, 4, 5)), [0, -1])", "-1"),
        ("(np.zeros((2, 4, 5)), np.array(['a', 'b']))", "whole numbers"),
    ],
)
def test_wrong_results(tmp_path, expression, words):
    refused(tmp_path, expression, words)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("np.zeros((4, 5), np.float32)", "float32"),
        ("'a.png'", "type str"),
        ("np.zeros(4, np.uint8)", r"\(4,\)"),
        ("Image.open(io.BytesIO(png(1)[:48]))", "truncated|broken"),
    ],
)
def test_one_wrong_item(tmp_path, item, words):
    source = returning(tmp_path, f"[png(0), {item}]")
    with pytest.raises(Unreadable, match=words):
        source.read(1)
    assert isinstance(source.read(0), bytes)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("1 / 0", ZeroDivisionError),
        ("def source(): return 1 / 0", ZeroDivisionError),
        ("def source(: pass", SyntaxError),
        ("import no_such_module_anywhere", ModuleNotFoundError),
        (SEQUENCE.replace("ITEM", "1 / 0"), ZeroDivisionError),
        (SEQUENCE.replace("ITEM", "(png(0), 1 // (4 - index))"), ZeroDivisionError),
    ],
)
def test_errors_of_the_file_are_its_own(tmp_path, body, kind):
    with pytest.raises(kind):
        script(write(tmp_path, body))


def test_errors_of_an_item_are_the_files_own(tmp_path):
    source = script(write(tmp_path, SEQUENCE.replace("ITEM", "png(5 // (3 - index))")))
    with pytest.raises(ZeroDivisionError):
        source.read(3)


ITEMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.binary(max_size=5),
    st.text(max_size=3),
    st.floats(),
    st.sampled_from(
        [np.zeros((2, 2), np.uint8), np.zeros((2, 3, 3)), np.array([0, 1]), Image.new("RGB", (2, 2)), object()]
    ),
)


@settings(deadline=None, max_examples=300)
@given(st.recursive(ITEMS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.tuples(inner, inner)), max_leaves=6))
def test_whatever_is_returned_ends_in_words(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "any.py"
    path.write_text("from zerosum.data.readers import script as here\ndef source(): return here.given\n")
    module.given = value
    with contextlib.suppress(UserError):
        source = script(path)
        for index in range(len(source)):
            with contextlib.suppress(Unreadable):
                assert isinstance(source.read(index), bytes | np.ndarray)
    del module.given


def test_bytes_are_decoded_later(tmp_path):
    source = returning(tmp_path, "[b'no picture', png(1)]")
    assert source.read(0) == b"no picture"
    assert list(survey(source).broken) == [0]
    assert Image.open(io.BytesIO(source.read(1))).size == (5, 4)
