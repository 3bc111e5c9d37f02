"""The command line: parse, call one function, print what was written where."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import zerosum
from zerosum import options
from zerosum.errors import Stopped, UserError
from zerosum.interrupt import Interrupt, Interrupted
from zerosum.options import parse, parse_settings, parse_time

ON_DISK = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 done, 1 the machine gave out, 2 the user's mistake."""
    code = 0
    try:
        try:
            code = _main(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()  # here, where a closed pipe can still be told from an error
    except BrokenPipeError:  # whoever read the lines has seen enough, as head has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _main(given: list[str]) -> int:
    if given == ["--version"]:
        _say(f"zerosum {zerosum.__version__}")
        return 0
    try:
        command = parse(given)
        match command:
            case options.Train():
                return _train(command)
            case options.Sample():
                return _sample(command)
            case options.Evaluate():
                return _evaluate(command)
            case options.Compare():
                return _compare(command)
            case options.Doctor():
                return _doctor(command)
            case options.Recipes():
                return _recipes(command)
            case _:
                return _data(command)
    except UserError as error:
        _complain(str(error))
        return 2
    except Stopped as error:
        _complain(str(error))
        return 1
    except (KeyboardInterrupt, Interrupted) as wish:
        prepared = given[:2] == ["data", "prepare"]
        plain = "stopped: the same command goes on" if prepared else "stopped before there was anything to save"
        _complain(str(wish) or plain)
        return 0 if given[:1] == ["train"] or prepared else 1
    except OSError as error:
        if error.errno not in ON_DISK:
            raise
        _complain(f"{error.filename} may not be read or written ({error.strerror}): check the path and its permissions")
        return 2


def _train(command: options.Train) -> int:
    with Interrupt():  # from here on, so that a signal during the imports ends in words too
        return _train_now(command)


def _train_now(command: options.Train) -> int:
    from zerosum.allocator import tune_allocator

    tune_allocator()  # before torch allocates anything large
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
        _say("\n".join(plan.explain()))
        _say(json.dumps(describe(plan.recipe), indent=2))
        return 0
    with Screen() as screen:
        start(
            request,
            out=command.out,
            fork=command.fork,
            say=screen.say,
            looked=screen.looked,
            prepared=screen.prepared,
            watchers=(screen.watch,),
        )
    return 0


def _sample(command: options.Sample) -> int:
    from zerosum import files
    from zerosum.generate import load, parse_seeds, sample_sheet

    seeds = parse_seeds(command.seeds)
    generator = load(command.run)
    beside = Path(command.run) if Path(command.run).is_dir() else Path()
    path = Path(command.out) if command.out else beside / "sample.png"
    if path.suffix.lower() != ".png":
        raise UserError(f"{path} is not possible: the sheet is written as PNG, give a name that ends in .png.")
    files.write(path, sample_sheet(generator, seeds, command.label, command.truncation))
    _say(f"{len(seeds)} pictures: {path}")
    return 0


def _evaluate(command: options.Evaluate) -> int:
    from zerosum.allocator import tune_allocator

    tune_allocator()
    from zerosum import files
    from zerosum.evaluate import evaluate, explained, may_write
    from zerosum.progress import Screen

    if command.target == "list":
        _say("\n".join(explained()))
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
        _say(f"Everything: {command.json}")
    return 0


def _compare(command: options.Compare) -> int:
    from zerosum import files
    from zerosum.compare import chosen, compare, label, plot, table

    found = compare(command.runs)
    _say("\n".join(table(found)))
    if command.plot or command.out:
        among = [row.key for row in found.rows]
        keys = chosen(found.rows, command.plot)
        path = files.write(Path(command.out or "compare.svg"), plot(found.groups, keys, among).encode())
        _say(f"{', '.join(label(key, among) for key in keys)}: {path}")
    return 0


def _recipes(command: options.Recipes) -> int:
    from zerosum.listing import page, table

    _say("\n".join(page(command.name) if command.name else table()))
    return 0


def _doctor(command: options.Doctor) -> int:
    from zerosum.allocator import tune_allocator

    tune_allocator()  # as training does
    from zerosum.doctor import examine

    for line in examine(command.resolution, command.device):
        _say(line)
    return 0


def _data(command: options.Check | options.Prepare) -> int:
    from zerosum import files
    from zerosum.looking import check_data, prepare_data
    from zerosum.progress import Screen

    if isinstance(command, options.Check) and command.out and Path(command.out).suffix.lower() != ".png":
        raise UserError(f"{command.out} is not possible: the sheet is written as PNG, give a name that ends in .png.")
    with Interrupt(), Screen() as screen:
        if isinstance(command, options.Prepare):
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


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _complain(text: str) -> None:
    sys.stderr.write(f"zerosum: {text}\n")
