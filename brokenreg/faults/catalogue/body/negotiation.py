"""The fault that minds which media types the client accepts."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

from pydantic import Field

from brokenreg.faults.catalogue.base import READS, Fault
from brokenreg.faults.context import FaultContext
from brokenreg.faults.response_head import Head
from brokenreg.http.asgi import Scope
from brokenreg.oci.digests import Digest, is_digest
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
from brokenreg.oci.schema1 import SCHEMA1, schema1_payload, sign_schema1
from brokenreg.oci.target import Endpoint, Target

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
    - `schema1`: whatever Accept names, the manifest of an image in Docker's old format, schema 1, with a
      signature; it has another digest, under which nothing is found. An index gets a 404
    """

    name = "negotiate"
    default_endpoint = "manifest"
    endpoints = frozenset({Endpoint.MANIFEST})
    methods = READS
    clients = "Clients whose Accept header lacks a type cannot pull images of that type."
    example = "form-not-found"

    form: Literal["not-found", "not-acceptable", "convert", "schema1"] = Field(
        "not-found", description="the response if Accept does not name the type"
    )

    async def apply(self, context: FaultContext) -> None:
        head, body = await context.fetch(scope={**context.scope, "method": "GET"})
        stored = (head.get("content-type") or "").partition(";")[0].strip()
        if self.form == "schema1" and head.is_success:
            await self._send_schema1(context, head, body)
            return
        named = _accepted(context.scope)
        if not head.is_success or _names(named, stored):
            reason = f"Accept names {stored}" if head.is_success else f"the status is {head.status}"
            context.no_effect(reason)
            await self._send(context, head, body)
        elif self.form == "convert" and _names(named, _OTHERS.get(stored, "")):
            converted = await asyncio.to_thread(_converted, body)
            head.set("content-type", _OTHERS[stored])
            _set_content(head, Digest.of(converted), converted)
            await self._send(context, head, converted)
        else:
            status = 406 if self.form == "not-acceptable" else 404
            message = f"OCI or Docker type {stored} found, but the Accept header does not name it"
            await context.respond_error(OCIError(status, ErrorCode.MANIFEST_UNKNOWN, message))

    async def _send_schema1(self, context: FaultContext, head: Head, body: bytes) -> None:
        payload = await asyncio.to_thread(_as_schema1, context.exchange.target, body)
        if payload is None:
            message = "This manifest does not exist in schema 1"
            await context.respond_error(OCIError(404, ErrorCode.MANIFEST_UNKNOWN, message))
            return
        signed = await asyncio.to_thread(sign_schema1, payload)
        head.set("content-type", SCHEMA1)
        _set_content(head, Digest.of(payload), signed)
        await self._send(context, head, signed)

    async def _send(self, context: FaultContext, head: Head, body: bytes) -> None:
        await context.send_response(head, b"" if context.exchange.method == "HEAD" else body)


def _set_content(head: Head, digest: Digest, body: bytes) -> None:
    head.set("docker-content-digest", digest)
    head.set("etag", f'"{digest}"')
    head.set("content-length", str(len(body)))


def _as_schema1(target: Target, body: bytes) -> bytes | None:
    """Return the manifest of an image in schema 1, not signed yet; None for anything else."""
    document = _document(body)
    layers = None if document is None else document.get("layers")
    if not isinstance(layers, list):
        return None
    found = [each.get("digest") for each in layers if isinstance(each, dict)]
    digests = [digest for digest in found if isinstance(digest, str)]
    if not digests or len(digests) < len(layers):
        return None
    tag = "latest" if is_digest(target.reference) else target.reference
    return schema1_payload(target.name, tag, digests)


def _document(body: bytes) -> dict[str, Any] | None:
    """Return a JSON object; None for anything else."""
    try:
        document = None if has_too_many_values(body) else json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _accepted(scope: Scope) -> set[str]:
    """Return the media ranges in Accept (RFC 9110, section 12.5.1), without parameters."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"]
    return {each.partition(";")[0].strip().lower() for each in ",".join(values).split(",")} - {""}


def _names(ranges: set[str], media_type: str) -> bool:
    return bool(media_type) and not ranges.isdisjoint({media_type, "application/*", "*/*"})


def _converted(body: bytes) -> bytes:
    """Return a manifest with the other media types; one that is not JSON stays as it is."""
    document = _document(body)
    if document is None:
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
