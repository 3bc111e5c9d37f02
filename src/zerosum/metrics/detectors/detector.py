"""A detector turns pictures into features; its name, weights' hash and resizer belong to every number made with it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerosum.data.pictures import Pictures
from zerosum.data.telling import Say, silent
from zerosum.errors import UserError
from zerosum.metrics.detectors import clip as clip_net
from zerosum.metrics.detectors import dinov2 as dinov2_net
from zerosum.metrics.detectors import inception as inception_net
from zerosum.metrics.detectors import random_features as random_net
from zerosum.metrics.detectors import vgg
from zerosum.metrics.detectors.own import own_classifier, resized_by, view
from zerosum.metrics.detectors.weights import Progress, Published, fill, fits, obtain, read
from zerosum.networks.precision import factors

Pixels = Tensor | npt.NDArray[np.uint8]
"""uint8 (N, C, H, W) with C = 1, 3 or 4."""
Net = TypeVar("Net", bound=nn.Module)

INCEPTION = Published(
    "the Inception-v3 of 2015 (FID, KID, IS, sFID)",
    "pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
)
CLIP = Published(
    "CLIP ViT-L/14 at 336 (CMMD)",
    "clip-vit-large-patch14-336.bin",
    "https://huggingface.co/openai/clip-vit-large-patch14-336/resolve/main/pytorch_model.bin",
)
VGG16 = Published("VGG16 (LPIPS)", "vgg16-397923af.pth", "https://download.pytorch.org/models/vgg16-397923af.pth")
LPIPS = Published(
    "the linear heads of LPIPS 0.1 on VGG16",
    "lpips-0.1-vgg.pth",
    "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/vgg.pth",
)


class Seen(NamedTuple):
    """What a detector says of N pictures, float32 on the CPU.

    Attributes:
        features: (N, width).
        logits: (N, classes) of detectors that also classify.
        spatial: (N, 2023) features of the sFID, from Inception only.
    """

    features: Tensor
    logits: Tensor | None = None
    spatial: Tensor | None = None


@dataclass(frozen=True)
class Detector:
    """Pictures -> features.

    Attributes:
        name: ``inception-2015-12-05``, ``dinov2-vitl14``, ``clip-vitl14-336``, ``random``, ``classifier-<data>``.
        width: of the features.
        sha256: of the file of weights (of the weights themselves where there is no file).
        resizer: how pictures are brought to the network's size, in words.
        see: one block of pictures, uint8 (N, C, H, W) -> what is seen.
        block: pictures that are looked at together.
        accuracy: of a detector that is the data's own classifier, on held-out pictures.
    """

    name: str
    width: int
    sha256: str
    resizer: str
    see: Callable[[Tensor], Seen]
    block: int
    accuracy: float | None = None

    def look(self, pictures: Pixels) -> Seen:
        """Everything about any number of pictures, uint8 (N, C, H, W), block by block.

        A picture's features do not depend on the pictures beside it. Raises ``ValueError`` for anything else.
        """
        shape = tuple(pictures.shape)
        if pictures.dtype not in (torch.uint8, np.uint8) or len(shape) != 4 or shape[1] not in (1, 3, 4) or 0 in shape:
            raise ValueError(f"a detector looks at uint8 (N, 1|3|4, H, W), not {pictures.dtype} {shape}")
        blocks = (pictures[start : start + self.block] for start in range(0, shape[0], self.block))
        with torch.no_grad(), exactly():
            # arrays are copied block by block: they may be read-only, or larger than the memory
            parts = [self.see(x if isinstance(x, Tensor) else torch.from_numpy(np.array(x))) for x in blocks]
        features, logits, spatial = zip(*parts, strict=True)
        return Seen(torch.cat(features).cpu(), _joined(logits), _joined(spatial))

    def features(self, pictures: Pixels) -> Tensor:
        """(N, width) of uint8 (N, C, H, W); see ``look``."""
        return self.look(pictures).features


@dataclass(frozen=True)
class Perceptual:
    """LPIPS: ``distance`` of pictures i of two batches (N, 1|3, H, W) in [-1, 1], (N,).

    ``sha256`` belongs to the files of the network and of the heads.
    """

    name: str
    sha256: tuple[str, str]
    distance: Callable[[Tensor, Tensor], Tensor]


def inception(
    weights: Path | None,
    cache: Path,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    say: Say = silent,
) -> Detector:
    """Inception-v3 of 2015: the only network whose Fréchet distance is called FID.

    The arguments of this and the next ones: a file of weights (None: the cache, then the official address), the cache
    folder, where to compute, what is called while a file is downloaded, and what is told of a file's first use.
    Raises ``UserError`` as ``obtain`` does.
    """
    found = obtain(INCEPTION, cache, weights, progress, say)
    tensors = {name: value for name, value in found.tensors.items() if not name.endswith("num_batches_tracked")}
    net = inception_net.fold(fill(_empty(inception_net.Inception), tensors, INCEPTION, ("AuxLogits.",))).to(device)

    def see(pictures: Tensor) -> Seen:
        return Seen(*net(inception_net.prepare(pictures.to(device))))

    return Detector("inception-2015-12-05", inception_net.WIDTH, found.sha256, inception_net.RESIZER, see, block=50)


def dinov2(
    weights: Path | None,
    cache: Path,
    spec: dinov2_net.Spec = dinov2_net.VIT_L,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    say: Say = silent,
) -> Detector:
    """DINOv2's class token; ViT-L/14 is what published numbers use, the smaller ones are for tracking."""
    published = dinov2_published(spec)
    found = obtain(published, cache, weights, progress, say)
    net = fill(_empty(lambda: dinov2_net.DinoV2(spec)), found.tensors, published, dinov2_net.IGNORED).to(device)

    def see(pictures: Tensor) -> Seen:
        return Seen(net(dinov2_net.prepare(pictures, spec.size).to(device)))

    return Detector(spec.name, spec.width, found.sha256, spec.resizer, see, block=32)


