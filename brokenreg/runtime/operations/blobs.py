"""Operations on blobs: delete, evict, verify and corrupt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from brokenreg.oci.digests import Digest
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import rule_of
from brokenreg.runtime.contents import open_content, request_matches, serving
from brokenreg.runtime.errors import InvalidError, Kind, NotFoundError, RefusedError, operation_errors
from brokenreg.runtime.operations.rules import add_rule, remove_rule
from brokenreg.runtime.runtime import ALL_NAMESPACES, Runtime
from brokenreg.storage.integrity import Finding, digest_of
from brokenreg.storage.records import is_cache


@dataclass(frozen=True, slots=True)
class DeletedBlob:
    """The result of deleting a blob: from how many repositories, and whether it was evicted."""

    repositories: int
    is_evicted: bool


async def delete_blob(runtime: Runtime, digest: Digest, namespace: str) -> DeletedBlob:
    """Remove a blob from all repositories of a namespace. If it is only cached there, evict it.

    Nothing is changed if a client is reading the cached blob.
    """
    all_keys = serving(runtime, digest)
    keys = [key for key in all_keys if namespace in (ALL_NAMESPACES, key[0])]
    if not keys:
        raise NotFoundError(Kind.BLOB, digest)
    cached = sum(map(is_cache, keys))
    is_evicted = cached > 0 and cached == sum(map(is_cache, all_keys))
    if is_evicted:
        await _evict(runtime, digest)
        keys = [key for key in keys if not is_cache(key)]
    with operation_errors():
        removed = [await runtime.store.index.unlink_blobs(key, [digest]) for key in keys]
    return DeletedBlob(sum(removed), is_evicted)


async def evict_blob(runtime: Runtime, digest: Digest) -> None:
    """Remove a blob from the cache. It is fetched again when a client requests it."""
    if not any(map(is_cache, serving(runtime, digest))):
        raise NotFoundError(Kind.CACHED_BLOB, digest)
    await _evict(runtime, digest)


async def _evict(runtime: Runtime, digest: Digest) -> None:
    with operation_errors():
        if not await runtime.store.cache.evict(digest):
            raise RefusedError("the blob is in use: a client is reading it")


async def verify(
    runtime: Runtime, digest: Digest, on_read: Callable[[int], None] = lambda _: None
) -> Finding:
    """Read a blob or manifest and compare its digest. A corrupt blob is quarantined and no longer served.

    `on_read` is called with the number of bytes read so far.
    """
    with operation_errors():
        finding = await runtime.store.integrity.verify(digest, on_read=on_read)
    if finding is not None:
        return finding
    async with open_content(runtime, digest) as content:
        return Finding(digest, content.size, await digest_of(content.read, digest.algorithm, on_read))


def corrupting_rules(runtime: Runtime, digest: Digest) -> list[tuple[str, ActiveRule]]:
    """Return the rules that `corrupt` added for a blob or manifest, with their namespaces."""
    name = _name_of_corruption(digest)
    books = [(namespace, runtime.rules.book(namespace)) for namespace in runtime.rules.namespaces()]
    return [(namespace, each) for namespace, book in books for each in book if each.rule.name == name]


def corrupt(runtime: Runtime, digest: Digest, source: str) -> list[tuple[str, ActiveRule]]:
    """Add rules that corrupt a blob or manifest on its way to clients. What is stored stays intact."""
    reason = runtime.store.integrity.why_missing(digest)
    matches = list(request_matches(runtime, digest))
    if not matches or (reason and runtime.images.find(digest) is None):
        raise NotFoundError(Kind.BLOB, digest, reason or "")
    if corrupting_rules(runtime, digest):
        stop_corrupting(runtime, digest)
    fault = {"name": _name_of_corruption(digest), "fault": {"type": "corrupt"}}
    added: list[tuple[str, ActiveRule]] = []
    try:
        for namespace, match in matches:
            rule = rule_of({**fault, "match": match})
            added.append((namespace, add_rule(runtime, namespace, rule, source)))
    except InvalidError:  # the namespace has too many rules
        for namespace, active in added:
            remove_rule(runtime, namespace, active.id)
        raise
    return added


def stop_corrupting(runtime: Runtime, digest: Digest) -> None:
    """Remove the rules that `corrupt` added."""
    rules = corrupting_rules(runtime, digest)
    if not rules:
        raise NotFoundError(Kind.RULE, _name_of_corruption(digest))
    for namespace, active in rules:
        runtime.rules.book(namespace).remove(active.id)


def _name_of_corruption(digest: Digest) -> str:
    return f"corrupt {digest.encoded[:12]}"
