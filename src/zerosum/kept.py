"""Where torch keeps what it compiles for later runs."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from pathlib import Path

NAME = "TORCHINDUCTOR_CACHE_DIR"


def keep_code() -> None:
    """Name a folder of this user's for compiled code, one for each kind of processor, unless the user named one.

    Command line only, before torch is imported. What lies there is run, so nobody else may be able to write there, and
    it is no part of the cache of pictures, which a group may share. Where that cannot be had, torch's own place stays.
    """
    if NAME in os.environ or not hasattr(os, "getuid"):
        return
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zerosum-compiled"
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = base.lstat()
    except OSError:
        return
    if found.st_uid == os.getuid() and not found.st_mode & 0o022 and base.is_dir() and not base.is_symlink():
        os.environ[NAME] = str(base / processor())


def processor() -> str:
    """A short name of this kind of processor: what is compiled on one may not run on another of the same home."""
    try:
        lines = Path("/proc/cpuinfo").read_text()
        told = sorted(set(re.findall(r"^(?:model name|flags|Features)\s*:.*", lines, re.MULTILINE)))
    except OSError:
        told = list[str]()
    return hashlib.sha256("\n".join([platform.machine(), platform.processor(), *told]).encode()).hexdigest()[:16]
