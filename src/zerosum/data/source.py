"""Where pictures come from: one way to look at a folder, MNIST's IDX files and the built-in digits.

A ``Source`` is what was found, before any decision about size: pictures of any size as they are, labels where the data
bring them, and which pictures are the data's own test part.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import importlib.util
import math
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from zerosum.errors import UserError, did_you_mean

Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

SUFFIXES = (".png", ".jpg", ".jpeg")
NAMES = ("digits",)
DIGITS_MARGIN = 2  # empty pixels around each 8x8 digit, which otherwise touches its frame


@dataclass(frozen=True)
class Source:
    """Pictures as they are on the disk.

    Attributes:
        name: short name, used for the run's folder.
        sizes: (width, height) of every picture, shape (N, 2).
        channels: channels that lose nothing: 1 (all grey), 3, or 4 (some picture has transparency).
        read: index -> (height, width, channels) uint8 with 1, 3 or 4 channels of its own.
        labels: class of every picture, or None where not every picture has one.
        classes: names of the classes, empty without labels.
        test: indices of the data's own test part, or None.
        notes: what a user should know about what was found, one sentence each.
    """

    name: str
    sizes: Labels
    channels: int
    read: Callable[[int], Bytes]
    labels: Labels | None = None
    classes: tuple[str, ...] = ()
    test: Labels | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sizes)


def find(data: str | Path) -> Source:
    """Find the pictures that ``data`` names: ``digits``, a folder of pictures, or a folder with MNIST's IDX files.

    Raises:
        UserError: nothing of that name, an empty folder, a folder without pictures, or a file that is damaged.
    """
    path = Path(data)
    if str(data) == "digits":
        return digits()
    if not path.exists():
        hint = did_you_mean(str(data), NAMES) if path.name == str(data) else ""
        raise UserError(
            f"There is no data named '{data}'{hint}: give a folder of PNG or JPEG pictures, a folder with MNIST's "
            "IDX files, or the name 'digits'."
        )
    if not path.is_dir():
        raise UserError(f"{path} is a file: give the folder that holds the pictures.")
    if any(_idx_files(path, "images")):
        return idx(path)
    return folder(path)


def digits() -> Source:
    """The 1,797 handwritten digits of scikit-learn's package (UCI Optical Recognition of Handwritten Digits, 8x8).

    They are read as a data file, without importing scikit-learn. The 17 grey levels are spread over 0..255.
    """
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise UserError("The digits come with scikit-learn, which is not installed: pip install scikit-learn.")
    path = Path(package.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        raise UserError(f"scikit-learn's digits are missing ({path}): reinstall it with pip install scikit-learn.")
    with gzip.open(path, "rt") as file:
        table = np.array([[int(float(cell)) for cell in row] for row in csv.reader(file)])
    pixels = np.rint(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    pad = (DIGITS_MARGIN, DIGITS_MARGIN)
    return _from_array(
        "digits",
        np.pad(pixels, ((0, 0), pad, pad)),
        table[:, 64].astype(np.int64),
    )


def idx(path: Path) -> Source:
    """A folder with MNIST's own files (``*-images-idx3-ubyte``, gzipped or not); ``t10k`` files are the test part."""
    train = _idx_part(path, "train")
    test = _idx_part(path, "test")
    if train is None:
        raise UserError(f"{path} has no training pictures: expected a file such as train-images-idx3-ubyte.gz.")
    pixels, labels = train
    if test is None:
        return _from_array(path.resolve().name, pixels, labels)
    test_pixels, test_labels = test
    if test_pixels.shape[1:] != pixels.shape[1:]:
        raise UserError(
            f"The test pictures in {path} have shape {test_pixels.shape[1:]}, the training pictures "
            f"{pixels.shape[1:]}: they do not belong together."
        )
    both = None if labels is None or test_labels is None else np.concatenate([labels, test_labels])
    return _from_array(
        path.resolve().name,
        np.concatenate([pixels, test_pixels]),
        both,
        test=np.arange(len(pixels), len(pixels) + len(test_pixels)),
    )


def folder(path: Path) -> Source:
    """A folder of PNG and JPEG files, at any depth; if every file lies in a first-level folder, that is its label."""
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        found = sorted({file.suffix.lower() or file.name for file in path.rglob("*") if file.is_file()})
        kinds = f"it holds only {', '.join(found[:6])}" if found else "it is empty"
        raise UserError(f"{path} has no pictures ({kinds}): expected .png or .jpg files, or MNIST's IDX files.")
    heads = [_inspect(file) for file in files]
    channels = max(head[2] for head in heads)
    parts = [file.relative_to(path).parts for file in files]
    classes = tuple(sorted({part[0] for part in parts})) if all(len(part) > 1 for part in parts) else ()
    labels = None
    if len(classes) > 1:
        labels = np.array([classes.index(part[0]) for part in parts], dtype=np.int64)
    notes = () if labels is not None else ("no labels: the pictures do not lie in class folders",)
    return Source(
        name=path.resolve().name,
        sizes=np.array([head[:2] for head in heads], dtype=np.int64),
        channels=channels,
        read=lambda index: _decode(files[index]),
        labels=labels,
        classes=classes if labels is not None else (),
        notes=notes,
    )


