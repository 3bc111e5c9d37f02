"""From the lines of a run's logs, which may hold anything, to names, numbers and sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping

NAME, SENTENCE = 200, 2_000  # characters
MOST_IMAGES = 2**53


def clean(text: object, most: int = NAME) -> str:
    """Text in one line, without what could steer a terminal or break an encoding."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text)[:most]).strip()


def images_of(record: Mapping[str, object], key: str = "images") -> int | None:
    """The images seen at a line, None where it has no possible ones."""
    value = record.get(key)
    return value if type(value) is int and 0 <= value < MOST_IMAGES else None


def number(value: object) -> float | None:
    """A finite number as a float; None for everything else (also for true and false)."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def numbers(log: str, record: Mapping[str, object]) -> dict[str, float]:
    """The finite numbers of a line of ``stats``, ``metrics`` or ``signals`` by the names they have in a tracker.

    ``critic.loss``; ``kernel (track400, ema)``; ``signals/accuracy_held`` and ``signals/classes/cat``.
    """
    if log == "metrics":
        how = ", ".join(clean(record[key]) for key in ("protocol", "weights") if record.get(key))
        found = {f"{clean(record.get('metric', 'metric'))}{f' ({how})' if how else ''}": record.get("value")}
    else:
        found = {clean(key): value for key, value in record.items() if key != "images"}
    if log == "signals":
        parts = {f"{name}/{clean(key)}": value for name, own in found.items() for key, value in _entries(own)}
        found = {f"signals/{name}": value for name, value in (found | parts).items()}
    finite = {name or "unnamed": number(value) for name, value in found.items()}
    return {name: value for name, value in finite.items() if value is not None}


def _entries(value: object) -> list[tuple[object, object]]:
    return list(value.items()) if isinstance(value, dict) else []


def sentence(event: Mapping[str, object]) -> str | None:
    """What the diagnosis said or did at a line of events.jsonl, in a line; None for every other event."""
    images = f"{images_of(event) or 0:,} images"
    why = f": {_text(event, 'why')}" if event.get("why") else ""
    match event.get("event"):
        case "verdict":
            since = images_of(event, "since")
            began = images if since is None else f"{since:,} images"
            level = ", ".join(filter(None, [_text(event, "level"), f"since {began}"]))
            told = " ".join(filter(None, [_text(event, "says"), _text(event, "remedy")]))
            return f"{_text(event, 'verdict')} ({level}){f': {told}' if told else ''}"
        case "recovered":
            return f"{_text(event, 'verdict')} no more (at {images})"
        case "amended":
            settings = " ".join(f"{clean(key)}={clean(value)}" for key, value in _entries(event.get("settings")))
            return clean(f"amended at {images}: {settings}{why}", SENTENCE)
        case "rolled back":
            return f"rolled back from {images_of(event, 'from') or 0:,} to {images}{why}"
        case "not finite":
            return f"a loss or gradient was not finite before {images}"
        case _:
            return None


def _text(event: Mapping[str, object], key: str) -> str:
    return clean(event.get(key) or "", SENTENCE)
