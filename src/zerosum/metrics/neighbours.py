"""Nearest neighbours: improved precision and recall, density and coverage.

Distances are Euclidean. Products of tiles are taken in float32, and wherever its rounding could change an answer the
pair is measured again as a float64 difference: the answers are those of float64, at the speed of float32, and memory
does not grow with the number of pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zerosum.metrics.checks import check_features, check_sides, spans

_ROWS, _COLUMNS = 2048, 1024  # of a tile
_SPARE = 4  # candidates beyond the k-th that are measured exactly
_AT_ONCE = 2**18  # float64 numbers of exact differences at once: they stay in the cache
_CROWD = 1 / 64  # a tile with a larger share of doubtful pairs is multiplied again in float64


class Coverage(NamedTuple):
    """The four k-nearest-neighbour measures of one comparison, each a share in [0, 1] except ``density`` (>= 0)."""

    precision: float
    recall: float
    density: float
    coverage: float


class Nearest(NamedTuple):
    """Distances (N, k), float64 and ascending, and which points they lead to: (N, k) int64."""

    distance: Tensor
    index: Tensor


class _Balls(NamedTuple):
    """Points (N, d) and the squared radii (N,) of the balls around them."""

    points: Tensor
    squares: Tensor


class _Centred(NamedTuple):
    """Points (N, d) less a common centre, and their squared lengths (N,) in float64."""

    points: Tensor
    lengths: Tensor


class _Inside(NamedTuple):
    """Of a tile of reals and fakes: which fakes and reals lie in whose balls, and how many pairs do."""

    precise: Tensor  # (fakes,) in a real ball
    recalled: Tensor  # (reals,) in a fake ball
    covered: Tensor  # (reals,) whose ball holds a fake
    dense: int


def neighbour_measures(*, real: Tensor, fake: Tensor, k: int = 5) -> Coverage:
    """Improved precision and recall, density and coverage.

    A ball around each point reaches to its k-th nearest neighbour in its own set, itself excluded. Precision is the
    share of fakes inside at least one real ball, recall the share of reals inside at least one fake ball (``<=``,
    Kynkäänniemi et al. 2019, eq. 1-2). Density counts, per fake, the real balls it lies in, divided by k; coverage is
    the share of reals with at least one fake in their ball (``<``, Naeem et al. 2020, eq. 4-5). For two samples of one
    distribution coverage tends to 1 - 2^-k. Published precision and recall use k = 3, density and coverage k = 5.

    Raises:
        ValueError: fewer than k + 1 points on a side, features of different width, or features that are not finite.
    """
    if k < 1 or min(len(real), len(fake)) <= k or real.shape[1:] != fake.shape[1:]:
        raise ValueError(
            f"real {tuple(real.shape)} and fake {tuple(fake.shape)} must have the same width and more than k={k} points"
        )
    check_sides({"real": real, "fake": fake}, k + 1)
    reals, fakes = _balls(real, k), _balls(fake, k)
    centre = _centre(real)
    precise = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    recalled, covered = (torch.zeros(len(real), dtype=torch.bool, device=real.device) for _ in range(2))
    dense = 0
    for rows in spans(len(real), _ROWS):
        part = _Balls(real[rows], reals.squares[rows])
        x = _centred(part.points, centre, torch.float32)
        for columns in spans(len(fake), _COLUMNS):
            inside = _inside(part, x, _Balls(fake[columns], fakes.squares[columns]), centre)
            precise[columns] |= inside.precise
            recalled[rows] |= inside.recalled
            covered[rows] |= inside.covered
            dense += inside.dense
    return Coverage(_share(precise), _share(recalled), dense / (k * len(fake)), _share(covered))


def k_nearest(*, to: Tensor, points: Tensor, k: int = 1, own: Tensor | None = None) -> Nearest:
    """The k nearest of ``to`` (M, d) to each of ``points`` (N, d).

    ``own`` (N,) int64 names for each point the one place in ``to`` that does not count, itself.

    Raises:
        ValueError: fewer than k points to choose from, different widths, or features that are not finite.
    """
    check_features(points, "the", 0)
    check_features(to, "the other", k if own is None else k + 1)
    if to.shape[1] != points.shape[1]:
        raise ValueError(f"points of width {points.shape[1]} have no neighbours among points of width {to.shape[1]}")
    squares, index = _k_smallest(points, to, k, own)
    return Nearest(squares.sqrt(), index)


def _balls(points: Tensor, k: int) -> _Balls:
    own = torch.arange(len(points), device=points.device)
    return _Balls(points, _k_smallest(points, points, k, own, last=True)[0][:, -1])


def _k_smallest(points: Tensor, to: Tensor, k: int, own: Tensor | None, last: bool = False) -> tuple[Tensor, Tensor]:
    """Squared distances (N, k), float64 and ascending, and places (N, k) of the k nearest.

    With ``last`` only the last column is needed, and exact.
    """
    centre = _centre(to)
    squares = torch.empty(len(points), k, dtype=torch.float64, device=points.device)
    index = torch.empty(len(points), k, dtype=torch.int64, device=points.device)
    for rows in spans(len(points), _ROWS):
        part, left_out = points[rows], None if own is None else own[rows]
        found, places, unsure = _candidates(part, to, k, left_out, centre, last)
        if unsure.any():
            chosen = None if left_out is None else left_out[unsure]
            found[unsure], places[unsure] = _within(part[unsure], to, k, chosen, centre, found[unsure, -1])
        squares[rows], index[rows] = found, places
    return squares, index


def _candidates(
    points: Tensor, to: Tensor, k: int, own: Tensor | None, centre: Tensor, last: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Squared distances and places (N, k) of the nearest, and which rows (N,) might have nearer ones.

    A few more than k are chosen by products in float32; those are then measured exactly, or as many as the ``last``
    column needs.
    """
    choices = len(to) - (own is not None)
    wanted = min(k + _SPARE, choices)
    x = _centred(points, centre, torch.float32)
    score = torch.empty(len(points), 0, dtype=torch.float64, device=points.device)
    places = torch.empty(len(points), 0, dtype=torch.int64, device=points.device)
    longest = 0.0
    for columns in spans(len(to), _COLUMNS):
        y = _centred(to[columns], centre, torch.float32)
        longest = max(longest, y.lengths.max().item())
        near = _nearness(x, y, own, columns.start)
        best = near.topk(min(wanted, near.shape[1]), dim=1)
        score = torch.cat([score, best.values.double()], dim=1)
        places = torch.cat([places, best.indices + columns.start], dim=1)
        best = score.topk(min(wanted, score.shape[1]), dim=1)
        score, places = best.values, places.gather(1, best.indices)
    squares = x.lengths[:, None] - 2 * score
    slack = _slack(torch.float32, len(centre)) * (x.lengths + longest)
    # of those that are surely nearer or surely farther than the k-th, the last alone needs no more digits
    needed = (squares - squares[:, k - 1 : k]).abs() <= 2 * slack[:, None] if last else squares == squares
    row, column = needed.nonzero(as_tuple=True)
    squares[row, column] = _exact_squares(points, to, row, places[row, column])
    squares, order = squares.sort(dim=1)
    beyond = x.lengths - 2 * score[:, -1] - slack
    unsure = (squares[:, k - 1] > beyond) & (squares[:, k - 1] > 0) & (wanted < choices)
    return squares[:, :k], places.gather(1, order)[:, :k], unsure