def _from_array(name: str, pixels: Bytes, labels: Labels | None, test: Labels | None = None) -> Source:
    count, height, width = pixels.shape
    classes = () if labels is None else tuple(str(value) for value in range(int(labels.max()) + 1))
    return Source(
        name=name,
        sizes=np.tile(np.array([width, height], dtype=np.int64), (count, 1)),
        channels=1,
        read=lambda index: pixels[index][:, :, None],
        labels=labels,
        classes=classes,
        test=test,
    )


def _inspect(file: Path) -> tuple[int, int, int]:
    """Width, height and channels from the file's header alone."""
    with _pillow(file), Image.open(file) as image:
        width, height = image.size
        if image.getexif().get(0x0112, 1) in (5, 6, 7, 8):  # turned by a quarter
            width, height = height, width
        return width, height, _channels(image)


def _decode(file: Path) -> Bytes:
    with _pillow(file), Image.open(file) as image:
        mode = {1: "L", 3: "RGB", 4: "RGBA"}[_channels(image)]
        if image.mode.startswith("I;16"):
            plain = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        else:
            plain = image.convert(mode)
        turn = TURNS.get(image.getexif().get(0x0112, 1))
        pixels = np.asarray(plain if turn is None else plain.transpose(turn))
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@contextlib.contextmanager
def _pillow(file: Path) -> Iterator[None]:
    """Whatever Pillow raises about a damaged file is the file's fault; what it warns of is not worth a word."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        raise _unreadable(file, error) from None


def _channels(image: Image.Image) -> int:
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or (
        "transparency" in image.info and not image.mode.startswith("I;16")
    ):
        return 4
    return 1 if image.mode in ("1", "L") or image.mode.startswith("I;16") else 3


def _unreadable(file: Path, error: Exception) -> UserError:
    return UserError(f"{file} cannot be read as a picture ({error}): replace it or take it out of the folder.")


def _idx_files(path: Path, kind: str) -> list[Path]:
    return [file for file in sorted(path.iterdir()) if re.search(rf"{kind}[-.]idx\d-ubyte", file.name)]


def _idx_part(path: Path, part: str) -> tuple[Bytes, Labels | None] | None:
    images = [file for file in _idx_files(path, "images") if _part_of(file) == part]
    if not images:
        return None
    pixels = _read_idx(images[0])
    if pixels.ndim != 3:
        raise UserError(f"{images[0]} holds {pixels.ndim - 1}-dimensional items: expected grey pictures.")
    labels = [file for file in _idx_files(path, "labels") if _part_of(file) == part]
    if not labels:
        return pixels, None
    values = _read_idx(labels[0]).astype(np.int64)
    if values.shape != (len(pixels),):
        raise UserError(f"{labels[0]} has {len(values)} labels for {len(pixels)} pictures: the files do not match.")
    return pixels, values


def _part_of(file: Path) -> str:
    return "test" if re.match(r"t10k|(emnist-.*)?test", file.name) else "train"


def _read_idx(file: Path) -> Bytes:
    """One IDX file: two zero bytes, type 8 (uint8), rank, the sizes as big-endian int32, the bytes."""
    try:
        with gzip.open(file) if file.suffix == ".gz" else open(file, "rb") as stream:
            head = stream.read(4)
            if len(head) < 4 or head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 4:
                raise UserError(f"{file} is not an IDX file of bytes: its first bytes are {head.hex()}.")
            sizes = stream.read(4 * head[3])
            shape = struct.unpack(f">{len(sizes) // 4}i", sizes[: len(sizes) // 4 * 4])
            expected = math.prod(shape)
            if len(shape) != head[3] or min(shape) < 1 or expected > 2**33:
                raise UserError(f"{file} is damaged: its header says shape {shape}.")
            body = stream.read(expected + 1)  # one more than there should be, so that a longer file is noticed
    except (OSError, EOFError, gzip.zlib.error) as error:
        raise UserError(f"{file} cannot be read ({error}): copy or download it again.") from None
    if len(body) != expected:
        raise UserError(f"{file} is damaged: shape {shape} needs {expected} bytes, it holds {len(body)}.")
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)
