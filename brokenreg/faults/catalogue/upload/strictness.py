"""The fault that refuses what other registries refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pydantic import Field

from brokenreg.faults.catalogue.base import Fault
from brokenreg.faults.context import FaultContext
from brokenreg.http.asgi import Message, header
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MAX_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    has_too_many_values,
)
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange

_KNOWN = frozenset({OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST})
_MOST_NAMED = 10


class Strict(Fault):
    """Refuses pushes that other registries refuse, although brokenreg accepts them.

    - A manifest that is not a JSON object: 400 (code MANIFEST_INVALID)
    - A manifest whose Content-Type is not one of Docker's or OCI's for manifests and indexes, or is not that
      in `mediaType`: 400 (code MANIFEST_INVALID)
    - A manifest whose blobs, or an index whose manifests, are not in the repository: 404 (code
      MANIFEST_BLOB_UNKNOWN)
    - A mount from another repository: an upload starts instead

    To accept one of these, set its parameter to false.
    """

    name = "strict"
    default_endpoint = "any"
    endpoints = frozenset({Endpoint.MANIFEST, Endpoint.UPLOAD})
    methods = frozenset({"PUT", "POST"})
    clients = "Clients that forget to push a blob, or push in the wrong order, fail."
    example = ""

    json_only: bool = Field(True, description="whether manifests that are not JSON objects are refused")
    media_types: bool = Field(
        True, description="whether manifests of unknown or contradictory media types are refused"
    )
    blobs: bool = Field(
        True, description="whether manifests whose blobs or manifests are missing are refused"
    )
    mounts: bool = Field(True, description="whether mounts from other repositories are refused")

    def inapplicable_reason(self, exchange: Exchange) -> str | None:
        is_manifest = exchange.endpoint is Endpoint.MANIFEST and exchange.method == "PUT"
        is_mount = self.mounts and exchange.endpoint is Endpoint.UPLOAD and "mount=" in exchange.query
        if not (is_manifest or is_mount):
            return "it is neither a push of a manifest nor a mount"
        return super().inapplicable_reason(exchange)

    async def apply(self, context: FaultContext) -> None:
        if context.exchange.endpoint is Endpoint.UPLOAD:
            pairs = parse_qsl(context.scope["query_string"].decode("latin-1"), keep_blank_values=True)
            rest = urlencode([pair for pair in pairs if pair[0] not in ("mount", "from", "digest")])
            await context.forward(scope={**context.scope, "query_string": rest.encode("latin-1")})
            return
        messages: list[Message] = []
        size, more = 0, True
        while more and size <= MAX_MANIFEST:
            messages.append(await context.receive())
            size += len(messages[-1].get("body", b""))
            more = messages[-1].get("more_body", False)
        body = b"".join(each.get("body", b"") for each in messages)
        problem = await asyncio.to_thread(self._problem, context, body) if not more else None
        if problem is not None:
            await context.respond_error(problem)
            return
        context.no_effect("other registries accept it, too")

        async def receive() -> Message:
            return messages.pop(0) if messages else await context.receive()

        await context.forward(receive=receive)

    def _problem(self, context: FaultContext, body: bytes) -> OCIError | None:
        """Return why other registries refuse a manifest, or None."""
        try:
            document = None if has_too_many_values(body) else json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            if not self.json_only:
                return None
            return OCIError(400, ErrorCode.MANIFEST_INVALID, "The manifest is not a JSON object")
        declared = (header(context.scope, b"content-type") or b"").decode("latin-1")
        declared = declared.partition(";")[0].strip()
        within = document.get("mediaType", declared)
        if self.media_types and (declared not in _KNOWN or within != declared):
            message = f"Content-Type is {declared!r}, and mediaType is {str(within)[:200]!r}"
            return OCIError(400, ErrorCode.MANIFEST_INVALID, message)
        missing = list(self._missing(context, document)) if self.blobs else []
        if not missing:
            return None
        message = f"The repository does not have {', '.join(missing[:_MOST_NAMED])}"
        return OCIError(404, ErrorCode.MANIFEST_BLOB_UNKNOWN, message, detail={"digest": missing[0]})

    def _missing(self, context: FaultContext, document: dict[str, Any]) -> Iterator[str]:
        """Yield the digests of blobs and manifests that the repository does not have."""
        view, target = context.registry_view, context.exchange.target
        for each in [document.get("config"), *_listed(document, "layers")]:
            digest = _digest_of(each)
            if digest is not None and not view.has_blob(target, digest):
                yield str(digest)
        for each in _listed(document, "manifests"):
            digest = _digest_of(each)
            if digest is not None and not view.has_manifest(target, digest):
                yield str(digest)


def _listed(document: dict[str, Any], member: str) -> list[Any]:
    found = document.get(member)
    return found if isinstance(found, list) else []


def _digest_of(descriptor: Any) -> Digest | None:
    """Return the digest in a descriptor; None for other values, and for layers that have `urls`."""
    if not isinstance(descriptor, dict) or descriptor.get("urls"):
        return None
    try:
        return Digest.parse(str(descriptor.get("digest")))
    except OCIError:
        return None
