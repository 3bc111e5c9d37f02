"""What the machine is, and what room it has left for a training."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import torch

MEMINFO, GROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def processor() -> str:
    """The processor's name, as Linux tells it; elsewhere its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def room(folder: Path, device: torch.device) -> dict[str, float]:
    """``disk_free_mib`` where ``folder`` lies and ``memory_free``, the least share of host, container and device.

    What cannot be found out is left out.
    """
    shares = [share for share in (_host(), _container(), _device(device)) if share is not None]
    found = {"memory_free": min(shares)} if shares else {}
    try:
        return found | {"disk_free_mib": float(shutil.disk_usage(folder).free >> 20)}
    except OSError:
        return found


def _host() -> float | None:
    """The share of the machine's memory that is free or can be made so; Linux only."""
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) / int(lines["MemTotal"].split()[0])
    except (OSError, KeyError, ValueError):
        return None


def _container() -> float | None:
    """The same within the limit of a control group (version 2); caches count as free."""
    try:
        most, used = (int((GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        cached = dict(line.split() for line in (GROUP / "memory.stat").read_text().splitlines())
        return max(0.0, 1 - (used - int(cached.get("file", 0))) / most)
    except (OSError, ValueError):  # no limit reads "max"
        return None


def _device(device: torch.device) -> float | None:
    """What neither this process holds in tensors nor another one at all."""
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return (free + kept) / total
