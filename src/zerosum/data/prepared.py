"""Prepared pictures on a disk: raw bytes in files of at most 2 GiB, a table of rows, and a manifest, written last."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from zipfile import BadZipFile

import numpy as np
import PIL
from PIL import features

from zerosum import files
from zerosum.data.decode import MODES
from zerosum.data.fit import Shape
from zerosum.data.pictures import Mapped, Pictures
from zerosum.data.source import DIGEST, Bytes, Looks, Source, Unreadable, pixel_digest
from zerosum.data.split import identity
from zerosum.errors import UserError

FORMAT = 1
LARGEST_FILE = 2**31
MANIFEST, ROWS, JOURNAL, DIGESTS = "manifest.json", "rows.npz", "journal.jsonl", "digests.u8"


class Table(NamedTuple):
    """What lies in a prepared folder.

    Attributes:
        digests: those of the rows' pixels, (N, 16); None in folders of earlier versions.
        stamps: size and time of each file of pixels when it was written.
    """

    pictures: Pictures
    shape: Shape
    digests: Bytes | None
    stamps: dict[str, str]


@dataclass
class Writer:
    """Rows of pixels being written; what was written before a kill is found again."""

    folder: Path
    shape: Shape
    count: int = 0
    drafted: int = 0
    broken: dict[int, str] = field(default_factory=dict)
    marked: int = 0
    touched: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.picture = self.shape.channels * self.shape.height * self.shape.width
        self.per_file = max(1, LARGEST_FILE // self.picture)
        with files.in_words(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        for line in files.read_lines(self.folder / JOURNAL):
            if self._holds(int(str(line["count"]))):
                self.count, self.drafted = int(str(line["count"])), int(str(line["drafted"]))
                self.broken |= {int(row): str(why) for row, why in dict(line["broken"]).items()}  # type: ignore[call-overload]
        self.marked = self.count
        files.keep_lines(self.folder / JOURNAL, lambda line: int(str(line["count"])) <= self.count)

    def append(self, pixels: Bytes, digests: Bytes, broken: dict[int, str], drafted: int) -> None:
        """Write rows (n, C, H, W) with the digests (n, 16) of their pixels; only ``mark`` makes them last.

        Raises:
            Stopped: the disk is full; the marked rows stay.
        """
        done = 0
        while done < len(pixels):
            number, place = divmod(self.count + done, self.per_file)
            part = pixels[done : done + self.per_file - place]
            self._put(self.folder / _pixel_file(number), place * self.picture, part)
            done += len(part)
        self._put(self.folder / DIGESTS, self.count * DIGEST, digests)
        self.count += len(pixels)
        self.drafted += drafted
        self.broken |= broken

    def mark(self) -> None:
        """Force all rows to the disk, and note that they are there.

        Raises:
            Stopped: the disk is full; the rows marked before stay.
        """
        for path in sorted(self.touched):
            with files.in_words(path), open(path, "r+b") as file:
                os.fsync(file.fileno())
        self.touched.clear()
        broken = {str(row): why for row, why in self.broken.items() if row >= self.marked}
        self.marked = self.count
        line = {"count": self.count, "drafted": self.drafted, "broken": broken}
        files.append_line(self.folder / JOURNAL, line)

    def digests(self) -> Bytes:
        """The digests of all rows, (N, 16)."""
        return np.fromfile(self.folder / DIGESTS, dtype=np.uint8)[: self.count * DIGEST].reshape(-1, DIGEST)

    def _put(self, path: Path, place: int, values: Bytes) -> None:
        with files.in_words(path), open(path, "r+b" if path.exists() else "w+b") as file:
            file.truncate(place)  # what a kill left behind
            file.seek(place)
            _write_all(file, values)
        self.touched.add(path)

    def _holds(self, count: int) -> bool:
        """Whether the files have the bytes of so many rows."""
        number, place = divmod(count, self.per_file)
        sizes = {_pixel_file(index): self.per_file * self.picture for index in range(number)}
        sizes |= {_pixel_file(number): place * self.picture} if place else {}
        sizes[DIGESTS] = count * DIGEST
        return all(_size(self.folder / name) >= size for name, size in sizes.items())


def finish(writer: Writer, pictures: Pictures, about: dict[str, Any]) -> None:
    """Write the table and, last, the manifest: from now on the folder is whole."""
    arrays = {"train": pictures.train, "held_out": pictures.held_out, "digests": writer.digests()}
    if pictures.labels is not None:
        arrays["labels"] = pictures.labels
    with files.in_words(writer.folder), open(writer.folder / ROWS, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    manifest = {
        "format": FORMAT,
        "prepared by": "zerosum",
        "name": pictures.name,
        "count": writer.count,
        "shape": asdict(writer.shape),
        "classes": list(pictures.classes),
        "source_size": list(pictures.source_size),
        "identity": pictures.identity,
        "skipped": [list(pair) for pair in pictures.skipped],
        "resizer": "Pillow bicubic, antialiased",
        "drafted": writer.drafted,
        "pillow": PIL.__version__,
        "libjpeg": features.version("jpg"),
        "files": stamps(writer.folder),
        **about,
    }
    files.write_json(writer.folder / MANIFEST, manifest)
    for name in (JOURNAL, DIGESTS):
        with contextlib.suppress(OSError):
            (writer.folder / name).unlink()


def is_prepared(path: Path) -> bool:
    """Whether a folder is one of ``zerosum data prepare``."""
    return key(path) is not None


def key(path: Path) -> str | None:
    """What decided a prepared folder's content (pictures, labels, shape), or None if it is no such folder."""
    if (path / ROWS).is_file():
        with contextlib.suppress(OSError, ValueError, AttributeError):
            manifest = json.loads((path / MANIFEST).read_bytes())
            if manifest.get("prepared by") == "zerosum":
                return str(manifest.get("key"))
    return None


