"""What each command does: call one function, print what was written where."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from zerosum.data.telling import safe
from zerosum.errors import UserError
from zerosum.interrupt import Interrupt
from zerosum.kept import keep_code
from zerosum.options.judging import Compare, Diagnose, Doctor, Evaluate, Recipes, Report, Track, Watch
from zerosum.options.making import Check, Prepare, Sample, Train
from zerosum.options.texts import parse_settings, parse_time


def obey(command: Any) -> int:
    """Do what was asked for, and return the exit code."""
    match command:
        case Train():
            return _train(command)
        case Sample():
            return _sample(command)
        case Evaluate():
            return _evaluate(command)
        case Compare():
            return _compare(command)
        case Diagnose():
            return _diagnose(command)
        case Report():
            return _report(command)
        case Watch():
            return _watch(command)
        case Track():
            return _track(command)
        case Doctor():
            return _doctor(command)
        case Recipes():
            return _recipes(command)
        case _:
            return _data(command)


def _train(command: Train) -> int:
    with Interrupt():  # from here on, so that a signal during the imports ends in words too
        return _train_now(command)


def _train_now(command: Train) -> int:
    from zerosum.allocator import tune_allocator

    tune_allocator()  # before torch allocates anything large
    keep_code()
    from zerosum.launch import start
    from zerosum.plan import Request, make_plan
    from zerosum.progress import Screen
    from zerosum.recipe import describe

    settings = parse_settings(command.set)
    seconds = None if command.time is None else parse_time(command.time)
    request = Request(
        command.data,
        command.recipe,
        command.images,
        seconds,
        command.resolution,
        command.seed,
        command.device,
        settings,
        command.data_root,
        command.fit,
        command.broken,
        command.engine,
        command.batch,
    )
    if command.dry_run:
        with Screen() as screen:
            plan = make_plan(request, screen.say, screen.looked)
        say("\n".join(plan.explain()))
        say(json.dumps(describe(plan.recipe), indent=2))
        return 0
    with Screen() as screen:
        start(
            request,
            out=command.out,
            fork=command.fork,
            amendments=command.amendments,
            act=command.act,
            say=screen.say,
            looked=screen.looked,
            prepared=screen.prepared,
            watchers=(screen.watch,),
        )
    return 0


def _sample(command: Sample) -> int:
    from zerosum import files
    from zerosum.generate import load, parse_seeds, sample_sheet

    seeds = parse_seeds(command.seeds)
    generator = load(command.run)
    beside = Path(command.run) if Path(command.run).is_dir() else Path()
    path = Path(command.out) if command.out else beside / "sample.png"
    if path.suffix.lower() != ".png":
        raise UserError(f"{path} is not possible: the sheet is written as PNG, give a name that ends in .png.")
    files.write(path, sample_sheet(generator, seeds, command.label, command.truncation))
    say(f"{len(seeds)} pictures: {path}")
    return 0


def _evaluate(command: Evaluate) -> int:
    from zerosum.allocator import tune_allocator

    tune_allocator()
    from zerosum import files
    from zerosum.evaluate import evaluate, explained, may_write
    from zerosum.progress import Screen

    if command.target == "list":
        say("\n".join(explained()))
        return 0
    if command.against is None:
        raise UserError("--against DATA is needed: the real pictures to compare with.")
    if command.json:
        may_write(Path(command.json))
    with Interrupt(), Screen() as screen:
        values = evaluate(
            command.target,
            command.against,
            command.metrics,
            draws=command.draws,
            weights_files=[Path(name) for name in command.weights],
            which=command.which,
            device=command.device,
            data_root=command.data_root,
            say=screen.say,
            progress=screen.looked,
        )
    if command.json:
        files.write_json(Path(command.json), [value.record() for value in values])
        say(f"Everything: {command.json}")
    return 0


def _compare(command: Compare) -> int:
    from zerosum import files
    from zerosum.compare import chosen, compare, label, plot, table

    found = compare(command.runs)
    say("\n".join(table(found)))
    if command.plot or command.out:
        among = [row.key for row in found.rows]
        keys = chosen(found.rows, command.plot)
        path = files.write(Path(command.out or "compare.svg"), plot(found.groups, keys, among).encode())
        say(f"{', '.join(label(key, among) for key in keys)}: {path}")
    return 0


def _diagnose(command: Diagnose) -> int:
    from zerosum import files
    from zerosum.diagnosing import diagnose
    from zerosum.progress import Screen

    with Interrupt(), Screen() as screen:
        found, checks = diagnose(
            command.target, command.against, data_root=command.data_root, say=screen.say, looked=screen.looked
        )
    for one in found:
        say("\n".join(one.lines()))
    if not found:
        many = f"at {checks} check{'' if checks == 1 else 's'}" if command.against is None else "in these pictures"
        say(f"Nothing wrong {many}.")
    if command.json:
        files.write_json(Path(command.json), [one.record() for one in found])
        say(f"Everything: {command.json}")
    return 0


def _report(command: Report) -> int:
    from zerosum import report

    path = report.write([Path(run) for run in command.runs], Path(command.out) if command.out else None)
    say(f"Report: {path}")
    return 0


def _watch(command: Watch) -> int:
    from zerosum.report.live import serve

    serve(Path(command.folder), command.host, command.port, say)
    return 0


def _track(command: Track) -> int:
    from zerosum.follow import track

    with Interrupt():
        track(command.run, command.to, out=command.out, project=command.project, once=command.once, say=say)
    return 0


def _recipes(command: Recipes) -> int:
    from zerosum.listing import page, table

    say("\n".join(page(command.name) if command.name else table()))
    return 0


def _doctor(command: Doctor) -> int:
    from zerosum.allocator import tune_allocator

    tune_allocator()  # as training does
    from zerosum.doctor import examine

    for line in examine(command.resolution, command.device):
        say(line)
    return 0


def _data(command: Check | Prepare) -> int:
    from zerosum import files
    from zerosum.looking import check_data, prepare_data
    from zerosum.progress import Screen

    if isinstance(command, Check) and command.out and Path(command.out).suffix.lower() != ".png":
        raise UserError(f"{command.out} is not possible: the sheet is written as PNG, give a name that ends in .png.")
    with Interrupt(), Screen() as screen:
        if isinstance(command, Prepare):
            pictures, folder = prepare_data(
                command.data,
                resolution=command.resolution,
                channels=command.channels,
                fit=command.fit,
                broken=command.broken,
                out=command.out,
                data_root=command.data_root,
                say=screen.say,
                looked=screen.looked,
                progress=screen.prepared,
            )
            screen.say(f"{len(pictures):,} pictures: {folder}")
            return 0
        findings, advised, sheet = check_data(
            command.data,
            data_root=command.data_root,
            sheet=command.out is not None,
            say=screen.say,
            looked=screen.looked,
            checked=screen.checked,
        )
        for line in [*findings.lines(), *advised]:
            screen.say(line)
        if command.json:
            files.write_json(Path(command.json), findings.to_json())
            screen.say(f"Everything: {command.json}")
        if command.out and sheet is not None:
            files.write(Path(command.out), sheet)
            screen.say(f"Pictures:   {command.out}")
    return 0


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(safe(text) + "\n")
    sys.stdout.flush()
