"""How different generated pictures are from each other: a mean over random pairs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zerosum import streams
from zerosum.metrics.checks import spans
from zerosum.metrics.structural import ms_ssim

PairDistance = Callable[[Tensor, Tensor], Tensor]  # pictures (N, C, H, W) twice -> (N,)


def ms_ssim_diversity(pictures: Tensor, pairs: int = 100, seed: int = 0, block: int = 32) -> float:
    """Mean multi-scale similarity of random pairs: higher means less diverse (Odena et al. 2017, section 4.2).

    Pictures (N, C, H, W) of one class, uint8 or floats in [0, 1]; the paper takes 100 pairs per class. Read it beside
    the value of real pictures of that class. Scales of small pictures: see ``ms_ssim``.

    Raises:
        ValueError: fewer than two pictures, no pairs, or pictures that ``ms_ssim`` refuses.
    """
    return _mean_over_pairs(pictures, ms_ssim, pairs, seed, block)


def lpips_diversity(
    pictures: Tensor, distance: PairDistance, pairs: int = 1000, seed: int = 0, block: int = 32
) -> float:
    """Mean perceptual distance of random pairs: higher means more diverse, or noisier.

    ``distance`` compares pictures (N, C, H, W) one by one, (N,); pictures are given to it as they are. The number
    belongs to that distance (network, version, range): LPIPS is one. Noise raises it: read it beside a distance to
    real pictures.

    Raises:
        ValueError: fewer than two pictures, no pairs, or a distance that does not give one finite number per pair.
    """
    return _mean_over_pairs(pictures, distance, pairs, seed, block)


def class_diversity(
    pictures: Tensor, labels: Tensor, distance: PairDistance, pairs: int = 1000, seed: int = 0, block: int = 32
) -> float:
    """Mean over the classes of the mean distance of random pairs within the class: a collapse by class is seen.

    Labels are integers (N,); the ``pairs`` are shared out among the classes that occur.

    Raises:
        ValueError: labels that do not fit, a class with a single picture, or as ``lpips_diversity``.
    """
    if labels.shape != pictures.shape[:1] or labels.is_floating_point():
        raise ValueError(f"labels must be {len(pictures)} integers, one per picture, not {tuple(labels.shape)}")
    classes, counts = labels.unique(return_counts=True)
    single = classes[counts < 2].tolist()
    if single:
        more = f" and {len(single) - 3} more" if len(single) > 3 else ""
        raise ValueError(
            f"pairs within a class need two pictures of it, and there is one alone of class "
            f"{', '.join(map(str, single[:3]))}{more} among the {len(pictures)}"
        )
    each = max(1, pairs // max(1, len(classes)))
    values = [_mean_over_pairs(pictures[labels == c], distance, each, seed, block) for c in classes.tolist()]
    return sum(values) / len(values)


def random_pairs(count: int, pairs: int, seed: int) -> Tensor:
    """``pairs`` pairs (pairs, 2) of two different ones of ``count`` items, each pair as likely as any other."""
    if count < 2 or pairs < 1:
        raise ValueError(f"{pairs} pairs of {count} pictures: at least one pair of two pictures is needed")
    unit = torch.from_numpy(streams.uniforms(seed, "random pairs", 0, pairs, 2)).double()
    first = (unit[:, 0] * count).long()
    second = (first + 1 + (unit[:, 1] * (count - 1)).long()) % count
    return torch.stack([first, second], dim=1)


def _mean_over_pairs(pictures: Tensor, distance: PairDistance, pairs: int, seed: int, block: int) -> float:
    places = random_pairs(len(pictures), pairs, seed).to(pictures.device)
    total = 0.0
    for part in spans(pairs, block):
        found = distance(pictures[places[part, 0]], pictures[places[part, 1]])
        if found.shape != places[part].shape[:1] or not found.isfinite().all():
            raise ValueError(f"the distance of {len(places[part])} pairs must be as many finite numbers, not {found}")
        total += found.double().sum().item()
    return total / pairs
