"""What is kept of a stream of pictures, and where."""

from __future__ import annotations

import errno
import gc
import tempfile

import numpy as np
import pytest
import torch

from zerosum.errors import Stopped
from zerosum.metrics import looking
from zerosum.metrics.looking import Looked, look_at
from zerosum.metrics.samples import Block
from zerosum.metrics.wasserstein import sliced_wasserstein

PIXELS = frozenset({"pixels"})


def pictures(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


def stream(pixels, *sizes):
    return map(Block, np.split(pixels, np.cumsum(sizes)))


def test_patches_of_a_stream_are_those_of_all_pixels_at_once(monkeypatch):
    """In whatever blocks they come."""
    monkeypatch.setattr(looking, "BLOCK", 10)
    real, fake = pictures(40), pictures(40, 1) // 2
    whole = sliced_wasserstein(real=torch.from_numpy(real), fake=torch.from_numpy(fake), patches=16)
    a, b = look_at(stream(real, 1, 17), None, Looked(PIXELS)), look_at(stream(fake, 13, 8, 2), None, Looked(PIXELS))
    assert sliced_wasserstein(real=a.pixels(), fake=b.pixels(), patches=16) == whole
    assert whole.mean > 0


def test_pixels_are_kept_on_the_disk(monkeypatch):
    monkeypatch.setattr(looking, "BLOCK", 10)
    real, mapped = np.memmap, []
    monkeypatch.setattr(np, "memmap", lambda *given, **more: mapped.append(given[0]) or real(*given, **more))
    looked = look_at(stream(pictures(40), 1, 17), None, Looked(PIXELS))
    file = looked.shelf.file
    assert not looked.kept
    assert file.tell() == pictures(40).nbytes
    found = looked.pixels()
    assert mapped == [file]
    del looked
    gc.collect()
    assert file.closed
    assert torch.equal(found, torch.from_numpy(pictures(40)))  # what is read stays until nothing reads it


def test_several_sizes_are_kept_but_not_compared():
    looked = look_at(iter([Block(pictures(3)), Block(pictures(3)[:, :, 1:])]), None, Looked(PIXELS))
    assert looked.count == 6
    with pytest.raises(ValueError, match="several sizes"):
        looked.pixels()


def test_a_full_disk_stops_in_words(monkeypatch):
    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(Stopped, match="disk is full"):
        look_at(stream(pictures(4), 1), None, Looked(PIXELS))


def test_what_is_no_longer_wanted_is_forgotten():
    looked = Looked(frozenset({"features", "logits"}))
    looked.kept = {"features": [torch.ones(2)], "logits": [torch.ones(2)], "labels": [torch.ones(2)]}
    looked.want(frozenset({"logits", "moments"}))
    assert looked.kept.keys() == {"logits", "labels"}
    assert looked.wants == {"logits", "moments"}


def test_features_are_put_together_once():
    looked = look_at(stream(pictures(40), 1, 17), None, Looked(frozenset({"views"}), size=(8, 8)))
    looked.kept["features"] = [torch.arange(3.0), torch.arange(3.0)]
    whole = looked.features()
    assert whole.tolist() == [0, 1, 2, 0, 1, 2]
    assert looked.features() is whole
    looked._keep("features", torch.ones(2))
    assert looked.features().tolist() == [0, 1, 2, 0, 1, 2, 1, 1]
