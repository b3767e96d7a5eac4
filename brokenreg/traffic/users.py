"""Reads the user's name from credentials, so that rules can match it, without keeping the credentials."""

from __future__ import annotations

import base64
import binascii
import json

_LONGEST_CREDENTIALS = 16 * 1024
_LONGEST_NAME = 256


def user_of(authorization: str) -> str:
    """Return the user of Basic credentials, the unverified subject of a JWT, or an empty string.

    Sources: RFC 7617 (Basic), RFC 7519, section 4.1.2 (`sub`).
    """
    scheme, _, credentials = authorization.partition(" ")
    if len(credentials) > _LONGEST_CREDENTIALS:
        return ""
    match scheme.lower():
        case "basic":
            user = _decoded(credentials.strip()).partition(":")[0]
        case "bearer":
            user = _subject(credentials.strip())
        case _:
            user = ""
    return user[:_LONGEST_NAME]


def _subject(token: str) -> str:
    parts = token.split(".")
    try:
        claims = json.loads(_decoded(parts[1]) if len(parts) == 3 else "")
    except (ValueError, RecursionError):
        return ""
    subject = claims.get("sub") if isinstance(claims, dict) else None
    return subject if isinstance(subject, str) else ""


def _decoded(text: str) -> str:
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare.encode("latin-1") + b"=" * (-len(bare) % 4)).decode()
    except (binascii.Error, UnicodeError):
        return ""
