"""What ``zerosum watch`` costs on 50 runs, 49 with 1,000,000 lines of stats between them and one with as many.

    python bench/watch.py --repeats 5

Makes the folder (some 950 MB, in --folder or a temporary one), then starts the command as a process of its own, again
and again, and asks for pages as a browser does: all runs at once and later, the long run's page at once and later, and
until its log has been read. The pages' own looks, once a second, are the browser's. Prints, asserts nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from zerosum import files
from zerosum.report.live.hall import key_of
from zerosum.run import Run

RUNS, LINES = 50, 1_000_000
LONG = f"{RUNS:03d}-digits-modern"
ROUNDS = 20  # later answers, of which the median is taken


def write_run(folder: Path, lines: int) -> None:
    """A run that stands at its end, without any network."""
    run = Run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = ("loss", "game", "gradient", "real_score", "fake_score", "real_sign", "fake_sign", "penalty_real")
    with open(run.stats, "w") as file:
        for place in range(1, lines + 1):
            line: dict[str, float] = {"images": 64 * place, "seconds": place / 8, "images_per_second": 512.0}
            line |= {f"critic.{name}": round(1 + place % (89 + 2 * own) / 97, 6) for own, name in enumerate(numbers)}
            file.write(json.dumps(line | {"generator.loss": round(2 - place / lines, 6)}) + "\n")
    run.event("started", 0)
    for place in range(1, 201):
        images = 64 * lines * place // 200
        check = {"images": images, "accuracy_train": 0.9, "accuracy_held": 0.8, "accuracy_fake": 0.7, "separates": 0.6}
        files.append_line(run.signals, check)
        named = {"metric": "kernel", "protocol": "track400", "weights": "ema"}
        files.append_line(run.metrics, {"images": images, "value": 1 / place, **named})
    for images in range(0, 64 * lines, 64 * lines // 24):
        path = run.sample_file(images)
        path.parent.mkdir(exist_ok=True)
        Image.effect_noise((512, 512), 60).save(path)
    run.event("finished", 64 * lines)
    data = {"name": "digits", "identity": "00", "pictures": 1797}
    budget = {"images": 64 * lines, "since": 0, "seconds": None}
    none = {part: dict[str, object]() for part in ("dials", "set", "resolved", "choices", "versions")}
    run.write({"recipe": "modern", "data": data, "budget": budget, "seed": 0, **none})


class Server(NamedTuple):
    """The command, and where it answers."""

    process: subprocess.Popen[str]
    port: int

    def get(self, path: str) -> str:
        """A page."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def seconds(self, path: str) -> float:
        """That a page takes."""
        began = time.perf_counter()
        self.get(path)
        return time.perf_counter() - began

    def worked(self) -> float:
        """Seconds of a processor that it took so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak(self) -> float:
        """Memory at most, in MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Server]:
    """The command, as soon as it says its address."""
    command = [sys.executable, "-m", "zerosum", "watch", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield Server(process, int(process.stdout.readline().split()[0].rstrip("/").rpartition(":")[2]))
        finally:
            process.kill()


def opening(folder: Path) -> dict[str, float]:
    """A new process: until the page of all runs, and the long run's, are there."""
    began = time.perf_counter()
    with started(folder) as server:
        server.get("/")
        found = {"from the command to the page of all runs, s": time.perf_counter() - began}
        found["the opening, in seconds of a processor"] = server.worked()
        found["the long run's page, its log unread, s"] = server.seconds(f"/run/{key_of(LONG)}")
    return found


def following(folder: Path) -> dict[str, float]:
    """The same process for longer, with the long run's page open."""
    with started(folder) as server:
        later = []
        for _ in range(ROUNDS):
            later.append(server.seconds("/"))
            time.sleep(1)
        found = {"the page of all runs, later, s": statistics.median(later)}
        found["memory of the server with that alone, MB"] = server.peak()
        began, worked, between = time.perf_counter(), server.worked(), list[float]()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
        connection.request("GET", f"/events?of={key_of(LONG)}&since=")  # as an open page does: it goes on reading
        stream, looked = connection.getresponse(), time.perf_counter()
        while True:
            line = stream.readline()
            if line.startswith(b"data:") and "Reading the logs" not in _now(line):
                break
            if time.perf_counter() - looked > 1:
                between.append(server.seconds("/"))
                looked = time.perf_counter()
        found["until the log of 1,000,000 lines is read, s"] = time.perf_counter() - began
        found["the reading, in seconds of a processor"] = server.worked() - worked
        found["the page of all runs meanwhile, s"] = statistics.median(between)
        found["the slowest of them, s"] = max(between)
        time.sleep(2)
        found["the long run's page, later, s"] = statistics.median(
            server.seconds(f"/run/{key_of(LONG)}") for _ in range(ROUNDS)
        )
        connection.close()
        found["memory of the server at most, MB"] = server.peak()
    return found


def _now(line: bytes) -> str:
    return json.loads(line[5:])["parts"].get("now", {"html": "Reading the logs"})["html"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the runs are made, or were made before")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary) / "runs"
        names = [f"{number:03d}-digits-modern" for number in range(1, RUNS)]
        for name, lines in [*((name, LINES // len(names)) for name in names), (LONG, LINES)]:
            if not Run(folder / name).exists():
                write_run(folder / name, lines)
        rounds = [opening(folder) | following(folder) for _ in range(given.repeats)]
        print("| what | median | least | most |\n|---|---|---|---|")
        for what in rounds[0]:
            found = [own[what] for own in rounds]
            form = ".0f" if what.endswith("MB") else ".2f"
            print(f"| {what} | {statistics.median(found):{form}} | {min(found):{form}} | {max(found):{form}} |")


if __name__ == "__main__":
    main()
