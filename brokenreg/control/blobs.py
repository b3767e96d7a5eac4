"""`/v1/blobs`: the blobs that were pushed."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict, Field
from quart import Response

from brokenreg.control.problems import Problem
from brokenreg.control.repositories import repositories_of
from brokenreg.control.routes import APIRequest, Route, json_response, no_content
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.runtime.runtime import Runtime
from brokenreg.storage.records import spelled

_SLICE = 100
"""Files asked for their size in one turn of the loop."""


class Blob(BaseModel):
    """A pushed blob."""

    model_config = ConfigDict(frozen=True)

    digest: str
    size: int = Field(description="bytes")
    kind: str = Field(description="config or layer; one that no manifest names counts as a layer")
    repositories: list[str] = Field(
        description="that serve it, as broken/in/<namespace>/... where they are in one"
    )


class Verified(BaseModel):
    """What reading a blob showed."""

    model_config = ConfigDict(frozen=True)

    digest: str
    size: int = Field(description="bytes in the file")
    found: str = Field(description="the digest of what is in the file")
    intact: bool = Field(description="whether that is the blob's digest; if not, it is served no more")


async def list_blobs(runtime: Runtime, request: APIRequest) -> Response:
    """List pushed blobs by digest."""
    serving: dict[Digest, list[str]] = {}
    for key, repository in repositories_of(runtime, request):
        for digest in repository.links:
            serving.setdefault(digest, []).append(spelled(key))
    found = []
    for looked_at, digest in enumerate(sorted(serving)[: request.query.limit], start=1):
        found.append(_blob(runtime, digest, serving[digest]))
        if looked_at % _SLICE == 0:
            await asyncio.sleep(0)
    return json_response([blob for blob in found if blob is not None])


async def get_blob(runtime: Runtime, request: APIRequest) -> Response:
    """Show one blob."""
    digest = _digest(request)
    serving = [
        spelled(key) for key, repository in repositories_of(runtime, request) if digest in repository.links
    ]
    blob = _blob(runtime, digest, serving) if serving else None
    if blob is None:
        raise Problem(404, f"no repository here serves a blob {digest}; GET /v1/blobs lists them")
    return json_response(blob)


async def verify_blob(runtime: Runtime, request: APIRequest) -> Response:
    """Read a stored blob, pushed or cached, and compare its digest; a corrupt one is not served any more."""
    digest = _digest(request)
    try:
        finding = await runtime.store.integrity.verify(digest)
    except OSError as error:
        raise Problem(500, f"blob {digest} cannot be read: {error.strerror or error}") from None
    if finding is None:
        raise Problem(404, f"no blob {digest} is stored here; GET /v1/blobs lists those that were pushed")
    return json_response(
        Verified(digest=digest, size=finding.size, found=finding.found, intact=finding.is_intact)
    )


async def delete_blob(runtime: Runtime, request: APIRequest) -> Response:
    """Take a blob from all repositories that serve it."""
    digest = _digest(request)
    keys = [key for key, repository in repositories_of(runtime, request) if digest in repository.links]
    if not keys:
        raise Problem(404, f"no repository here serves a blob {digest}; GET /v1/blobs lists them")
    for key in keys:
        await runtime.store.index.unlink_blobs(key, [digest])
    return no_content()


def _digest(request: APIRequest) -> Digest:
    """Raise `Problem` 400."""
    try:
        return Digest.parse(request.path["digest"])
    except OCIError as error:
        raise Problem(400, error.message, field="digest") from None


def _blob(runtime: Runtime, digest: Digest, serving: list[str]) -> Blob | None:
    size = runtime.store.blobs.size(digest)
    if size is None:
        return None
    kind = "config" if runtime.store.index.is_config(digest) else "layer"
    return Blob(digest=digest, size=size, kind=kind, repositories=sorted(serving))


_DIGEST = {"digest": "sha256:... or sha512:..."}
ROUTES = (
    Route("GET", "/v1/blobs", list_blobs, query=("namespace", "limit"), answer=list[Blob]),
    Route(
        "GET",
        "/v1/blobs/<digest>",
        get_blob,
        query=("namespace",),
        answer=Blob,
        problems=(404,),
        parameters=_DIGEST,
    ),
    Route(
        "POST",
        "/v1/blobs/<digest>/verify",
        verify_blob,
        answer=Verified,
        problems=(404, 500),
        parameters=_DIGEST,
    ),
    Route(
        "DELETE",
        "/v1/blobs/<digest>",
        delete_blob,
        query=("namespace",),
        status=204,
        problems=(404,),
        parameters=_DIGEST,
    ),
)
