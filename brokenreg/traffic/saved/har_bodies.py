"""Reads the bodies in HAR files: of the kinds that brokenreg records, with secrets replaced."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import Any

from brokenreg.oci.target import Endpoint
from brokenreg.traffic.bodies import MOST, Body, Form, Kept, form_of
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.saved.members import count_in, object_in, text_in

_LONGEST = 2 * MOST
"""Maximum length of a body as text, in characters: in base64, `MOST` bytes take a third more."""


def kept_in(exchange: Exchange, request: Any, response: Any) -> Kept:
    """Return the bodies of an exchange. Those of blobs and of token services are dropped."""
    content, posted = object_in(response, "content"), object_in(request, "postData")
    form = form_of(exchange)
    is_manifest = exchange.endpoint is Endpoint.MANIFEST
    return Kept(
        _body(posted, exchange.request_bytes, is_document=True) if is_manifest else None,
        _body(content, exchange.response_bytes, is_document=form is Form.DOCUMENT) if form else None,
    )


def _body(message: Any, size: int, *, is_document: bool) -> Body | None:
    """Return a body, or None if the file does not have it. `size` is the size of the whole body."""
    text = text_in(message, "text", _LONGEST)
    encoded = text if text_in(message, "encoding") == "base64" else text_in(message, "_base64", _LONGEST)
    data = _decoded(encoded) if encoded else text.encode()
    if not data:
        return None
    sizes = (count_in(message, name) for name in ("_size", "size"))
    whole = next((each for each in sizes if each is not None), size)
    body = Body.of(data[:MOST], whole, is_document=is_document)
    return replace(body, is_redacted=True) if message.get("_redacted") is True else body


def _decoded(text: str) -> bytes:
    """Return the bytes of base64, which may be cut off."""
    try:
        return base64.b64decode(text[: len(text) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""
