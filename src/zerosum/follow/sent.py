"""What of a run a tracker has already, as a small file in the run's folder."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from zerosum import files
from zerosum.errors import UserError

Line = tuple[int, str]  # images and digest
DIGITS = 12


@dataclass
class Sent:
    """What was sent.

    Attributes:
        id: the run's identity with the tracker.
        config: digest of the newest recipe.json.
        upto: images of the newest line or grid of what comes in the order of images.
        lines: of the logs whose lines may come in any order.
        sheets: other sheets of pictures, with the time of their newest change in nanoseconds.
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex[:DIGITS])
    config: str = ""
    upto: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("stats", "signals", "samples"), -1))
    lines: dict[str, list[Line]] = field(default_factory=lambda: {log: list[Line]() for log in ("metrics", "events")})
    sheets: dict[str, int] = field(default_factory=dict)

    def newest(self) -> int:
        """The most images of anything that was sent, -1 before the first."""
        return max(*self.upto.values(), *(images for own in self.lines.values() for images, _ in own), -1)

    def rewind(self, images: int) -> None:
        """Forget what was sent of later images."""
        self.upto = {name: min(newest, images) for name, newest in self.upto.items()}
        self.lines = {log: [line for line in own if line[0] <= images] for log, own in self.lines.items()}

    def count(self, log: str) -> Counter[Line]:
        """The lines of a log that were sent, with how often."""
        return Counter(self.lines[log])

    def write(self, path: Path) -> None:
        """Write it whole or not at all, if it has changed."""
        content = json.dumps(asdict(self)).encode() + b"\n"
        if not path.is_file() or path.read_bytes() != content:
            files.write(path, content)


def read_sent(path: Path) -> Sent:
    """What ``Sent.write`` wrote, or that nothing was sent.

    Raises:
        UserError: the file is damaged.
    """
    if not path.is_file():
        return Sent()
    try:
        content = json.loads(path.read_bytes())
        empty = Sent()
        return Sent(
            str(content["id"]),
            str(content["config"]),
            {name: int(content["upto"][name]) for name in empty.upto},
            {log: [(int(images), str(digest)) for images, digest in content["lines"][log]] for log in empty.lines},
            {str(name): int(changed) for name, changed in content["sheets"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path} is damaged: delete it, and everything is sent once more.") from None


def digest(record: Mapping[str, object]) -> str:
    """The first digits of a record's hash."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:DIGITS]
