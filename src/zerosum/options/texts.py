"""Options that are a small language of their own."""

from __future__ import annotations

import re

from zerosum.errors import UserError


def parse_settings(given: tuple[str, ...]) -> dict[str, str]:
    """``name=value`` pairs as a mapping.

    Raises:
        UserError: one without a value.
    """
    settings = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UserError(f"--set {pair} is not possible: expected NAME=VALUE, such as width=64.")
        settings[name.strip()] = value.strip()
    return settings


def parse_time(text: str) -> float:
    """``60s``, ``5m``, ``2h`` or plain seconds.

    Raises:
        UserError: anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip().lower())
    if not found:
        raise UserError(f"--for {text} is not possible: expected a time such as 60s, 5m or 2h.")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]