def dinov2_published(spec: dinov2_net.Spec) -> Published:
    """Where Meta publishes the weights of a network."""
    name = spec.name.replace("-", "_")
    address = f"https://dl.fbaipublicfiles.com/dinov2/{name}/{name}_pretrain.pth"
    return Published(f"DINOv2 {spec.name.removeprefix('dinov2-')} (fd-dinov2)", f"{name}_pretrain.pth", address)


def clip(
    weights: Path | None,
    cache: Path,
    spec: clip_net.Spec = clip_net.VIT_L_336,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    say: Say = silent,
) -> Detector:
    """CLIP's image embeddings of length 1, for CMMD."""
    found = obtain(CLIP, cache, weights, progress, say)
    net = fill(_empty(lambda: clip_net.Clip(spec)), found.tensors, CLIP, clip_net.IGNORED).to(device)

    def see(pictures: Tensor) -> Seen:
        return Seen(net(clip_net.prepare(pictures, spec.size).to(device)))

    return Detector(spec.name, spec.projection, found.sha256, spec.resizer, see, block=16)


def lpips(
    weights: Path | None,
    heads: Path | None,
    cache: Path,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    say: Say = silent,
) -> Perceptual:
    """LPIPS 0.1 on VGG16 with its two files of weights."""
    found, learned = (
        obtain(VGG16, cache, weights, progress, say),
        obtain(LPIPS, cache, heads, progress, say),
    )
    net = fill(_empty(vgg.Vgg16), found.tensors, VGG16, vgg.IGNORED).to(device)
    top = fill(_empty(vgg.Heads), learned.tensors, LPIPS).to(device)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        blocks = zip(a.split(16), b.split(16), strict=True)
        with exactly():
            return torch.cat([vgg.lpips(net, top, x.to(device), y.to(device)).cpu() for x, y in blocks])

    return Perceptual("lpips-0.1-vgg", (found.sha256, learned.sha256), distance)


def random_features() -> Detector:
    """The fixed random network: no download, any pictures, comparable only with itself."""

    def see(pictures: Tensor) -> Seen:
        return Seen(random_net.random_features(pictures))

    return Detector("random", random_net.WIDTH, random_net.banks().sha256, random_net.RESIZER, see, block=250)


def classifier(pictures: Pictures, cache: Path, say: Say = silent) -> Detector:
    """The data's own classifier (trained now, or before); raises ``UserError`` without labels."""
    made, channels = own_classifier(pictures, cache, say=say), pictures.pixels.shape[1]
    assert made is not None, "without a deadline there is always a classifier"
    own = made

    def see(pictures: Tensor) -> Seen:
        if pictures.shape[1] != channels:
            raise ValueError(f"the classifier of {own.data} looks at {channels} channels, not {pictures.shape[1]}")
        features = own.net.body(view(pictures, own.size))
        return Seen(features, own.net.head(F.leaky_relu(features, 0.1)))

    resizer, width = resized_by(own.size), own.net.head.in_features
    return Detector(f"classifier-{pictures.name}", width, own.net.sha256(), resizer, see, 1000, own.accuracy)


def recognised(path: Path) -> Published | None:
    """What a file of weights is, by its name or by the names and shapes in it; None if it is none of those here.

    Raises:
        UserError: it is not there, or holds no weights.
    """
    if not path.is_file():
        raise UserError(f"--weights {path} is not there: give a file of weights.")
    dino = dinov2_published(dinov2_net.VIT_L)
    builds: dict[Published, Callable[[], nn.Module]] = {
        INCEPTION: inception_net.Inception,
        CLIP: lambda: clip_net.Clip(clip_net.VIT_L_336),
        dino: lambda: dinov2_net.DinoV2(dinov2_net.VIT_L),
        VGG16: vgg.Vgg16,
        LPIPS: vgg.Heads,
    }
    named = next((published for published in builds if published.file == path.name), None)
    if named is not None:
        return named
    tensors = read(path, Published("weights of a detector", "a file", "its official address"))
    return next((published for published, build in builds.items() if fits(_empty(build), tensors)), None)


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    """One tensor, or None where the detector has no such thing."""
    there = [part for part in parts if part is not None]
    return torch.cat(there).cpu() if there else None


@contextlib.contextmanager
def exactly() -> Iterator[None]:
    """Full float32 inside: no autocast, and on a GPU no TF32, which shifts a FID by hundredths."""
    with torch.autocast("cpu", enabled=False):
        if not torch.cuda.is_available():
            yield
            return
        with torch.autocast("cuda", enabled=False), factors(torch.device("cuda")):
            yield


def _empty(build: Callable[[], Net]) -> Net:
    """A network without memory, to be filled."""
    with torch.device("meta"):
        return build()
