"""The settings with which several brokenregs act as one."""

from __future__ import annotations

import ipaddress

from brokenreg.wording import quoted

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SHORTEST_KEY = 16
"""Minimum length of the key of a fleet, in characters."""

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


def parse_network(text: str) -> Network:
    """Parse a network such as `10.0.0.0/8`. Raise `ValueError`."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"invalid network {quoted(text)}: use ADDRESS/BITS, such as 10.0.0.0/8 or fd00::/8"
        ) from None


def long_key(text: str) -> str:
    """Return the key of a fleet. Raise `ValueError`; the message does not contain it."""
    if len(text) < SHORTEST_KEY:
        raise ValueError(f"the key is too short: use at least {SHORTEST_KEY} random characters")
    return text
