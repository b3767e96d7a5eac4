"""What differs between any two pulls and says nothing: ports, dates and ids. It is shown, but not counted.

docs/reference/panel.md lists it for users.
"""

from __future__ import annotations

import re

from brokenreg.traffic.exchange import Exchange

HEADERS = frozenset(
    {
        "age",
        "authorization",
        "baggage",
        "cookie",
        "date",
        "docker-upload-uuid",
        "expires",
        "ratelimit-remaining",
        "ratelimit-reset",
        "set-cookie",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-brokenreg-replay",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    }
)
"""Headers whose values are never compared. The client is compared once, for all of its requests."""

_IDS = re.compile(r"(request|correlation|trace|span|session)-?id$")
"""Ends of the names of headers with an id, such as `x-request-id`."""

_ADDRESSED = frozenset(
    {"content-location", "host", "link", "location", "origin", "referer", "www-authenticate"}
)
"""Headers with an address or the name of the repository."""

ACCEPT = "accept"
"""Docker lists its media types in a random order, which means nothing (RFC 9110, section 12.5.1)."""

_AUTHORITY = re.compile(r"(?<=//)[^/?#\s\",>]+")
_PORT = re.compile(r":[0-9]+$")
_UPLOAD = re.compile(r"(?<=/blobs/uploads/)[^/?#\s\",>]+")
_QUERY = re.compile(r"\?[^\s\",>]*")


def is_noise(name: str) -> bool:
    """Return whether the values of a header (lower case) are never compared."""
    return name in HEADERS or _IDS.search(name) is not None


def media_ranges(values: tuple[str, ...]) -> list[str]:
    """Return the media ranges of Accept, sorted, however they are spread over lines."""
    return sorted(each.strip() for value in values for each in value.split(","))


def essence(name: str, value: str, exchange: Exchange) -> str:
    """Return the value of a header without the address, the repository, and the id of an upload."""
    if name not in _ADDRESSED:
        return value
    if name == "host":
        return _PORT.sub("", value)
    value = _UPLOAD.sub("ID", _AUTHORITY.sub("HOST", value))
    value = _QUERY.sub("", value) if name == "location" else value
    return without_repository(value, exchange)


def without_repository(text: str, exchange: Exchange) -> str:
    """Return `text` with the name of the repository replaced."""
    name = exchange.target.name
    return text.replace(name, "NAME") if name else text