def _within(
    points: Tensor, to: Tensor, k: int, own: Tensor | None, centre: Tensor, reach: Tensor
) -> tuple[Tensor, Tensor]:
    """The same, measuring all that may lie within the squared distance ``reach`` (N,), by products in float64."""
    x = _centred(points, centre, torch.float64)
    squares = x.lengths.new_full((len(points), k), torch.inf)
    places = torch.zeros(len(points), k, dtype=torch.int64, device=points.device)
    for columns in spans(len(to), _COLUMNS):
        y = _centred(to[columns], centre, torch.float64)
        near = _nearness(x, y, own, columns.start)
        slack = _slack(torch.float64, len(centre)) * (x.lengths + y.lengths.max())
        row, column = (near >= ((x.lengths - reach - slack) / 2)[:, None]).nonzero(as_tuple=True)
        exact = near.fill_(torch.inf)
        exact[row, column] = _exact_squares(points, to[columns], row, column)
        best = torch.cat([squares, exact], dim=1).topk(k, dim=1, largest=False)
        place = torch.arange(columns.start, columns.stop, device=points.device).expand(len(points), -1)
        squares, places = best.values, torch.cat([places, place], dim=1).gather(1, best.indices)
    return squares, places


def _nearness(x: _Centred, y: _Centred, own: Tensor | None, start: int) -> Tensor:
    """x.y - |y|^2 / 2, (N, M): largest where the distance is smallest; no number is lower than one's own place."""
    near = _product(x, y).sub_(y.lengths / 2)
    if own is not None:
        mine = ((own >= start) & (own < start + near.shape[1])).nonzero()[:, 0]
        near[mine, own[mine] - start] = -torch.inf
    return near


