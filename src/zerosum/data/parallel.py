"""A function over many values in processes of our own: Pillow holds the interpreter's lock, so threads gain nothing.

Not ``multiprocessing``: its processes import the caller's script again, which a script without a guard does not
survive. These know zerosum alone. A picture on which a decoder crashes takes its process with it, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import pickle  # only between these processes, never from a file
import queue
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from zerosum.errors import UserError

In = TypeVar("In")
Out = TypeVar("Out")
CHUNK = 32  # values that a process takes at a time
READY = b"ready"
FEW = 500  # values that are not worth starting processes
AHEAD = 4  # chunks that wait for each process
HEAVY, MOST = 2**23, 2**28  # bytes of one chunk, and of all that wait


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(
    function: Callable[[In], Out], values: Iterable[In], count: int, crashed: Callable[[In], Out]
) -> Iterator[Out]:
    """``function`` of every value, in order, a few ahead of what is taken.

    Args:
        function: a function of a module (or ``functools.partial`` of one); it raises nothing.
        values: bytes, numbers, arrays and tuples of them; ``count`` of them, about.
        crashed: the result for a value that killed its process.
    """
    workers = cores()
    if workers == 1 or count < FEW:
        yield from map(function, values)
        return
    idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
    pool = ThreadPoolExecutor(workers)

    def work(chunk: list[In]) -> list[Out]:
        worker = idle.get()
        try:
            return _ask(worker, function, chunk)
        except (EOFError, OSError, pickle.UnpicklingError):  # it died
            _end(worker)
            worker = _start()
            if len(chunk) == 1:
                return [crashed(chunk[0])]
        finally:
            idle.put(worker)
        return [result for value in chunk for result in work([value])]

    waiting: deque[tuple[int, Future[list[Out]]]] = deque()
    held = 0
    try:
        for _ in range(workers):
            idle.put(_start())
        for weight, chunk in _chunks(values):
            waiting.append((weight, pool.submit(work, chunk)))
            held += weight
            while len(waiting) > AHEAD * workers or (held > MOST and len(waiting) > 1):
                weight, future = waiting.popleft()
                held -= weight
                yield from future.result()
        while waiting:
            yield from waiting.popleft()[1].result()
    finally:
        pool.shutdown(cancel_futures=True)
        while not idle.empty():
            _end(idle.get())


def in_threads(function: Callable[[In], Out], values: Iterable[In]) -> Iterator[Out]:
    """Results in order, a few ahead of what is taken; for what takes long and lets go of the interpreter's lock."""
    workers = cores()
    waiting: deque[Future[Out]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for value in values:
            waiting.append(pool.submit(function, value))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _chunks(values: Iterable[In]) -> Iterator[tuple[int, list[In]]]:
    """Values in groups of at most ``CHUNK`` and about ``HEAVY`` bytes, each with its weight in bytes."""
    chunk: list[In] = []
    weight = 0
    for value in values:
        chunk.append(value)
        weight += _weight(value)
        if len(chunk) == CHUNK or weight >= HEAVY:
            yield weight, chunk
            chunk = []
            weight = 0
    if chunk:
        yield weight, chunk


def _weight(value: object) -> int:
    if isinstance(value, tuple):
        return sum(map(_weight, value))
    return len(value) if isinstance(value, bytes) else getattr(value, "nbytes", 64)


def _start() -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-P", "-m", "zerosum.data.parallel"]  # -P: nothing is imported from the current folder
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert worker.stdout is not None
    if worker.stdout.read(len(READY)) != READY:
        _end(worker)
        raise UserError("A process for decoding pictures could not be started: see what it wrote above.")
    return worker


def _ask(worker: subprocess.Popen[bytes], function: Callable[[In], Out], chunk: list[In]) -> list[Out]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    pickle.dump((function, chunk), worker.stdin, protocol=pickle.HIGHEST_PROTOCOL)
    worker.stdin.flush()
    return pickle.load(worker.stdout)


def _end(worker: subprocess.Popen[bytes]) -> None:
    for stream in (worker.stdin, worker.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    try:
        worker.wait(timeout=5)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def serve() -> None:
    """What such a process does until nobody asks any more. Ctrl-C is its parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints does not get among the answers
    answers.write(READY)
    answers.flush()
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            function, chunk = pickle.load(sys.stdin.buffer)
            pickle.dump([function(value) for value in chunk], answers, protocol=pickle.HIGHEST_PROTOCOL)
            answers.flush()


if __name__ == "__main__":
    serve()
