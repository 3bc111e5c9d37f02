"""Where a relative path is looked for."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from zerosum.cli import main
from zerosum.data.find import find
from zerosum.errors import UserError


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Folders ``here`` (the current one), ``root`` and ``named`` (by ZEROSUM_DATA), each with a picture of its own."""
    for shade, name in enumerate(("here", "root", "named")):
        (tmp_path / name / "sub" / "pets").mkdir(parents=True)
        Image.new("L", (8, 8), shade).save(tmp_path / name / "sub" / "pets" / "1.png")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("ZEROSUM_DATA", str(tmp_path / "named"))
    return tmp_path


def shade_of(source):
    with Image.open(io.BytesIO(source.read(0))) as image:
        return image.getpixel((0, 0))


def test_here_then_below_the_root_then_below_the_named_folder(places):
    for wanted, gone in enumerate(("here", "root", "named")):
        assert shade_of(find("sub/pets", places / "root")) == wanted
        (places / gone / "sub" / "pets").rename(places / gone / "sub" / "other")
    with pytest.raises(UserError, match="There is no data named 'sub/pets'"):
        find("sub/pets", places / "root")


def test_absolute_paths_are_what_they_are(places):
    (places / "here" / "sub" / "pets").rename(places / "here" / "gone")
    with pytest.raises(UserError, match="There is no data named"):
        find(places / "here" / "sub" / "pets", places / "root")


def test_by_command(places, capsys):
    (places / "here" / "sub" / "pets").rename(places / "here" / "gone")
    (places / "named" / "sub" / "pets").rename(places / "named" / "gone")
    assert main(["data", "check", "sub/pets", "--data-root", str(places / "root")]) == 0
    assert "all 8x8" in capsys.readouterr().out
    for command in (["train"], ["data", "check"], ["data", "prepare"], ["evaluate"]):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        assert "relative path" in " ".join(capsys.readouterr().out.replace("│", " ").split())
