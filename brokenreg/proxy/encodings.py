"""Encodings of content: brokenreg requests none, so that what comes has the digest that it should have."""

from __future__ import annotations

import httpx

from brokenreg.oci.printable import printable

_LONGEST = 60
"""Characters of a header's value that a message has."""


def unrequested_encoding(headers: httpx.Headers) -> str | None:
    """The Content-Encoding of a response; None if it has none (RFC 9110, section 8.4)."""
    value = headers.get("content-encoding", "")
    names = [name.strip() for name in value.split(",") if name.strip().lower() not in ("", "identity")]
    return printable(", ".join(names))[:_LONGEST] if names else None


def with_encoding(who: str, encoding: str | None) -> str:
    """Whoever sent something, as the subject of a message about it."""
    if encoding is None:
        return who
    return f"{who} (with Content-Encoding {encoding}, which was not requested)"
