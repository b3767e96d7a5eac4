"""Parses and formats hosts with ports (RFC 3986, section 3.2), and IP addresses."""

from __future__ import annotations

import ipaddress
import re

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{0,5}))?")
"""Host and port (RFC 3986, 3.2) without user information, which is never valid in a Host header."""
_MAX_PORT = 65535


def bracketed(host: str) -> str:
    """Format a host for use before a port, with IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def authority(host: str, port: int) -> str:
    """Format a host and a port: `quay.io:443`, `[::1]:5000`."""
    return f"{bracketed(host)}:{port}"


def parse_authority(text: str) -> tuple[str, int | None] | None:
    """Return the host (IPv6 in brackets) and port of a Host header, or None if it is malformed."""
    match = _AUTHORITY.fullmatch(text)
    if match is None or (
        match[1] is not None and not isinstance(ip_address_of(match[1]), ipaddress.IPv6Address)
    ):
        return None
    port = int(match[3]) if match[3] else None
    if port is not None and port > _MAX_PORT:
        return None
    return match[2] or f"[{match[1]}]", port


def ip_address_of(text: str) -> IPAddress | None:
    """Return the text as an IP address, or None if it is not one."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
