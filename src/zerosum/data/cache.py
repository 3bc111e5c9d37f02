"""The one folder outside runs that zerosum writes to: downloads, prepared pictures, what was seen of data."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """``ZEROSUM_CACHE``, or the place that the operating system has for such things."""
    if named := os.environ.get("ZEROSUM_CACHE"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "zerosum" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "zerosum"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zerosum"