def _inside(real: _Balls, x: _Centred, fake: _Balls, centre: Tensor) -> _Inside:
    """Who lies in whose ball, within one tile; x are the real points about the centre."""
    y = _centred(fake.points, centre, torch.float32)
    in_real, in_fake, doubtful = _compare(x, real.squares, y, fake.squares, _slack(torch.float32, len(centre)))
    if doubtful.sum() > _CROWD * doubtful.numel():
        x, y = (_centred(side.points, centre, torch.float64) for side in (real, fake))
        in_real, in_fake, doubtful = _compare(x, real.squares, y, fake.squares, _slack(torch.float64, len(centre)))
    row, column = doubtful.nonzero(as_tuple=True)
    in_real[row, column] = in_fake[row, column] = False
    precise, recalled, covered = in_real.any(dim=0), in_fake.any(dim=1), in_real.any(dim=1)
    dense = int(in_real.sum())
    for part in spans(len(row), 2**20):
        i, j = row[part], column[part]
        squares = _exact_squares(real.points, fake.points, i, j)
        precise[j[squares <= real.squares[i]]] = True
        recalled[i[squares <= fake.squares[j]]] = True
        strictly = squares < real.squares[i]
        covered[i[strictly]] = True
        dense += int(strictly.sum())
    return _Inside(precise, recalled, covered, dense)


def _compare(
    x: _Centred, x_squares: Tensor, y: _Centred, y_squares: Tensor, slack: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Masks (N, M): pairs surely in the ball around x, surely in the one around y, and those to be measured exactly.

    |x - y|^2 <= r^2 is the same as x.y - |y|^2 / 2 >= (|x|^2 - r^2) / 2.
    """
    product = _product(x, y)
    slack = slack / 2
    near = product - (y.lengths / 2).to(product.dtype)
    edge, width = (x.lengths - x_squares) / 2, slack * (x.lengths + y.lengths.max())
    in_x = near > (edge + width).to(near.dtype)[:, None]
    doubtful = (near >= (edge - width).to(near.dtype)[:, None]) ^ in_x
    near = product.sub_((x.lengths / 2).to(product.dtype)[:, None])
    edge, width = (y.lengths - y_squares) / 2, slack * (y.lengths + x.lengths.max())
    in_y = near > (edge + width).to(near.dtype)
    doubtful |= (near >= (edge - width).to(near.dtype)) ^ in_y
    return in_x, in_y, doubtful


def _centred(points: Tensor, centre: Tensor, dtype: torch.dtype) -> _Centred:
    """In ``dtype``, or in float64 where the squares are too large or too small for float32."""
    single = dtype == torch.float32 and points.dtype != torch.float64
    moved = points.float() - centre.float() if single else points.double() - centre
    lengths = torch.linalg.vector_norm(moved, dim=1).double().square()
    if dtype == torch.float32 and not 1e-24 < lengths.max() < 1e24:
        return _centred(points, centre, torch.float64)
    return _Centred(moved.to(dtype), lengths)


def _product(x: _Centred, y: _Centred) -> Tensor:
    """x y^T, (N, M)."""
    dtype = torch.promote_types(x.points.dtype, y.points.dtype)
    return x.points.to(dtype) @ y.points.to(dtype).T


def _slack(dtype: torch.dtype, width: int) -> float:
    """By how much a squared distance from a product may be off, relative to |x|^2 + |y|^2: a bound."""
    return (width + 16) * torch.finfo(dtype).eps


def _exact_squares(a: Tensor, b: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Squared distances of a[row] and b[column] from float64 differences: the same points, the same bits; (P,)."""
    found = torch.empty(len(row), dtype=torch.float64, device=a.device)
    for part in spans(len(row), max(1, _AT_ONCE // a.shape[1])):
        found[part] = (a[row[part]].double() - b[column[part]].double()).square_().sum(dim=1)
    return found


def _centre(points: Tensor) -> Tensor:
    """About the mean (d,), read in blocks: distances between points near the origin keep more digits.

    A number that float32 holds, so that both precisions move the points by the same.
    """
    sums = torch.stack([points[part].double().sum(dim=0) for part in spans(len(points), _ROWS)])
    return (sums.sum(dim=0) / len(points)).clamp(-3e38, 3e38).float().double()


def _share(mask: Tensor) -> float:
    return mask.double().mean().item()
