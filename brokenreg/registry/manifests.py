"""Manifests: GET and HEAD (plain ASGI, for they are asked for most) and PUT (for its body); DELETE."""

from __future__ import annotations

import asyncio

from quart import Response

from brokenreg.oci.digests import Digest, is_digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import (
    MAX_MANIFEST,
    MAX_VALUES,
    OCI_MANIFEST,
    has_too_many_values,
    manifest_facts,
    media_type,
)
from brokenreg.oci.names import check_tag
from brokenreg.proxy.default_upstream import RequestKind
from brokenreg.registry.call import Call, StreamCall
from brokenreg.registry.conditions import entity_tag, is_known
from brokenreg.registry.responses import empty_response, respond
from brokenreg.storage.records import Manifest
from brokenreg.wording import counted

_MAX_TAGS = 100


async def get_manifest(call: StreamCall) -> None:
    """GET and HEAD `/v2/<name>/manifests/<reference>`."""
    digest, kind, body = await _find(call)
    headers = {
        "content-type": kind,
        "docker-content-digest": digest,
        "etag": entity_tag(digest),
    }
    if is_known(call, digest):
        await respond(call.send, 304, headers)
        return
    await respond(call.send, 200, headers, body)


async def put_manifest(call: StreamCall) -> None:
    """PUT `/v2/<name>/manifests/<reference>`, by digest with `?tag=` parameters too.

    Any media type and any content are accepted: this registry is for unusual content. With `?digest=`, the
    manifest is verified and stored under that digest, which may have another algorithm than sha256.
    """
    call.check_writable()
    reference = call.target.reference
    tags = [reference]
    if is_digest(reference):
        tags = [check_tag(tag) for tag in call.query.get("tag", ()) if tag]
    if len(tags) > _MAX_TAGS:
        raise OCIError(
            414,
            ErrorCode.TAG_INVALID,
            f"{counted(len(tags), 'tag')} at once; at most {_MAX_TAGS} are accepted",
        )
    body = await call.body.whole(MAX_MANIFEST)
    manifest = await asyncio.to_thread(_received, call, body, _announced(call))  # long ones take up to 0.2 s
    await _keep_cached_blobs(call, manifest)
    await call.store.index.put_manifest(call.key, manifest, body, tags)
    headers = [
        ("location", call.location("manifests", manifest.digest)),
        ("docker-content-digest", str(manifest.digest)),
    ]
    if manifest.facts.subject:
        headers.append(("oci-subject", manifest.facts.subject))
    if is_digest(reference):
        headers.extend(("oci-tag", tag) for tag in tags)
    await respond(call.send, 201, headers)


async def delete_manifest(call: Call) -> Response:
    """DELETE `/v2/<name>/manifests/<reference>`: a tag alone, or a manifest with all its tags."""
    call.check_writable()
    reference = call.target.reference
    if is_digest(reference):
        found = await call.store.index.delete_manifest(call.key, call.target.digest)
    else:
        found = await call.store.index.delete_tag(call.key, reference)
    if not found:
        raise _unknown(call)
    return empty_response(202)


async def _find(call: StreamCall) -> tuple[Digest, str, bytes]:
    """Digest, media type and bytes."""
    if call.is_fabricated:
        making = call.images.image(call.target.repository, call.target.reference, call.trace)
        image = await call.unless_gone_or_known(making)
        return image.digest, image.media_type, image.manifest
    manifest = call.repository.resolve(call.target.reference) if call.repository else None
    body = await call.store.index.manifest_body(manifest.digest) if manifest else None
    if manifest is None or body is None:
        if call.route is None:
            raise _unknown(call)
        manifests = call.proxy.manifests
        kind = RequestKind.HEAD if call.method == "HEAD" else RequestKind.GET
        finding = manifests.find(call.route, call.target.reference, call.trace, kind)
        found = await call.unless_gone(finding)
        manifest, body = found.manifest, found.body
    return manifest.digest, manifest.media_type, body


async def _keep_cached_blobs(call: Call, manifest: Manifest) -> None:
    """What a push found here, because the proxy had brought it, must stay when the cache lets it go."""
    here = call.repository.links if call.repository else {}
    for repository in call.store.index.present(call.proxy.naming.places(call.target)):
        for name in manifest.facts.names:
            if name in repository.links and name not in here:
                await call.store.link(call.key, Digest(name))


def _announced(call: Call) -> list[Digest]:
    """Return the digests that the client gives in the path and in `?digest=`. Raise `OCIError` 400."""
    told = call.parameter("digest")
    in_path = [call.target.digest] if is_digest(call.target.reference) else []
    return in_path if told is None else [*in_path, Digest.parse(told)]


def _received(call: Call, body: bytes, announced: list[Digest]) -> Manifest:
    """Return the pushed manifest under the first `announced` digest.

    Raise `OCIError` 400 if it is empty, has too many values or does not have the announced digests.
    """
    if not body:
        raise OCIError(400, ErrorCode.MANIFEST_INVALID, "the manifest is empty")
    if has_too_many_values(body):
        raise OCIError(
            400, ErrorCode.MANIFEST_INVALID, f"the manifest has more than {MAX_VALUES} values of JSON"
        )
    for digest in announced:
        if (actual := Digest.of(body, digest.algorithm)) != digest:
            raise OCIError(
                400,
                ErrorCode.DIGEST_INVALID,
                f"received {counted(len(body), 'byte')} with the digest {actual}, not {digest}",
            )
    digest = announced[0] if announced else Digest.of(body)
    facts = manifest_facts(body)
    told = media_type((call.header("content-type") or "").partition(";")[0].strip())
    return Manifest(digest, told or facts.media_type or OCI_MANIFEST, len(body), facts)


def _unknown(call: Call) -> OCIError:
    return OCIError(
        404,
        ErrorCode.MANIFEST_UNKNOWN,
        f"{call.target.name} has no manifest {call.target.reference}",
        detail={"reference": call.target.reference},
    )
