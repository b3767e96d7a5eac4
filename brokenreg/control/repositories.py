"""`/v1/repositories`: lists, tags and deletes repositories, tags and manifests."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from quart import Response

from brokenreg.control.routes import APIRequest, Route, json_list, json_response, no_content
from brokenreg.oci.digests import Digest
from brokenreg.oci.errors import OCIError
from brokenreg.oci.upstreams import one_name
from brokenreg.runtime import contents
from brokenreg.runtime.errors import Kind, NotFoundError
from brokenreg.runtime.runtime import Runtime
from brokenreg.storage.records import Manifest, Repository, RepositoryKey, spelled


def _digest(value: str) -> str:
    try:
        return str(Digest.parse(value))
    except OCIError as error:
        raise ValueError(error.message) from None


class RepositorySummary(BaseModel):
    """A repository, with the number of its tags, manifests and blobs."""

    model_config = ConfigDict(frozen=True)

    namespace: str
    name: str
    tags: int
    manifests: int
    blobs: int


class TagBody(BaseModel):
    """The manifest to which a tag points."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Annotated[str, AfterValidator(_digest)] = Field(
        description="digest of a manifest of the same repository"
    )


class Tag(BaseModel):
    """A tag and the manifest to which it points."""

    model_config = ConfigDict(frozen=True)

    tag: str
    digest: str
    media_type: str | None = Field(description="null if the manifest was deleted")
    size: int | None = Field(description="size of the manifest in bytes")


class ManifestSummary(BaseModel):
    """A manifest."""

    model_config = ConfigDict(frozen=True)

    digest: str
    media_type: str
    size: int = Field(description="bytes")
    tags: list[str]
    subject: str | None
    artifact_type: str | None


class ManifestDetail(ManifestSummary):
    """A manifest with its content."""

    document: Any = Field(description="content as JSON; null if it is not JSON")


async def list_repositories(runtime: Runtime, request: APIRequest) -> Response:
    """List the repositories of the namespace."""
    return await json_list(
        RepositorySummary(
            namespace=namespace,
            name=name,
            tags=len(repository.tags),
            manifests=len(repository.manifests),
            blobs=len(repository.links),
        )
        for (namespace, name), repository in sorted(
            contents.repositories_of(runtime, request.namespace), key=lambda pair: pair[0]
        )
    )


async def delete_repository(runtime: Runtime, request: APIRequest) -> Response:
    """Delete all manifests and tags of a repository, and remove its blobs from it."""
    await request.operations.delete_repository(_key(request))
    return no_content()


async def list_tags(runtime: Runtime, request: APIRequest) -> Response:
    """List the tags of a repository."""
    repository = contents.repository(runtime, _key(request))
    return await json_list(
        _tag(repository, *pair) for pair in [(tag, repository.tags[tag]) for tag in repository.tags.names]
    )


async def put_tag(runtime: Runtime, request: APIRequest) -> Response:
    """Create a tag for a manifest of the repository, or move an existing one."""
    digest = Digest(request.model(TagBody).digest)
    key, tag = _key(request), request.text("tag")
    await request.operations.tag_manifest(key, digest, tag)
    return json_response(_tag(contents.repository(runtime, key), tag, digest))


async def delete_tag(runtime: Runtime, request: APIRequest) -> Response:
    """Delete a tag. Its manifest stays."""
    await request.operations.delete_tag(_key(request), request.text("tag"))
    return no_content()


async def list_manifests(runtime: Runtime, request: APIRequest) -> Response:
    """List the manifests of a repository."""
    repository = contents.repository(runtime, _key(request))
    manifests = sorted(repository.manifests.values(), key=lambda manifest: manifest.digest)
    tags = _tags_by_digest(repository)
    return await json_list(_manifest(manifest, tags.get(manifest.digest, [])) for manifest in manifests)


async def get_manifest(runtime: Runtime, request: APIRequest) -> Response:
    """Return a manifest with its content."""
    key = _key(request)
    repository = contents.repository(runtime, key)
    manifest = repository.resolve(request.text("reference"))
    body = await runtime.store.index.manifest_body(manifest.digest) if manifest else None
    if manifest is None or body is None:
        raise NotFoundError(Kind.MANIFEST, request.text("reference"), place=spelled(key))
    summary = _manifest(manifest, _tags_by_digest(repository).get(manifest.digest, []))
    return json_response({**summary.model_dump(), "document": _json(body)})


async def delete_manifest(runtime: Runtime, request: APIRequest) -> Response:
    """Delete a manifest and all tags that point to it."""
    await request.operations.delete_manifest(_key(request), request.text("reference"))
    return no_content()


def _key(request: APIRequest) -> RepositoryKey:
    return request.one_namespace(), one_name(request.text("name"))


def _tag(repository: Repository, tag: str, digest: Digest) -> Tag:
    manifest = repository.manifests.get(digest)
    return Tag(
        tag=tag,
        digest=digest,
        media_type=manifest.media_type if manifest else None,
        size=manifest.size if manifest else None,
    )


def _tags_by_digest(repository: Repository) -> dict[str, list[str]]:
    """Return the tags that point to each manifest, in order."""
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


_ALL = "/v1/repositories"
_ONE = f"{_ALL}/<path:name>"
_TAG = f"{_ONE}/tags/<tag>"
_MANIFEST = f"{_ONE}/manifests/<reference>"
_PARAMETERS = {
    "name": "name of the repository, including slashes",
    "tag": "the tag",
    "reference": "tag or digest",
}
_EXAMPLE = f'{{"digest": "sha256:{"0" * 64}"}}'
_for_one = partial(Route, query=("namespace",), problems=(404,), parameters=_PARAMETERS)
_change = partial(_for_one, problems=(404, 409, 500))
ROUTES = (
    Route("GET", _ALL, list_repositories, query=("namespace",), answer=list[RepositorySummary]),
    _change("DELETE", _ONE, delete_repository, status=204),
    _for_one("GET", f"{_ONE}/tags", list_tags, answer=list[Tag]),
    _change("PUT", _TAG, put_tag, body=TagBody, answer=Tag, example=_EXAMPLE),
    _change("DELETE", _TAG, delete_tag, status=204),
    _for_one("GET", f"{_ONE}/manifests", list_manifests, answer=list[ManifestSummary]),
    _for_one("GET", _MANIFEST, get_manifest, answer=ManifestDetail),
    _change("DELETE", _MANIFEST, delete_manifest, status=204),
)
