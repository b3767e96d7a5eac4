"""`/v1/blobs`: list, verify, corrupt, evict and delete blobs."""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel, ConfigDict, Field
from quart import Response

from brokenreg.concurrency import paced
from brokenreg.control.problems import APIError
from brokenreg.control.routes import APIRequest, Route, json_response, no_content
from brokenreg.control.rules import SOURCE, RuleState, rule_state
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.runtime.contents import repositories_of
from brokenreg.runtime.errors import Kind, NotFoundError
from brokenreg.runtime.runtime import Runtime
from brokenreg.storage.records import spelled


class Blob(BaseModel):
    """A blob that a repository serves."""

    model_config = ConfigDict(frozen=True)

    digest: str
    size: int = Field(description="bytes")
    kind: str = Field(description="config or layer; a blob that no manifest lists counts as a layer")
    repositories: list[str] = Field(
        description="repositories that serve the blob; those in a namespace as broken/in/<namespace>/..."
    )


class Verified(BaseModel):
    """The result of verifying a blob or manifest."""

    model_config = ConfigDict(frozen=True)

    digest: str
    size: int = Field(description="size of the content in bytes")
    found: str = Field(description="digest of the content")
    intact: bool = Field(
        description="true if the content has the expected digest; otherwise the blob is no longer served"
    )


async def list_blobs(runtime: Runtime, request: APIRequest) -> Response:
    """List the blobs of the namespace, sorted by digest."""
    serving: dict[Digest, list[str]] = {}
    for key, repository in repositories_of(runtime, request.namespace):
        for digest in repository.links:
            serving.setdefault(digest, []).append(spelled(key))
    digests = paced(sorted(serving)[: request.query.limit])
    found = [_blob(runtime, digest, serving[digest]) async for digest in digests]
    return json_response([blob for blob in found if blob is not None])


async def get_blob(runtime: Runtime, request: APIRequest) -> Response:
    """Return a blob."""
    digest = _digest(request)
    names = [
        spelled(key)
        for key, repository in repositories_of(runtime, request.namespace)
        if digest in repository.links
    ]
    blob = _blob(runtime, digest, names) if names else None
    if blob is None:
        raise NotFoundError(Kind.BLOB, digest)
    return json_response(blob)


async def verify_blob(runtime: Runtime, request: APIRequest) -> Response:
    """Read a blob or manifest and compare its digest. A corrupt blob is no longer served."""
    finding = await request.operations.verify(_digest(request))
    return json_response(
        Verified(digest=finding.digest, size=finding.size, found=finding.found, intact=finding.is_intact)
    )


async def corrupt_blob(runtime: Runtime, request: APIRequest) -> Response:
    """Add rules that corrupt a blob or manifest when it is sent. The stored content stays intact."""
    added = request.operations.corrupt(_digest(request), SOURCE)
    return json_response([rule_state(active) for _, active in added], 201)


async def stop_corrupting_blob(runtime: Runtime, request: APIRequest) -> Response:
    """Remove the rules that corrupt a blob or manifest."""
    request.operations.stop_corrupting(_digest(request))
    return no_content()


async def evict_blob(runtime: Runtime, request: APIRequest) -> Response:
    """Remove a blob from the cache. It is fetched again when a client requests it."""
    await request.operations.evict_blob(_digest(request))
    return no_content()


async def delete_blob(runtime: Runtime, request: APIRequest) -> Response:
    """Remove a blob from all repositories of the namespace. A cached blob is evicted."""
    await request.operations.delete_blob(_digest(request), request.namespace)
    return no_content()


def _digest(request: APIRequest) -> Digest:
    """Return the digest in the path. Raise `APIError` 400 if it is invalid."""
    try:
        return Digest.parse(request.text("digest"))
    except OCIError as error:
        raise APIError(400, error.message, field="digest") from None


def _blob(runtime: Runtime, digest: Digest, serving: list[str]) -> Blob | None:
    size = runtime.store.size(digest)
    if size is None:
        return None
    kind = "config" if runtime.store.index.is_config(digest) else "layer"
    return Blob(digest=digest, size=size, kind=kind, repositories=sorted(serving))


_BLOB = "/v1/blobs/<digest>"
_for_one = partial(Route, problems=(404,), parameters={"digest": "sha256:... or sha512:..."})
_change = partial(_for_one, problems=(404, 409, 500))
_NAMESPACE = ("namespace",)
ROUTES = (
    Route("GET", "/v1/blobs", list_blobs, query=("namespace", "limit"), answer=list[Blob]),
    _for_one("GET", _BLOB, get_blob, query=_NAMESPACE, answer=Blob),
    _for_one("POST", f"{_BLOB}/verify", verify_blob, answer=Verified, problems=(404, 500)),
    _for_one("POST", f"{_BLOB}/corrupt", corrupt_blob, answer=list[RuleState], status=201),
    _for_one("DELETE", f"{_BLOB}/corrupt", stop_corrupting_blob, status=204),
    _change("POST", f"{_BLOB}/evict", evict_blob, status=204),
    _change("DELETE", _BLOB, delete_blob, query=_NAMESPACE, status=204),
)
