"""`/v1/repositories`: what was pushed to which repository."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from quart import Response

from brokenreg.control.problems import Problem
from brokenreg.control.routes import APIRequest, Route, json_list, json_response, no_content
from brokenreg.oci.digests import Digest
from brokenreg.oci.upstreams import one_name
from brokenreg.runtime.runtime import ALL_NAMESPACES, Runtime
from brokenreg.storage.records import Manifest, Repository, RepositoryKey


class RepositorySummary(BaseModel):
    """A repository that was pushed to."""

    model_config = ConfigDict(frozen=True)

    namespace: str
    name: str
    tags: int
    manifests: int
    blobs: int


class Tag(BaseModel):
    """A tag and what it points to."""

    model_config = ConfigDict(frozen=True)

    tag: str
    digest: str
    media_type: str | None = Field(description="null if the manifest is gone")
    size: int | None = Field(description="bytes of the manifest")


class ManifestSummary(BaseModel):
    """A pushed manifest."""

    model_config = ConfigDict(frozen=True)

    digest: str
    media_type: str
    size: int = Field(description="bytes")
    tags: list[str]
    subject: str | None
    artifact_type: str | None


class ManifestDetail(ManifestSummary):
    """A pushed manifest with its content."""

    document: Any = Field(description="the content as JSON; null if it is none")


async def list_repositories(runtime: Runtime, request: APIRequest) -> Response:
    """List the repositories that were pushed to."""
    return await json_list(
        RepositorySummary(
            namespace=namespace,
            name=name,
            tags=len(repository.tags),
            manifests=len(repository.manifests),
            blobs=len(repository.links),
        )
        for (namespace, name), repository in sorted(
            repositories_of(runtime, request), key=lambda pair: pair[0]
        )
    )


async def delete_repository(runtime: Runtime, request: APIRequest) -> Response:
    """Delete all manifests and tags of a repository, and take its blobs from it."""
    repository = _repository(runtime, request)
    index, key = runtime.store.index, _key(request)
    await asyncio.gather(*(index.delete_manifest(key, digest) for digest in repository.manifests))
    await asyncio.gather(*(index.delete_tag(key, tag) for tag in repository.tags))
    await index.unlink_blobs(key, tuple(repository.links))
    return no_content()


async def list_tags(runtime: Runtime, request: APIRequest) -> Response:
    """List the tags of a repository."""
    repository = _repository(runtime, request)
    return await json_list(
        _tag(repository, *pair) for pair in [(tag, repository.tags[tag]) for tag in repository.tags.names]
    )


async def delete_tag(runtime: Runtime, request: APIRequest) -> Response:
    """Delete a tag; its manifest stays."""
    _repository(runtime, request)
    if not await runtime.store.index.delete_tag(_key(request), request.path["tag"]):
        raise Problem(404, f"{request.path['name']} has no tag {request.path['tag'][:128]!r}")
    return no_content()


async def list_manifests(runtime: Runtime, request: APIRequest) -> Response:
    """List the manifests of a repository."""
    repository = _repository(runtime, request)
    manifests = sorted(repository.manifests.values(), key=lambda manifest: manifest.digest)
    tags = _tags_by_digest(repository)
    return await json_list(_manifest(manifest, tags.get(manifest.digest, [])) for manifest in manifests)


async def get_manifest(runtime: Runtime, request: APIRequest) -> Response:
    """Show a manifest and its content."""
    repository = _repository(runtime, request)
    manifest = repository.resolve(request.path["reference"])
    body = await runtime.store.index.manifest_body(manifest.digest) if manifest else None
    if manifest is None or body is None:
        raise _no_manifest(request)
    summary = _manifest(manifest, _tags_by_digest(repository).get(manifest.digest, []))
    return json_response({**summary.model_dump(), "document": _json(body)})


async def delete_manifest(runtime: Runtime, request: APIRequest) -> Response:
    """Delete a manifest and the tags that point to it."""
    manifest = _repository(runtime, request).resolve(request.path["reference"])
    if manifest is None or not await runtime.store.index.delete_manifest(_key(request), manifest.digest):
        raise _no_manifest(request)
    return no_content()


def repositories_of(runtime: Runtime, request: APIRequest) -> list[tuple[RepositoryKey, Repository]]:
    """Those of the namespace that was asked for."""
    everything = runtime.store.index.repositories.items()
    return [
        (key, repository) for key, repository in everything if request.namespace in (ALL_NAMESPACES, key[0])
    ]


def _key(request: APIRequest) -> RepositoryKey:
    return request.one_namespace(), one_name(request.path["name"])


def _repository(runtime: Runtime, request: APIRequest) -> Repository:
    """Raise `Problem` 404."""
    found = runtime.store.index.repository(_key(request))
    if found is None:
        raise Problem(
            404, f"nothing was pushed to {request.path['name'][:255]!r}; GET /v1/repositories lists what was"
        )
    return found


def _tag(repository: Repository, tag: str, digest: Digest) -> Tag:
    manifest = repository.manifests.get(digest)
    return Tag(
        tag=tag,
        digest=digest,
        media_type=manifest.media_type if manifest else None,
        size=manifest.size if manifest else None,
    )


def _tags_by_digest(repository: Repository) -> dict[str, list[str]]:
    """The tags that point to each manifest, in order."""
    found: dict[str, list[str]] = {}
    for tag in repository.tags.names:
        found.setdefault(repository.tags[tag], []).append(tag)
    return found


def _manifest(manifest: Manifest, tags: list[str]) -> ManifestSummary:
    return ManifestSummary(
        digest=manifest.digest,
        media_type=manifest.media_type,
        size=manifest.size,
        tags=tags,
        subject=manifest.facts.subject,
        artifact_type=manifest.facts.artifact_type,
    )


def _json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=lambda word: None)
    except (ValueError, RecursionError):
        return None


def _no_manifest(request: APIRequest) -> Problem:
    return Problem(404, f"{request.path['name']} has no manifest {request.path['reference'][:200]!r}")


_NAME = {"name": "the repository, slashes and all"}
_TAG = {**_NAME, "tag": "the tag"}
_MANIFEST = {**_NAME, "reference": "tag or digest"}
_BELOW = "/v1/repositories/<path:name>"
ROUTES = (
    Route("GET", "/v1/repositories", list_repositories, query=("namespace",), answer=list[RepositorySummary]),
    Route(
        "DELETE",
        _BELOW,
        delete_repository,
        query=("namespace",),
        status=204,
        problems=(404,),
        parameters=_NAME,
    ),
    Route(
        "GET",
        f"{_BELOW}/tags",
        list_tags,
        query=("namespace",),
        answer=list[Tag],
        problems=(404,),
        parameters=_NAME,
    ),
    Route(
        "DELETE",
        f"{_BELOW}/tags/<tag>",
        delete_tag,
        query=("namespace",),
        status=204,
        problems=(404,),
        parameters=_TAG,
    ),
    Route(
        "GET",
        f"{_BELOW}/manifests",
        list_manifests,
        query=("namespace",),
        answer=list[ManifestSummary],
        problems=(404,),
        parameters=_NAME,
    ),
    Route(
        "GET",
        f"{_BELOW}/manifests/<reference>",
        get_manifest,
        query=("namespace",),
        answer=ManifestDetail,
        problems=(404,),
        parameters=_MANIFEST,
    ),
    Route(
        "DELETE",
        f"{_BELOW}/manifests/<reference>",
        delete_manifest,
        query=("namespace",),
        status=204,
        problems=(404,),
        parameters=_MANIFEST,
    ),
)
