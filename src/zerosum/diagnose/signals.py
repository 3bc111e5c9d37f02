"""What the diagnosis looks at, as pure functions of scores and pictures.

None of it depends on the loss: scores are compared with each other and never with a number of their own, for losses
differ in where "real" begins and relativistic ones have no such place.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Signals = dict[str, float]
SIDE = 16  # pixels of a view's longer side
K = 5
LEAST_HELD = 20  # for a comparison of distances
LEAST_OF_CLASS = 4  # pictures, on average
NEAR_COPY = 0.5  # nearer to a training picture than this share of the held-out pictures' median distance
DECILES = 11


def of_scores(*, train: Tensor, fake: Tensor, held: Tensor | None) -> Signals:
    """The critic on training pictures, held-out ones and fakes: scores (N,), higher is more real.

    ``separates`` is the chance that a held-out picture scores above a fake (the area under the ROC curve), and
    ``remembers`` that a training picture scores above a held-out one: .5 where the critic has learnt nothing by heart.
    Accuracies are taken at the middle between the two mean scores. ``r_v`` and ``r_t`` are the measures of overfitting
    of Karras et al. 2020 (ADA, eq. 1). Without held-out pictures training pictures stand in and what needs both is
    left out.
    """
    real = train if held is None else held
    middle = (train.mean() + fake.mean()) / 2
    found = {
        "accuracy_train": _share(train > middle),
        "accuracy_fake": _share(fake < middle),
        "separates": above(real, fake),
        "gap": (train.mean() - fake.mean()).item(),
        "spread": torch.cat([train - train.mean(), fake - fake.mean()]).square().mean().sqrt().item(),
        "r_t": train.sign().mean().item(),
    }
    if held is not None:
        gap = (train.mean() - fake.mean()).item()
        found["accuracy_held"] = _share(held > middle)
        found["remembers"] = above(train, held)
        found["r_v"] = (train.mean() - held.mean()).item() / gap if abs(gap) > 1e-12 else 0.0
    return found


def above(first: Tensor, second: Tensor) -> float:
    """The chance that one of the first (N,) is larger than one of the second (M,); equal ones count half."""
    ordered = second.double().sort().values
    below = torch.searchsorted(ordered, first.double(), right=False)
    not_above = torch.searchsorted(ordered, first.double(), right=True)
    return ((below + not_above).double().sum() / (2 * len(first) * len(second))).item()


def deciles(scores: Tensor) -> list[float]:
    """Eleven quantiles of scores (N,), the least and the largest among them."""
    grid = torch.linspace(0, 1, DECILES, dtype=torch.float64, device=scores.device)
    return [float(f"{value:.5g}") for value in scores.double().quantile(grid).tolist()]


def view(pictures: Tensor) -> Tensor:
    """Pictures (N, C, H, W) in [-1, 1] as points (N, d): averaged over areas to at most 16 pixels a side."""
    height, width = pictures.shape[2:]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = pictures if size == (height, width) else F.interpolate(pictures, size, mode="area")
    return small.clamp(-2, 2).flatten(1).float()  # a generator without tanh may leave the range


@dataclass(frozen=True)
class Reals:
    """Views of real pictures that fakes are compared with, and what is known of them.

    Attributes:
        known: training pictures (M, d), the first ``count`` of which also stand for real pictures as such.
        held: held-out ones (H, d), or None.
    """

    known: Tensor
    held: Tensor | None
    count: int

    @functools.cached_property
    def radius(self) -> Tensor:
        """The distance of each of the first ``count`` to its k-th neighbour among them."""
        return self._own.kthvalue(min(K, self.count - 1), dim=1).values

    @functools.cached_property
    def unit(self) -> Tensor:
        """Of each held-out picture, or else each training picture, the distance to the nearest (other) training one."""
        return _others(self.known) if self.held is None else distances(self.held, self.known).amin(1)

    @functools.cached_property
    def _own(self) -> Tensor:
        own = distances(self.known[: self.count], self.known[: self.count])
        return own.fill_diagonal_(torch.inf)

    def of_fakes(self, fake: Tensor, name: str) -> Signals:
        """How varied fakes (N, d) are, and how much of the real pictures they cover.

        ``diversity`` is the mean distance of two fakes, and ``crowding`` the median distance to the nearest other one,
        in units of those of real pictures: the first is low for one mode, the second for a few too. ``precision`` and
        ``coverage`` as in ``metrics.neighbours``, with k = 5.
        """
        if not fake.isfinite().all() or self.count <= K:
            return {}
        among = distances(fake, fake).fill_diagonal_(torch.inf)
        inside = distances(fake, self.known[: self.count]) <= self.radius
        return {
            f"diversity_{name}": _mean(among) / max(_mean(self._own), 1e-9),
            f"crowding_{name}": (among.amin(1).median() / self._own.amin(1).median().clamp_min(1e-9)).item(),
            f"coverage_{name}": _share(inside.any(0)),
            f"precision_{name}": _share(inside.any(1)),
        }

    def of_classes(self, fake: Tensor, labels: Tensor) -> dict[int, tuple[float, float]]:
        """Of each class: the share of its real pictures that fakes (N, d) cover, and the share of fakes nearest to it.

        Of the first ``count`` real pictures, whose labels are (count,); empty where classes have fewer than four.
        """
        kinds = labels.unique()
        if not fake.isfinite().all() or self.count <= K or len(labels) < LEAST_OF_CLASS * len(kinds):
            return {}
        apart = distances(fake, self.known[: self.count])
        covered, nearest = (apart <= self.radius).any(0), labels[apart.argmin(1)]
        return {int(kind): (_share(covered[labels == kind]), _share(nearest == kind)) for kind in kinds}

    def moved(self, before: Tensor, now: Tensor) -> float:
        """How far fakes of the same latents have gone, in units of the mean distance of two real pictures."""
        return (before - now).norm(dim=1).mean().item() / max(_mean(self._own), 1e-9)

    def of_copies(self, fake: Tensor) -> Signals:
        """Whether fakes (N, d) are copies.

        ``nearest_train`` is the median distance of fakes to the nearest training picture in units of that of held-out
        pictures, and ``copies`` the share of near-copies above theirs: half as far from a training picture as is usual,
        and as from any held-out one, for grey is near to whatever has little contrast. ``nearest`` is the median of how
        much nearer a fake is to training pictures than to held-out ones, in units of the same for held-out pictures
        among themselves: no blur and no unequal numbers change it, and copies lower it towards 0. Without held-out
        pictures the other training pictures are the measure, and ``nearest`` is left out.
        """
        if not fake.isfinite().all() or len(self.known) < 2:
            return {}
        apart = distances(fake, self.known)
        each, median = apart.amin(1), self.unit.median().clamp_min(1e-9)
        other = apart.kthvalue(2, dim=1).values if self.held is None else distances(fake, self.held).amin(1)
        near = [
            _share((own < NEAR_COPY * median) & (own < NEAR_COPY * beside))
            for own, beside in ((each, other), (self.unit, self._beside))
        ]
        found = {"nearest_train": (each.median() / median).item(), "copies": max(0.0, near[0] - near[1])}
        if self.held is not None and len(self.held) >= LEAST_HELD:
            found["nearest"] = ((each / other.clamp_min(1e-9)).median() / self._odds).item()
        return found

    @functools.cached_property
    def _beside(self) -> Tensor:
        """Of each of ``unit``'s pictures, the distance to the nearest other held-out picture, or else the next one."""
        return _others(self.known, 2) if self.held is None else _others(self.held)

    @functools.cached_property
    def _odds(self) -> Tensor:
        """How much nearer held-out pictures are to training pictures than to each other."""
        assert self.held is not None
        return (self.unit / self._beside.clamp_min(1e-9)).median().clamp_min(1e-9)


