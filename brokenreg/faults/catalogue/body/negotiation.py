"""The fault that minds which media types the client accepts."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

from pydantic import Field

from brokenreg.faults.catalogue.base import READS, Fault
from brokenreg.faults.context import FaultContext, Head
from brokenreg.http.asgi import Scope
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    has_too_many_values,
)
from brokenreg.oci.target import Endpoint

_PAIRS = (
    (DOCKER_MANIFEST, OCI_MANIFEST),
    (DOCKER_LIST, OCI_INDEX),
    (DOCKER_CONFIG, OCI_CONFIG),
    (DOCKER_LAYER, OCI_LAYER),
)
_OTHERS = {**dict(_PAIRS), **{oci: docker for docker, oci in _PAIRS}}
"""For each media type of Docker that of OCI, and the reverse."""


class Negotiate(Fault):
    """Sends a manifest only if Accept names its media type.

    A range such as `*/*` names all types; a request without Accept names none. `form` selects the response to
    other requests:

    - `not-found`: 404 (code MANIFEST_UNKNOWN)
    - `not-acceptable`: 406
    - `convert`: the manifest with the media types of Docker instead of those of OCI, or the reverse, if
      Accept names the other type; it has another digest, under which nothing is found. Otherwise, 404
    """

    name = "negotiate"
    default_endpoint = "manifest"
    endpoints = frozenset({Endpoint.MANIFEST})
    methods = READS
    clients = "Clients whose Accept header lacks a type cannot pull images of that type."
    example = "form-not-found"

    form: Literal["not-found", "not-acceptable", "convert"] = Field(
        "not-found", description="the response if Accept does not name the type"
    )

    async def apply(self, context: FaultContext) -> None:
        head, body = await context.fetch(scope={**context.scope, "method": "GET"})
        stored = (head.get("content-type") or "").partition(";")[0].strip()
        named = _accepted(context.scope)
        if not head.is_success or _names(named, stored):
            reason = f"Accept names {stored}" if head.is_success else f"the status is {head.status}"
            context.no_effect(reason)
            await self._send(context, head, body)
        elif self.form == "convert" and _names(named, _OTHERS.get(stored, "")):
            converted = await asyncio.to_thread(_converted, body)
            head.set("content-type", _OTHERS[stored])
            digest = Digest.of(converted)
            head.set("docker-content-digest", digest)
            head.set("etag", f'"{digest}"')
            head.set("content-length", str(len(converted)))
            await self._send(context, head, converted)
        else:
            status = 406 if self.form == "not-acceptable" else 404
            message = f"OCI or Docker type {stored} found, but the Accept header does not name it"
            await context.respond_error(OCIError(status, ErrorCode.MANIFEST_UNKNOWN, message))

    async def _send(self, context: FaultContext, head: Head, body: bytes) -> None:
        await context.send_response(head, b"" if context.exchange.method == "HEAD" else body)


def _accepted(scope: Scope) -> set[str]:
    """Return the media ranges in Accept (RFC 9110, section 12.5.1), without parameters."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"]
    return {each.partition(";")[0].strip().lower() for each in ",".join(values).split(",")} - {""}


def _names(ranges: set[str], media_type: str) -> bool:
    return bool(media_type) and not ranges.isdisjoint({media_type, "application/*", "*/*"})


def _converted(body: bytes) -> bytes:
    """Return a manifest with the other media types; one that is not JSON stays as it is."""
    try:
        document = None if has_too_many_values(body) else json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return body
    return json.dumps(_with_other_types(document), separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def _with_other_types(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document, and the descriptors in it, with the other media types."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        if key == "mediaType" and isinstance(value, str):
            found[key] = _OTHERS.get(value, value)
        elif key == "config" and isinstance(value, dict):
            found[key] = _with_other_types(value)
        elif key in ("layers", "manifests") and isinstance(value, list):
            found[key] = [_with_other_types(each) if isinstance(each, dict) else each for each in value]
        else:
            found[key] = value
    return found
