"""Addresses that a registry behind a proxy sends if it does not know its own."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit, urlunsplit

OTHER_HOST = "registry.invalid"
"""A name that is never resolved (RFC 2606, section 2)."""

AddressForm = Literal["other-scheme", "other-host", "no-port"]


def another_address(url: str, form: AddressForm) -> str:
    """Return a URL with the other scheme (http or https), with another host, or without a port."""
    parts = urlsplit(url)
    host, colon, port = parts.netloc.rpartition(":")
    if not colon or port.endswith("]"):  # an IPv6 address without a port
        host, port = parts.netloc, ""
    match form:
        case "other-scheme":
            return urlunsplit(parts._replace(scheme="http" if parts.scheme == "https" else "https"))
        case "other-host":
            return urlunsplit(parts._replace(netloc=OTHER_HOST + (f":{port}" if port else "")))
        case "no-port":
            return urlunsplit(parts._replace(netloc=host))
