"""How good is it: distances as pure functions of features, and the judgement at the end of a run."""

from zerosum.metrics.distances import Coverage, nearest, neighbour_measures

__all__ = ["Coverage", "nearest", "neighbour_measures"]