@dataclass(frozen=True)
class Changed:
    """Real pictures as they are and as training changes them, and the same of held-out ones; views (N, d)."""

    real: Tensor
    changed: Tensor
    held: Tensor
    held_changed: Tensor

    @functools.cached_property
    def ends(self) -> tuple[float, float]:
        """How many held-out pictures, as they are and changed, have a changed one as their nearest."""
        return self._share(self.held), self._share(self.held_changed)

    def leak(self, fake: Tensor) -> float:
        """How far fakes (N, d) have the look of changed pictures: 0 as held-out ones as they are, 1 as changed ones.

        0 too where that tells changed held-out pictures from others too seldom to say anything.
        """
        least, most = self.ends
        return (self._share(fake) - least) / (most - least) if most - least > 0.3 else 0.0

    def _share(self, points: Tensor) -> float:
        return _share(distances(points, self.changed).amin(1) < distances(points, self.real).amin(1))


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances (N, M) of points (N, d) and (M, d), by products: exact to about a thousandth of the scale."""
    return torch.cdist(a, b, compute_mode="use_mm_for_euclid_dist")


def _others(points: Tensor, k: int = 1) -> Tensor:
    """The distance of each point (N, d) to its k-th nearest other one, or the farthest of fewer."""
    own = distances(points, points).fill_diagonal_(torch.inf)
    return own.kthvalue(max(1, min(k, len(own) - 1)), dim=1).values


def largest_singular(weight: Tensor, steps: int = 4) -> float:
    """About the largest singular value of a layer's weights (out, ...), by power iteration from a fixed start."""
    matrix = weight.detach().flatten(1).float()
    v = torch.ones(matrix.shape[1], device=matrix.device) / math.sqrt(matrix.shape[1])
    v = v + 0.5 * torch.linspace(-1, 1, len(v), device=v.device) / math.sqrt(len(v))  # not orthogonal to what is odd
    for _ in range(steps):
        u = F.normalize(matrix @ v, dim=0)
        v = F.normalize(matrix.T @ u, dim=0)
    return (matrix @ v).norm().item()


def _mean(distances: Tensor) -> float:
    """Of square distances, infinite along the diagonal."""
    finite = distances.isfinite()
    return (torch.where(finite, distances, 0).sum() / finite.sum()).item()


def _share(mask: Tensor) -> float:
    return mask.double().mean().item()
