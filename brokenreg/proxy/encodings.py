"""Content encodings: brokenreg requests none, so that the bytes that arrive match the digest."""

from __future__ import annotations

import httpx

from brokenreg.oci.printable import printable

_LONGEST = 60
"""Maximum number of characters of a header's value in a message."""


def unrequested_encoding(headers: httpx.Headers) -> str | None:
    """Return the Content-Encoding of a response, or None (RFC 9110, section 8.4)."""
    value = headers.get("content-encoding", "")
    names = [name.strip() for name in value.split(",") if name.strip().lower() not in ("", "identity")]
    return printable(", ".join(names))[:_LONGEST] if names else None


def with_encoding(who: str, encoding: str | None) -> str:
    """Return the sender, with the encoding if any, as the subject of a message."""
    if encoding is None:
        return who
    return f"{who} (with Content-Encoding {encoding}, which was not requested)"
