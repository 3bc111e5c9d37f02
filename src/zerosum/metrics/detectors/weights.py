"""Where published weights come from, and that they are what they are called."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import json
import os
import pickle
import re
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from zerosum import files
from zerosum.data.telling import Say, silent
from zerosum.errors import Stopped, UserError

Net = TypeVar("Net", bound=nn.Module)
Progress = Callable[[int, int | None], object]
"""Called while a file comes in: bytes so far, and bytes in all where the server says so."""

WORK_WITHOUT = (
    "Without it the metrics on classifier, student, stacked, random and pixels work: zerosum evaluate list names them."
)
_DIGITS = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")  # of a SHA-256, at the end of published names
_LEGACY_TORCH = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # the magic number of torch < 1.6
_CHUNK = 2**20
_LARGEST = 4 * 2**30
_TIMEOUT = 30.0  # seconds without a byte
_NAMED = 3  # of the names that are wrong


class Published(NamedTuple):
    """One file of published weights: what it is in words, its name in the cache, its official address."""

    what: str
    file: str
    url: str


class Weights(NamedTuple):
    """What a file of weights holds, and the file's SHA-256, to be printed beside every number made with it."""

    tensors: dict[str, Tensor]
    sha256: str


def obtain(
    published: Published,
    cache: Path,
    given: Path | None = None,
    progress: Progress | None = None,
    say: Say = silent,
) -> Weights:
    """Weights from the ``given`` file, else from ``<cache>/weights/``, else from the official address.

    No checksum is built in, but published names may end in the first digits of one: a file of such a name must have it.
    A file's SHA-256 is noted in ``<cache>/weights/pins.json`` under the file's name when it is first used, and said;
    later the file must be the same.

    Raises:
        UserError: no such file and no network, no weights in it, not what its name says, or not the file that was used
            first.
        Stopped: the disk is full.
    """
    path = given or cache / "weights" / published.file
    if given is not None and not given.is_file():
        raise UserError(f"{given} is not there: expected {published.what}, the file {published.file}.")
    if not path.is_file():
        download(published, path, progress)
    tensors = read(path, published)
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    promised = _DIGITS.search(path.name)
    if promised is not None and not sha256.startswith(promised[1]):
        raise UserError(
            f"{path} is not the file of that name: its SHA-256 {sha256} does not begin with {promised[1]}; download "
            f"{published.url} again, or give it another name if it is meant to be another file."
        )
    _pin(path, sha256, cache / "weights" / "pins.json", published, say)
    return Weights(tensors, sha256)


def fill(net: Net, tensors: Mapping[str, Tensor], published: Published, ignored: tuple[str, ...] = ()) -> Net:
    """Fill ``net`` (made on the meta device, say) with float32 weights; it no longer trains.

    Names that begin with one of ``ignored`` may be there or not.

    Raises:
        UserError: a name is missing, is one too many, or has another shape; or a value is not finite.
    """
    wanted = net.state_dict()
    missing = [name for name in wanted if name not in tensors]
    extra = [name for name in tensors if name not in wanted and not name.startswith(ignored)]
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    for fault, names in (("it lacks", missing), ("it has", extra), ("it has", shapes)):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            raise UserError(
                f"The file given as {published.what} is another one: {fault} {', '.join(names[:_NAMED])}{more}; "
                f"expected {published.file} of {published.url}."
            )
    # copied: the tensors may be a view of the file
    own = {name: tensors[name].to(torch.float32, copy=True).contiguous() for name in wanted}
    for name, tensor in own.items():
        if not tensor.isfinite().all():
            raise UserError(
                f"{published.what}: {name} holds values that are not finite; download {published.url} again."
            )
    net.load_state_dict(own, assign=True)
    return net.eval().requires_grad_(False)


def read(path: Path, published: Published) -> dict[str, Tensor]:
    """The tensors of a safetensors file or a torch state dict. Nothing in the file is executed.

    Raises:
        UserError: anything else, also TorchScript archives, and files that are damaged.
    """
    kind = _kind(path)
    if kind is None:
        raise UserError(
            f"{path} is neither a safetensors file nor a torch state dict (TorchScript archives and whole pickled "
            f"models are refused, they could run code): expected {published.file} of {published.url}."
        )
    try:
        found = _read_safetensors(path) if kind == "safetensors" else _read_torch(path)
    except Exception as error:  # whatever a damaged file makes torch raise
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        if isinstance(error, pickle.UnpicklingError):
            reason = "it holds more than tensors"
        raise UserError(
            f"{path} cannot be read as {published.what} ({reason}): download {published.url} again."
        ) from None
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in found.items()
    ):
        raise UserError(
            f"{path} is no plain state dict (tensors by name): expected {published.file} of {published.url}."
        )
    return dict(found)


