"""Formats hosts and ports for URLs (RFC 3986, section 3.2)."""

from __future__ import annotations


def bracketed(host: str) -> str:
    """Format a host for use before a port: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def authority(host: str, port: int) -> str:
    """Format a host and a port: `quay.io:443`, `[::1]:5000`."""
    return f"{bracketed(host)}:{port}"
