"""Who may ask: a page that is meant for this machine alone answers to no name but this machine's."""

from __future__ import annotations

import ipaddress
import socket


def may_ask(header: str, host: str) -> bool:
    """Whether a Host header names this server.

    Bound to this machine alone: that address or localhost. Else also any address (no name of a foreign site is one)
    and the machine's own name.
    """
    name = header.rpartition(":")[0] if header.rpartition(":")[2].isdecimal() else header
    name = name.strip("[]").lower().rstrip(".")
    if name in ("localhost", "127.0.0.1", "::1", host.lower()):
        return True
    if local(host):
        return False
    own = socket.gethostname().lower()
    return _address(name) is not None or name in (own, own.partition(".")[0], f"{own.partition('.')[0]}.local")


def local(host: str) -> bool:
    """Whether only this machine reaches an address."""
    found = _address(host)
    return host == "localhost" or (found is not None and found.is_loopback)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