def lost(path: Path) -> dict[str, str]:
    """Pictures that could not be decoded, by the digest of their bytes, and why."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return {str(name): str(why) for name, why in json.loads((path / MANIFEST).read_bytes()).get("lost", {}).items()}
    return {}


def load(path: Path) -> tuple[Pictures, Shape]:
    """Prepared pictures, memory-mapped, and what was made of them.

    Raises:
        UserError: the folder is damaged, or of another format.
    """
    return table(path)[:2]


def table(path: Path) -> Table:
    """The same with what the pixels can be verified by (``intact.verify``).

    Raises:
        UserError: the folder is damaged, or of another format.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            raise UserError(f"{path} has format {manifest['format']}, this zerosum reads {FORMAT}: prepare it again.")
        shape = Shape(**manifest["shape"])
        with open(path / ROWS, "rb") as file, np.load(file, allow_pickle=False) as rows:
            arrays = {name: rows[name] for name in ("train", "held_out", "labels", "digests") if name in rows}
        train, held_out = arrays["train"].astype(np.int64), arrays["held_out"].astype(np.int64)
        labels = arrays["labels"].astype(np.int64) if "labels" in arrays else None
        digests = arrays.get("digests")
        if shape.channels not in MODES or min(shape.width, shape.height, *map(int, manifest["source_size"])) < 1:
            raise ValueError("its sizes are wrong")
        count = int(manifest["count"])
        kept = np.concatenate([train, held_out])
        if len(np.unique(kept)) != len(kept) or not len(kept) or kept.min() < 0 or kept.max() >= count:
            raise ValueError("its rows are wrong")
        if labels is not None and (
            labels.shape != (count,) or not 0 <= labels.min() <= labels.max() < len(manifest["classes"])
        ):
            raise ValueError("its labels are wrong")
        if digests is not None and (digests.shape != (count, DIGEST) or digests.dtype != np.uint8):
            raise ValueError("its digests are wrong")
        if digests is not None and identity(shape, digests, labels, train, held_out) != manifest["identity"]:
            raise ValueError("its table is not what the manifest says")
        pictures = Pictures(
            name=str(manifest["name"]),
            pixels=Mapped(list(_maps(path, shape, count))),
            labels=labels,
            classes=tuple(map(str, manifest["classes"])),
            train=train,
            held_out=held_out,
            source_size=(int(manifest["source_size"][0]), int(manifest["source_size"][1])),
            identity=str(manifest["identity"]),
            skipped=tuple((str(name), str(why)) for name, why in manifest["skipped"]),
            resident=False,
        )
        told = {str(name): str(stamp) for name, stamp in manifest.get("files", {}).items()}
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError, BadZipFile) as error:
        raise UserError(f"{path} is damaged ({error}): prepare it again.") from None
    return Table(pictures, shape, digests, told)


def source(path: Path) -> Source:
    """A prepared folder as data: used as it is where size and channels are wanted so, otherwise a picture at a time.

    Reading a picture whose pixels are not those that were prepared raises ``Unreadable``.
    """
    pictures, shape, digests, _ = table(path)
    kept = np.sort(np.concatenate([pictures.train, pictures.held_out]))
    looks = None
    if digests is not None:
        sizes = np.tile(np.array([shape.width, shape.height], dtype=np.int64), (len(kept), 1))
        looks = Looks(sizes, np.full(len(kept), shape.channels, dtype=np.uint8), digests[kept], {})

    def read(index: int) -> Bytes:
        pixels = pictures.pixels[kept[index : index + 1]][0]
        if looks is not None and pixel_digest(pixels) != looks.digests[index].tobytes():
            raise Unreadable("its pixels are not those that were prepared")
        return np.ascontiguousarray(pixels.transpose(1, 2, 0))

    return Source(
        name=pictures.name,
        count=len(kept),
        read=read,
        labels=None if pictures.labels is None else pictures.labels[kept],
        classes=pictures.classes,
        test=np.flatnonzero(np.isin(kept, pictures.held_out)) if len(pictures.held_out) else None,
        notes=("prepared by zerosum",),
        ready=path,
        known=looks,
    )


def stamps(path: Path) -> dict[str, str]:
    """Size and time of each file of pixels."""
    states = {file.name: file.stat() for file in sorted(path.glob("pixels-*.u8"))}
    return {name: f"{state.st_size} {state.st_mtime_ns}" for name, state in states.items()}


def _maps(path: Path, shape: Shape, count: int) -> Iterator[Bytes]:
    picture = (shape.channels, shape.height, shape.width)
    per_file = max(1, LARGEST_FILE // int(np.prod(picture)))
    for number, first in enumerate(range(0, count, per_file)):
        rows = min(per_file, count - first)
        yield np.memmap(path / _pixel_file(number), dtype=np.uint8, mode="r", shape=(rows, *picture))


def _pixel_file(number: int) -> str:
    return f"pixels-{number:05d}.u8"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _write_all(file: BinaryIO, values: Bytes) -> None:
    file.write(np.ascontiguousarray(values).data)
