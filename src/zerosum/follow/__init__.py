"""Experiment trackers as followers of a run's folder: the training knows nothing of them."""

from __future__ import annotations

from zerosum.follow.follow import track

__all__ = ["track"]
