"""The command line: what was typed, and how it ended."""

from __future__ import annotations

import errno
import os
import sys

import zerosum
from zerosum.commands import obey, say
from zerosum.data.telling import safe
from zerosum.errors import Stopped, UserError
from zerosum.interrupt import Interrupted
from zerosum.options.parsing import parse

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
        say(f"zerosum {zerosum.__version__}")
        return 0
    try:
        return obey(parse(given))
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


def _complain(text: str) -> None:
    sys.stderr.write(f"zerosum: {safe(text)}\n")
