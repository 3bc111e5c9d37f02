"""Processes and threads: results in order, and nothing left behind when something goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerosum.data import parallel
from zerosum.data.parallel import CHUNK, in_threads, spread


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 2)


def double(offset, value):
    return 2 * value + offset


def process(value):
    return os.getpid()


def deadly(value):
    if value % 97 == 5:
        os.kill(os.getpid(), signal.SIGSEGV)
    print("noise on stdout")  # noqa: T201 - it must not get among the answers
    return value


def lost(value):
    return -value


def test_processes_give_results_in_order():
    assert list(spread(partial(double, 1), range(1000), 1000, lost)) == [2 * value + 1 for value in range(1000)]
    assert list(spread(partial(double, 1), iter(range(700)), 1000, lost)) == [2 * value + 1 for value in range(700)]


def test_few_values_start_no_process():
    assert set(spread(process, range(10), 10, lost)) == {os.getpid()}
    assert os.getpid() not in set(spread(process, range(600), 600, lost))


def test_a_crash_costs_one_value():
    found = list(spread(deadly, range(600), 600, lost))
    assert found == [-value if value % 97 == 5 else value for value in range(600)]


def test_nothing_stays_when_results_are_not_taken(monkeypatch):
    started = []
    real = parallel._start

    def start():
        started.append(real())
        return started[-1]

    monkeypatch.setattr(parallel, "_start", start)
    results = spread(partial(double, 0), iter(range(100_000)), 100_000, lost)
    assert next(results) == 0
    results.close()
    assert len(started) == 2
    assert all(worker.poll() is not None for worker in started)


def test_a_script_without_a_guard_survives(tmp_path):
    """The processes do not import the script that started them."""
    script = tmp_path / "script.py"
    script.write_text(
        "from zerosum.data import parallel\n"
        "parallel.cores = lambda: 2\n"
        "print(sum(parallel.spread(abs, range(-600, 0), 600, abs)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=100)
    assert (done.stdout.strip(), done.returncode) == (str(sum(range(601))), 0), done.stderr


# ---- threads ----


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=60))
def test_results_come_in_order(pauses):
    """However slow some of them are."""

    def work(place):
        time.sleep(pauses[place] / 2000)
        return place

    assert list(in_threads(work, range(len(pauses)))) == list(range(len(pauses)))


def test_only_a_few_are_ahead():
    started, lock = [], threading.Lock()

    def work(value):
        with lock:
            started.append(value)
        return value

    results = in_threads(work, iter(range(100_000)))
    assert started == []  # nothing runs before it is asked for
    assert next(results) == 0
    results.close()
    assert len(started) <= 100_000 / 4
    assert len(started) == len(set(started))


def test_exceptions_come_through_and_end_it():
    calls, threads = Counter(), threading.active_count()

    def work(value):
        calls[value] += 1
        return 1 / (value - 5 * CHUNK)

    with pytest.raises(ZeroDivisionError):
        list(in_threads(work, range(100_000)))
    assert len(calls) <= 100_000 / 4
    assert threading.active_count() == threads


def test_exceptions_of_the_values_come_through():
    def values():
        yield 1
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        list(in_threads(str, values()))


def test_nothing_gives_nothing():
    assert list(in_threads(str, [])) == []
