"""The data's own small classifier as a file: trained once, kept with its accuracy and its hash."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from zerosum import files
from zerosum.data.pictures import Part, Pictures
from zerosum.data.source import Labels
from zerosum.data.telling import Say, silent
from zerosum.errors import Stopped, UserError
from zerosum.metrics.classifier import LONG, USUAL, Classifier, Training, train_classifier
from zerosum.metrics.resize import Size, pillow_bytes
from zerosum.networks.layout import channels_last

KIND = "zerosum classifier"
_LARGEST = 32  # pixels a side
MOST_TRAIN = 60_000  # a larger set is represented by so many
BLOCK = 2_000


class Own(NamedTuple):
    """A trained classifier.

    Attributes:
        data: name and identity of the pictures it was trained on.
        size: (height, width) of what it looks at.
        accuracy: on the held-out pictures; None where nothing was held out.
        training: how long it was trained.
    """

    net: Classifier
    data: str
    identity: str
    size: Size
    classes: tuple[str, ...]
    accuracy: float | None
    training: Training = USUAL


def own_classifier(
    pictures: Pictures,
    cache: Path,
    deadline: float | None = None,
    training: Training = USUAL,
    say: Say = silent,
) -> Own | None:
    """The classifier of these pictures, from ``<cache>/classifiers/`` or trained now and put there.

    None if training took until ``deadline`` (of ``time.monotonic``). A file that cannot be used is said and made anew.

    Raises:
        UserError: the pictures have no labels or one class.
    """
    path = cache / "classifiers" / f"{pictures.identity[:16]}-{training.sha256[:8]}.safetensors"
    if path.is_file():
        try:
            found = load(path)
        except UserError:
            say(f"{path} is damaged or of another version: the classifier of {pictures.name} is trained anew.")
        else:
            if found.identity == pictures.identity and found.training == training:
                return found
    made = train(pictures, deadline, training)
    if made is not None:
        with contextlib.suppress(OSError, UserError, Stopped):  # a cache that cannot be written costs time alone
            save(path, made)
    return made


def train(pictures: Pictures, deadline: float | None = None, training: Training = USUAL) -> Own | None:
    """Train it on the training part (seconds to a minute) and test it on the held-out part."""
    if pictures.labels is None or len(pictures.classes) < 2:
        lacks = "no labels" if pictures.labels is None else f"a single class ({', '.join(pictures.classes)})"
        raise UserError(
            f"{pictures.name} has {lacks}, so it has no classifier: use a metric of random features or pixels."
        )
    size = view_size(pictures)
    some = pictures.some(MOST_TRAIN)
    labels = torch.from_numpy(pictures.labels[pictures.train[some]])
    net = train_classifier(small(pictures, "train", some, size), labels, len(pictures.classes), deadline, training)
    if net is None:
        return None
    accuracy = None
    if len(pictures.held_out):
        held_out = small(pictures, "held-out", np.arange(len(pictures.held_out)), size)
        named = [net.judge(part.float() / 255).probabilities.argmax(dim=1) for part in held_out.split(BLOCK)]
        truth = torch.from_numpy(pictures.labels[pictures.held_out])
        accuracy = (torch.cat(named) == truth).double().mean().item()
    return Own(net, pictures.name, pictures.identity, size, pictures.classes, accuracy, training)


def view_size(pictures: Pictures) -> Size:
    """(height, width) at which the classifier and the judge look: the source's own size, at most 32 a side."""
    width, height = pictures.source_size
    scale = min(1.0, _LARGEST / max(width, height))
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized_by(size: Size) -> str:
    """How pictures are brought to (height, width), in words."""
    return f"Pillow box, 8 bits, to {size[1]}x{size[0]}"


def small(pictures: Pictures, part: Part, places: Labels, size: Size) -> Tensor:
    """Pictures of a part at a size, uint8 (N, C, *size), by Pillow's box filter, a block at a time."""
    found = torch.empty((len(places), pictures.pixels.shape[1], *size), dtype=torch.uint8)
    for first in range(0, len(places), BLOCK):
        block = torch.from_numpy(pictures.take(part, places[first : first + BLOCK])[0])
        found[first : first + BLOCK] = shrunk(block, size)
    return found


def shrunk(pixels: Tensor, size: Size) -> Tensor:
    """uint8 (N, C, H, W) -> uint8 (N, C, *size), by Pillow's box filter."""
    return pixels if pixels.shape[2:] == size else pillow_bytes(pixels, size, "box")


def view(pixels: Tensor, size: Size) -> Tensor:
    """uint8 (N, C, H, W) -> what the classifier sees: (N, C, *size) in [0, 1]."""
    return shrunk(pixels, size).float() / 255


def save(path: Path, own: Own) -> Path:
    """Write the weights, with everything else in the header."""
    header = {
        "kind": KIND,
        "spec": own.training.sha256,
        "data": own.data,
        "identity": own.identity,
        "size": list(own.size),
        "classes": list(own.classes),
        "accuracy": own.accuracy,
        "sha256": own.net.sha256(),
    }
    return files.write_tensors(path, own.net.state_dict(), header)


def load(path: Path) -> Own:
    """Read a file of ``save``. Nothing in it is executed.

    Raises:
        UserError: the file is not there, is damaged, or is no classifier of this version.
    """
    tensors, header = files.read_tensors(path)
    size, classes, accuracy = header.get("size"), header.get("classes"), header.get("accuracy")
    training = next((known for known in (USUAL, LONG) if known.sha256 == header.get("spec")), None)
    if (
        header.get("kind") != KIND
        or training is None
        or not isinstance(size, list)
        or len(size) != 2
        or not all(isinstance(side, int) and 1 <= side <= _LARGEST for side in size)
        or not isinstance(classes, list)
        or not (accuracy is None or isinstance(accuracy, float))
    ):
        raise UserError(f"{path} is no classifier of this version of zerosum: delete it, and it is trained anew.")
    first = tensors.get("body.0.weight")
    channels = first.shape[1] if first is not None and first.ndim == 4 else 1
    with torch.device("meta"):
        net = Classifier(max(channels, 1), max(len(classes), 1))
    if {name: tensor.shape for name, tensor in tensors.items()} != {
        name: tensor.shape for name, tensor in net.state_dict().items()
    }:
        raise UserError(f"{path} holds other tensors than a classifier of {len(classes)} classes: delete it.")
    net.load_state_dict(tensors, assign=True)
    channels_last(net).eval().requires_grad_(False)  # as after training, for the same bits
    if header.get("sha256") != net.sha256():
        raise UserError(f"{path} holds other weights than its header says: delete it, and it is trained anew.")
    names = tuple(str(name) for name in classes)
    return Own(net, str(header.get("data")), str(header.get("identity")), (size[0], size[1]), names, accuracy, training)