def _read_safetensors(path: Path) -> object:
    from safetensors.torch import load_file

    return load_file(path)


def _read_torch(path: Path) -> object:
    # mapped, not read: CLIP's file also holds a text model that is not needed
    return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


def _kind(path: Path) -> str | None:
    """``safetensors``, ``torch`` or None."""
    try:
        with open(path, "rb") as file:
            head = file.read(len(_LEGACY_TORCH))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give a file of yours.") from None
    if head == _LEGACY_TORCH:
        return "torch"
    if head[8:9] == b"{":
        return "safetensors"
    if not head.startswith(b"PK"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [tuple(info.filename.split("/")) for info in archive.infolist()]
            stored = all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
    except (zipfile.BadZipFile, OSError):
        return None
    script = any(part[-1] == "constants.pkl" or "code" in part[:-1] for part in parts)
    plain = any(part[-1] == "data.pkl" for part in parts)
    return "torch" if plain and stored and not script else None


def download(published: Published, path: Path, progress: Progress | None = None) -> None:
    """Bring the file from its official address to ``path``, whole or not at all.

    Raises:
        UserError: no network, a connection that is cut, or something came that is no file of weights.
        Stopped: the disk is full.
    """
    temporary = path.with_name(f"{files.TEMPORARY}{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(published.url, timeout=_TIMEOUT) as answer, open(temporary, "wb") as file:
            length = answer.headers.get("Content-Length")
            _copy(answer, file, int(length) if length and length.isdecimal() else None, progress)
            file.flush()
            os.fsync(file.fileno())
        if _kind(temporary) is None:
            raise UserError(
                f"What {published.url} sent is no file of weights (a log-in page of your network?): "
                f"{_by_hand(published, path)}"
            )
        os.replace(temporary, path)
    except UserError:
        raise
    except (OSError, http.client.HTTPException) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise Stopped(
                f"The disk is full: {path} could not be written; free some space and run it again."
            ) from error
        reason = getattr(error, "reason", error)
        if isinstance(error, urllib.error.HTTPError):
            reason = error
            error.close()  # it holds the connection
        raise UserError(f"{published.url} could not be downloaded ({reason}): {_by_hand(published, path)}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _copy(answer: BinaryIO, file: BinaryIO, total: int | None, progress: Progress | None) -> None:
    done = 0
    while block := answer.read(_CHUNK):
        file.write(block)
        done += len(block)
        if done > _LARGEST:
            raise OSError("it does not end")
        if progress is not None:
            progress(done, total)
    if total is not None and done != total:
        raise OSError(f"the connection was cut after {done} of {total} bytes")


def _by_hand(published: Published, path: Path) -> str:
    return f"to use {published.what}, download that file elsewhere and put it at {path}. {WORK_WITHOUT}"


def fits(net: nn.Module, tensors: Mapping[str, Tensor]) -> bool:
    """Whether tensors of these names and shapes fill the network."""
    wanted = net.state_dict()
    return all(name in tensors and tensors[name].shape == tensor.shape for name, tensor in wanted.items())


def _pin(path: Path, sha256: str, pins: Path, published: Published, say: Say) -> None:
    """Note the file's hash under its name and say it, or compare with what was noted."""
    try:
        noted = json.loads(pins.read_text()) if pins.exists() else {}
    except (ValueError, OSError):
        noted = None
    if not isinstance(noted, dict):
        raise UserError(f"{pins} is damaged: delete it, and the files of weights are pinned anew.")
    if path.name not in noted:
        own = _DIGITS.search(published.file)
        other = "" if own is None or sha256.startswith(own[1]) else f" (not {published.file}, whose hash is another)"
        say(f"{path.name} is used as {published.what}{other}. Its SHA-256, noted at this first use: {sha256}")
        try:
            files.write_json(pins, {**noted, path.name: sha256})
        except (UserError, Stopped, OSError):
            say(f"{pins} cannot be written: the hash is not noted (ZEROSUM_CACHE names another folder).")
    elif noted[path.name] != sha256:
        raise UserError(
            f"{path} is not the file that was used first: its SHA-256 is {sha256}, pinned is {noted[path.name]}; put "
            f"the first one back, or, if this one is right, delete the line {path.name} in {pins}."
        )
