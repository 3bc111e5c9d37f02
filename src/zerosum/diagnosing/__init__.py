"""``zerosum diagnose``: a run that is there, a log of StyleGAN's, or pictures beside real ones, through the rules."""

from __future__ import annotations

from pathlib import Path

from zerosum.data.telling import Progress, Say, silent
from zerosum.diagnosing.found import Diagnosed, Found
from zerosum.diagnosing.logs import of_log, of_run
from zerosum.diagnosing.pictures import SNAPSHOT, of_pictures_against
from zerosum.errors import UserError
from zerosum.run import Run

__all__ = ["Diagnosed", "Found", "diagnose"]


def diagnose(
    target: str,
    against: str | None = None,
    *,
    data_root: str | None = None,
    say: Say = silent,
    looked: Progress = silent,
) -> Diagnosed:
    """Verdicts on a run's folder, a log of StyleGAN's (or its folder), or pictures ``against`` real ones.

    Beside real pictures a run (or one of its snapshots) is asked for pictures of its own.

    Raises:
        UserError: it is none of these, or has nothing to go by.
    """
    path = Path(target)
    if against is not None:
        return of_pictures_against(target, against, data_root, say, looked)
    if path.is_dir() and Run(path).exists():
        return of_run(Run(path))
    if path.suffix == SNAPSHOT:
        raise UserError(f"{path} is a generator: give its run's folder, or --against and the real pictures.")
    log = path / "stats.jsonl" if path.is_dir() else path
    if log.is_file():
        return of_log(log)
    raise UserError(
        f"'{target}' is no run and no stats.jsonl: give a run's folder, or pictures with --against and the real ones."
    )
