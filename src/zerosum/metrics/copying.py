"""Whether generated pictures are copies of training pictures, as far as features show it.

Neither number proves anything alone: both have been seen to miss generators that memorise (Stein et al. 2023), and both
rise with pictures that are merely far from every real one. Show the value of held-out real pictures beside them, and
look at the nearest training pictures.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from zerosum import streams
from zerosum.metrics.checks import check_features, check_sides
from zerosum.metrics.frechet import gaussian_of
from zerosum.metrics.neighbours import k_nearest

ENOUGH = 20  # generated points that a cell needs more of


class Copying(NamedTuple):
    """The z-score C_T, and the share of held-out points that lie in the cells it was taken from."""

    score: float
    used: float


def data_copying(
    *, train: Tensor, held_out: Tensor, fake: Tensor, cells: int = 3, components: int = 64, seed: int = 0
) -> Copying:
    """C_T: are fakes nearer to the training set than held-out points are? (Meehan et al. 2020)

    Far below 0: copying; about 0: as near as held-out points; far above 0: underfitting. Features (N, d) are projected
    on the first ``components`` principal axes of the training set where d is larger, and cut into ``cells`` by k-means
    of the training set. In each cell the distances of fakes and of held-out points to the cell's nearest training point
    are compared by the z-score of Mann and Whitney's U (with half a count of continuity correction), and the scores are
    averaged by the held-out points' shares over the cells with more than 20 fakes.

    A fake that is far away balances one that is copied, so that noise among the fakes hides copying; and with many
    points a z-score grows without bound: compare only equal counts.

    Raises:
        ValueError: too few points, different widths, features that are not finite, a cell without held-out points, or
            no cell with more than 20 fakes.
    """
    from sklearn.cluster import KMeans  # loading it takes a while

    if cells < 1 or components < 1:
        raise ValueError(f"cells={cells} and components={components} must be 1 or more")
    check_sides({"train": train, "held_out": held_out, "fake": fake}, 1)
    check_features(train, "train", max(cells, 2))
    sides = [train, held_out, fake]
    if train.shape[1] > components:
        gaussian = gaussian_of(train)
        axes = torch.linalg.eigh(gaussian.covariance).eigenvectors[:, -components:]  # ascending
        sides = [torch.cat([(part.double() - gaussian.mean) @ axes for part in side.split(4096)]) for side in sides]
    clusters = KMeans(cells, n_init=10, random_state=streams.seed_of(seed, "data copying") % 2**32)
    clusters.fit(np.asarray(sides[0].cpu()))
    found = [torch.from_numpy(clusters.predict(np.asarray(side.cpu()))).to(side.device) for side in sides]
    scores: list[float] = []
    weights: list[int] = []
    for cell in range(cells):
        own, held, made = (side[labels == cell] for side, labels in zip(sides, found, strict=True))
        if len(made) <= ENOUGH:
            continue
        if min(len(own), len(held)) == 0:
            raise ValueError(f"cell {cell} has {len(own)} training and {len(held)} held-out points: take fewer cells")
        distances = (k_nearest(to=own, points=side).distance[:, 0] for side in (made, held))
        scores.append(rank_score(*distances))
        weights.append(len(held))
    if not scores:
        raise ValueError(f"none of the {cells} cells has more than {ENOUGH} of the {len(fake)} fakes")
    mean = sum(score * weight for score, weight in zip(scores, weights, strict=True)) / sum(weights)
    return Copying(mean, sum(weights) / len(held_out))


def rank_score(a: Tensor, b: Tensor) -> float:
    """Z-score of Mann and Whitney's U of a (N,) against b (M,): above 0 where a is the larger (Meehan et al. 2020).

    U counts the pairs with a > b, and half of those with a = b; its mean is NM/2, less the half of a count.
    """
    ordered = b.sort().values
    below = torch.searchsorted(ordered, a, right=False)
    not_above = torch.searchsorted(ordered, a, right=True)
    u = (below + not_above).double().sum().item() / 2
    n, m = len(a), len(b)
    return (u - (n * m / 2 - 0.5)) / math.sqrt(n * m * (n + m + 1) / 12)


def authenticity(*, train: Tensor, fake: Tensor) -> float:
    """Share of fakes that are farther from their nearest training point than that one from its nearest other.

    AuthPct is 100 times as much (Alaa et al. 2022, as Stein et al. 2023 compute it). Held-out real
    pictures do not reach 1 (CIFAR-10 in DINOv2's features: .7223), and pictures off the data do.

    Raises:
        ValueError: fewer than two training points, no fakes, different widths, or features that are not finite.
    """
    check_sides({"train": train, "fake": fake}, 1)
    check_features(train, "train", 2)
    distance, place = (column[:, 0] for column in k_nearest(to=train, points=fake))
    originals, which = place.unique(return_inverse=True)
    others = k_nearest(to=train, points=train[originals], own=originals).distance[:, 0]
    return (distance > others[which]).double().mean().item()
