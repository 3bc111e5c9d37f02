"""Damaged files of every kind through every reader: nothing but ``UserError`` and ``Unreadable`` may come out.

    python tests/fuzz_readers.py --inputs 100000 --seed 0

Not a test of the suite (it takes a quarter of an hour); the suite's property tests do the same on a few hundred inputs.
Each input is a valid small file with bytes changed, cut, doubled, or swapped with another file's.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import lzma
import pickle
import resource
import shutil
import struct
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from zerosum.data import find as room
from zerosum.data.decode import decode, head
from zerosum.data.source import Unreadable
from zerosum.errors import UserError

MEMORY = 8 * 2**30


def picture(kind: str, mode: str, random: np.random.Generator) -> bytes:
    """A small picture of noise."""
    channels = {"L": 0, "RGB": 3, "RGBA": 4}[mode]
    shape = (9, 7, channels) if channels else (9, 7)
    file = io.BytesIO()
    Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(file, kind)
    return file.getvalue()


def seeds(random: np.random.Generator) -> dict[str, list[bytes]]:
    """Valid files by the name under which they are read."""
    kinds = [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "L"), ("JPEG", "RGB"), ("GIF", "L"), ("BMP", "RGB")]
    kinds += [("TIFF", "RGBA"), ("WEBP", "RGB"), ("PPM", "RGB")]
    pictures = [picture(kind, mode, random) for kind, mode in kinds]
    names = [f"{'cats' if index % 2 else 'dogs'}/{index}.{'png' if index < 3 else 'jpg'}" for index in range(5)]
    zipped, packed = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in zip(names, pictures, strict=False):
            archive.writestr(name, content)
        archive.writestr("dataset.json", json.dumps({"labels": [[name, 1] for name in names]}))
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in zip(names, pictures, strict=False):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    array = random.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    plain, several = io.BytesIO(), io.BytesIO()
    np.save(plain, array)
    np.savez_compressed(several, x=array, y=np.arange(6))
    idx = b"\0\0\x08\3" + struct.pack(">III", 6, 5, 4) + array[..., 0].tobytes()
    batch = {
        b"data": random.integers(0, 256, (4, 3072), dtype=np.uint8),
        b"labels": [1, 2, 3, 0],
        b"filenames": [b"a.png"] * 4,
    }
    found = {
        "picture": pictures,
        "a.zip": [zipped.getvalue()],
        "a.tar": [packed.getvalue()],
        "a.tar.gz": [gzip.compress(packed.getvalue())],
        "a.npy": [plain.getvalue()],
        "a.npz": [several.getvalue()],
        "train-images-idx3-ubyte": [idx],
        "train-images-idx3-ubyte.gz": [gzip.compress(idx)],
        "cifar/data_batch_1": [pickle.dumps(batch, protocol=number) for number in range(5)],
        "cifar/data_batch_1.xz": [lzma.compress(pickle.dumps(batch, protocol=2))],
        "shards/train-0.tar": [packed.getvalue()],
    }
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        return found
    table = arrow.table({"image": [{"bytes": raw, "path": None} for raw in pictures], "label": list(range(9))})
    stream = io.BytesIO()
    parquet.write_table(table, stream)
    return found | {"a.parquet": [stream.getvalue()]}


def damage(content: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """Change a few bytes, or cut, double or exchange a stretch; now and then nothing."""
    found = bytearray(content)
    for _ in range(int(random.integers(0, 4))):
        place, length = int(random.integers(len(found) + 1)), int(random.integers(1, 40))
        match int(random.integers(6)):
            case 0 | 1:
                found[place : place + 1] = bytes([int(random.integers(256))])
            case 2:
                del found[place : place + length]
            case 3:
                found[place:place] = found[place : place + length]
            case 4:
                start = int(random.integers(len(other)))
                found[place : place + length] = other[start : start + length]
            case _:
                found[place : place + 4] = struct.pack("<I", int(random.integers(2**32)))
        if not found:
            break
    return bytes(found)


def attempt(name: str, content: bytes, folder: Path) -> str:
    """Read one file as a user would; what came out, in a word."""
    if name == "picture":
        try:
            seen, pixels = head(content), decode(content)
        except Unreadable:
            return "refused"
        return "read" if pixels.shape[:2] == (seen.height, seen.width) else "another size than announced"
    shutil.rmtree(folder)
    path = folder / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    inside = path.parent != folder
    if name == "shards/train-0.tar":
        (path.parent / "train-1.tar").write_bytes(content)
    try:
        source = room.read(path.parent if inside else path)
        for index in range(min(len(source), 12)):
            try:
                decode(source.read(index))
            except Unreadable:
                continue
    except UserError:
        return "refused"
    return "read"


def main() -> int:
    """Run, and print what came out for each kind of file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    random = np.random.default_rng(given.seed)
    files = seeds(random)
    kinds = ["picture"] * len(files) + [name for name in files if name != "picture"]
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in files}
    slowest, failures = 0.0, 0
    everything = [content for contents in files.values() for content in contents]
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "files").mkdir()
        for number in range(given.inputs):
            name = kinds[number % len(kinds)]
            content = files[name][int(random.integers(len(files[name])))]
            content = damage(content, everything[int(random.integers(len(everything)))], random)
            began = time.monotonic()
            try:
                outcome = attempt(name, content, Path(place) / "files")
            except Exception:
                outcome = "FAILED"
                failures += 1
                kept = Path(f"fuzz-{given.seed}-{number}-{name.replace('/', '-')}")
                kept.write_bytes(content)
                print(f"{kept}:\n{traceback.format_exc()}", flush=True)  # noqa: T201
            outcomes[name][outcome] += 1
            slowest = max(slowest, time.monotonic() - began)
    for name, found in outcomes.items():
        print(f"{name:28}{dict(found)}")  # noqa: T201
    print(f"{given.inputs} inputs, {failures} failures, slowest {slowest:.2f} s")  # noqa: T201
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
