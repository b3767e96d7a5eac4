"""Hosts and ports as URLs write them (RFC 3986, section 3.2)."""

from __future__ import annotations


def bracketed(host: str) -> str:
    """A host as it stands before a port: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def authority(host: str, port: int) -> str:
    """A host and a port: `quay.io:443`, `[::1]:5000`."""
    return f"{bracketed(host)}:{port}"
