"""Pickles read as data: what they hold comes out, what they would do is never done."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum.data.readers import pickled
from zerosum.data.readers.pickled import Node, as_array, describe, read_pickle
from zerosum.errors import UserError

PROTOCOLS = range(6)
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 12), dtype=np.uint8)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        *(0, 1, -1, 255, 256, 65536, -(2**31), 2**70, -(2**2100)),
        *(0.5, -1e300, float("inf")),
        *("", "text", "größe ☃ \ud800 \\u1234", "line\nline", "a" * 300),
        *(b"", b"bytes", bytes(range(256)), b"\xff" * 300),
        *([], [1, [2, [3]]], list(range(3000))),
        *((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, (4, None))),
        *({}, {"a": 1}, {b"a": {"b": [b"c"]}}, {str(key): key for key in range(3000)}),
    ],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:8]!a}",
)
def test_plain_values(protocol, value):
    found = read_pickle(pickle.dumps(value, protocol))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_value_that_is_named_twice(protocol):
    shared = ["x" * 50]
    first, second = read_pickle(pickle.dumps([shared, shared], protocol))
    assert first is second
    loop = []
    loop.append(loop)
    found = read_pickle(pickle.dumps(loop, protocol))
    assert found[0] is found


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array", [PIXELS, np.asfortranarray(PIXELS), PIXELS[:0], PIXELS[0], PIXELS.reshape(5, 2, 3, 2)]
)
def test_arrays(protocol, array):
    found = read_pickle(pickle.dumps({"data": array, b"again": array}, protocol))
    np.testing.assert_array_equal(as_array(found["data"]), array)
    np.testing.assert_array_equal(as_array(found[b"again"]), array)


def test_an_array_as_python_2_wrote_it():
    raw = PIXELS.tobytes()
    written = (
        b"\x80\x02}q\x01U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b"
        b"\x87Rq\x05(K\x01K\x05K\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", len(raw)) + raw + b"tbs."
    )
    np.testing.assert_array_equal(as_array(read_pickle(written)["data"]), PIXELS)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        PIXELS.astype(np.int64),
        PIXELS.astype(object),
        np.uint8(3),
        Fraction(1, 2),
        "text",
        None,
        np.zeros(1, ">f4"),
        np.ma,
    ],
    ids=str,
)
def test_what_is_no_array_of_bytes(protocol, value):
    if value is np.ma:
        value = np.ma.masked_array(PIXELS, PIXELS > 3)
    with contextlib.suppress(UserError):
        found = read_pickle(pickle.dumps({"x": value}, protocol))["x"]
        with pytest.raises(UserError):
            as_array(found)


class Attack:
    """What calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_is_called_or_imported(protocol, tmp_path):
    target = tmp_path / "made"
    for attack in (Attack(os.mkdir, str(target)), Attack(eval, f"__import__('os').mkdir({str(target)!r})")):
        found = read_pickle(pickle.dumps({"data": attack}, protocol))["data"]
        assert isinstance(found, Node)
        assert "never called" in describe(found)
        with pytest.raises(UserError, match="never called"):
            as_array(found)
    assert not target.exists()
    read_pickle(b"cno_such_module_anywhere\nname\n.")


REFUSED = [
    pickle.dumps({1, 2}, 4),
    pickle.dumps({1: 2}),
    pickle.dumps({(1, 2): 2}),
    pickle.dumps({None: 2}),
    pickle.dumps(OrderedDict(a=1)),
    b"P1\n.",  # something kept elsewhere
    b"\x80\x02\x82\x01.",  # a name from the registry of extensions
    b"(i__main__\nX\n.",
    b"(c__main__\nX\no.",
    b"",
    b".",
    b"(.",
    b"N",
    b"0.",
    b"NN(0.",
    b"a.",
    b"(t",
    b"]Na]",
    b"NNa.",
    b"NNNs.",
    b"}(Nu.",
    b"NNb.",
    b"NNR.",
    b"cos\nsystem\nNR.",
    b"cos\nsystem\n)R)R.",
    b"h\x01.",
    b"g1\n.",
    b"Np-1\n.",
    b"Np99999999999\n.",
    b"NN\x93.",
    b"X\xff\xff\xff\x7fabc.",
    b"B\xff\xff\xff\x7fabc.",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    b"I" + b"9" * 10_000 + b"\n.",
    b"S'\\q\xff'\n.",
    b"S'abc\n.",
]


@pytest.mark.parametrize("data", REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(data):
    with pytest.raises(UserError) as caught:
        read_pickle(data)
    assert len(str(caught.value)) < 400


def test_nothing_grows_without_limit(monkeypatch):
    doubled = b"\x80\x04)" + b"2\x86" * 100_000 + b"."  # a tuple of the same tuple twice, and so on
    assert len(read_pickle(doubled)) == 2
    with pytest.raises(UserError, match="no text"):
        read_pickle(b"\x80\x04})" + b"2\x86" * 100_000 + b"Ns.")  # as a key it would be hashed for ever
    nested = read_pickle(b"]" * 500_000 + b"a" * 499_999 + b".")
    assert len(nested) == 1
    text = b"X" + struct.pack("<I", 1000) + b"x" * 1000 + b"q\x01"
    monkeypatch.setattr(pickled, "LARGEST", 50_000)
    many = (
        b"(c_codecs\nencode\nq\x02"
        + text
        + b"X\x06\x00\x00\x00latin1q\x03\x86R"
        + b"h\x02h\x01h\x03\x86R" * 100
        + b"t."
    )
    with pytest.raises(UserError, match="unfolds"):
        read_pickle(many)
    with pytest.raises(UserError, match="too large"):
        read_pickle(bytes(50_001))
    monkeypatch.setattr(pickled, "MOST_STEPS", 100)
    with pytest.raises(UserError, match="more than 100 steps"):
        read_pickle(b"(" + b"N" * 200 + b"t.")


def settle(data):
    with contextlib.suppress(UserError):
        found = read_pickle(data)
        for value in list(found.values())[:3] if isinstance(found, dict) else [found]:
            describe(value)
            as_array(value)


SMALL = [pickle.dumps({"data": PIXELS[:2], "labels": [1, 2], b"x": (0.5, None)}, protocol) for protocol in PROTOCOLS]


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_mutations_end_in_words(data):
    raw = bytearray(data.draw(st.sampled_from(SMALL)))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(
            st.one_of(st.integers(0, 255), st.sampled_from(list(b"(.01tb}u]ae)\x85\x86\x87R\x81\x93\x94hjq\\")))
        )
    settle(bytes(raw[: data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))]))


@settings(deadline=None, max_examples=200)
@given(
    st.one_of(
        st.binary(max_size=80), st.lists(st.sampled_from(list(b"(.01tb}u]aesN)\x85\x86\x87R\x81\x93\x942K"))).map(bytes)
    )
)
def test_any_bytes_end_in_words(raw):
    settle(raw)
