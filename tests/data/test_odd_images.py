"""Pillow's own awkward pictures."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from zerosum.data.prepare import prepare
from zerosum.data.source import SUFFIXES, find
from zerosum.errors import UserError


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    root = os.environ.get("ZEROSUM_DATA")
    if not root or not (Path(root) / "odd-images.zip").exists():
        pytest.skip("set ZEROSUM_DATA to a folder that holds odd-images.zip")
    folder = tmp_path_factory.mktemp("odd")
    with zipfile.ZipFile(Path(root) / "odd-images.zip") as archive:
        archive.extractall(folder)
    return folder


def test_all_that_are_well_load_at_once(odd):
    source = find(odd / "ok")
    files = sorted(file for file in (odd / "ok").iterdir() if file.suffix in SUFFIXES)
    assert len(source) == len(files) == 34
    assert source.channels == 4
    pictures = prepare(source, 16, 16, 3)
    assert pictures.pixels.shape == (34, 3, 16, 16)
    assert len({picture.tobytes() for picture in pictures.pixels}) >= 25  # not all blank
    for index, file in enumerate(files):
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image)
            assert tuple(source.sizes[index]) == upright.size, file.name
            wanted = np.asarray(upright.convert("RGBA"))
        picture = source.read(index)
        for channel in range(3):  # of one or three or four channels
            own = picture[:, :, min(channel, picture.shape[2] - 1)]
            np.testing.assert_allclose(own.astype(int), wanted[:, :, channel], atol=1, err_msg=file.name)


def test_turned_pictures_are_the_same_picture(odd):
    """Pillow's hopper in orientations 2 and 5 to 8 stands upright in each."""
    source = find(odd / "ok")
    files = sorted(file.name for file in (odd / "ok").iterdir() if file.suffix in SUFFIXES)
    upright = source.read(files.index("hopper.jpg")).astype(int)
    for orientation in (2, 5, 6, 7, 8):
        turned = source.read(files.index(f"hopper_orientation_{orientation}.jpg")).astype(int)
        assert np.abs(turned - upright).mean() < 6


def test_each_broken_one_is_named(odd, tmp_path):
    broken = sorted(file for file in (odd / "broken").iterdir() if file.suffix in SUFFIXES)
    assert len(broken) == 4
    for file in broken:
        folder = tmp_path / file.stem
        folder.mkdir()
        (folder / file.name).write_bytes(file.read_bytes())
        with pytest.raises(UserError, match=rf"{file.name} cannot be read as a picture"):
            prepare(find(folder), 16, 16, 3)


def test_other_formats_are_not_pictures_of_ours(odd, tmp_path):
    for file in (odd / "ok").iterdir():
        if file.suffix not in SUFFIXES:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UserError, match=r"no pictures.*\.bmp, \.gif, \.tif, \.webp"):
        find(tmp_path)
