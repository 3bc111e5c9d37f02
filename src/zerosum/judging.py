"""The judgement at the end of a run, said as a table."""

from __future__ import annotations

import torch

from zerosum.data.cache import cache_folder
from zerosum.data.pictures import Pictures
from zerosum.data.telling import Say, silent
from zerosum.generate import load
from zerosum.metrics.judge import Judge
from zerosum.metrics.samples import of_generator
from zerosum.metrics.value import Value
from zerosum.run import Run


def judge(
    run: Run,
    pictures: Pictures,
    *,
    deadline: float | None = None,
    device: torch.device | str = "cpu",
    say: Say = silent,
) -> list[Value]:
    """Judge a run's newest snapshot against its held-out pictures and say the result as a table.

    A classifier that could not be trained by ``deadline`` (of ``time.monotonic``) is left out.
    """
    examiner = Judge(pictures, cache_folder(), deadline, say)
    if len(pictures.classes) > 1 and examiner.own is None:
        say("There is no time left to train the judge's classifier: pixels alone are compared.")
    values = list(examiner.measure(of_generator(load(run, device=str(device)), run.folder.name, "ema")))
    if examiner.own is not None and examiner.own.accuracy is not None:
        say(f"Judged by a classifier that names {examiner.own.accuracy:.1%} of the held-out pictures rightly:")
    say(f"{'':26}{'samples':>9}{'real':>9}")
    for value in values:
        if not value.metric.startswith("share."):
            name = f"{value.metric} ({value.detector.partition('-')[0]})"
            say(f"{name:26}{value.value:9.3f}{value.baseline:9.3f}")
    shares = [value.value for value in values if value.metric.startswith("share.")]
    if shares:
        named = zip(pictures.classes, shares, strict=True)
        say("by class: " + "  ".join(f"{name} {share:.1%}" for name, share in named))
    return values
