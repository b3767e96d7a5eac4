"""Addresses of the registry, as somebody at this terminal writes them."""

from __future__ import annotations

_EVERYWHERE = ("0.0.0.0", "[::]")  # noqa: S104 - compared, not bound


def reachable(address: str) -> str:
    """HOST:PORT of a listener's URL; one that listens everywhere is reached by loopback."""
    authority = address.rpartition("://")[2]
    host, _, port = authority.rpartition(":")
    return f"127.0.0.1:{port}" if host in _EVERYWHERE else authority
