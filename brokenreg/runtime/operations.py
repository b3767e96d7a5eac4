"""The operations that the control API and the panel share, so that both behave the same.

Each is a function or coroutine on a `Runtime`. If it cannot be carried out, it raises `OperationError`, whose
one line says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from brokenreg.gate.breakpoints import Breakpoint
from brokenreg.gate.edits import EditableHead
from brokenreg.gate.passage import Order
from brokenreg.oci.digests import Digest
from brokenreg.oci.names import check_tag
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import FieldError, Rule, rule_of
from brokenreg.rules.rule_book import RuleBook
from brokenreg.rules.scenario import MAX_RULES, ScenarioError, SourcedScenario
from brokenreg.runtime.contents import open_content, repository, request_matches, serving
from brokenreg.runtime.errors import InvalidError, Kind, NotFoundError, RefusedError, operation_errors
from brokenreg.runtime.runtime import ALL_NAMESPACES, Runtime
from brokenreg.storage.integrity import Finding, digest_of
from brokenreg.storage.records import RepositoryKey, is_cache, spelled
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filters import FilterError


@dataclass(frozen=True, slots=True)
class DeletedBlob:
    """What became of a blob: how many repositories lost it, and whether the cache did."""

    repositories: int
    is_evicted: bool


# Blobs, manifests, tags and repositories


async def delete_blob(runtime: Runtime, digest: Digest, namespace: str) -> DeletedBlob:
    """Remove a blob from all repositories of a namespace. If it is cached only there, evict it.

    If a client is reading the cached blob, nothing is changed.
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


async def delete_manifest(runtime: Runtime, key: RepositoryKey, reference: str) -> None:
    """Delete a manifest, given by tag or digest, and all tags that point to it."""
    manifest = repository(runtime, key).resolve(reference)
    with operation_errors():
        if manifest is None or not await runtime.store.index.delete_manifest(key, manifest.digest):
            raise NotFoundError(Kind.MANIFEST, reference, place=spelled(key))


async def delete_tag(runtime: Runtime, key: RepositoryKey, tag: str) -> None:
    """Delete a tag. Its manifest stays."""
    repository(runtime, key)
    with operation_errors():
        if not await runtime.store.index.delete_tag(key, tag):
            raise NotFoundError(Kind.TAG, tag, place=spelled(key))


async def delete_repository(runtime: Runtime, key: RepositoryKey) -> None:
    """Delete all manifests and tags of a repository, and remove its blobs from it."""
    found, index = repository(runtime, key), runtime.store.index
    with operation_errors():
        await asyncio.gather(*(index.delete_manifest(key, digest) for digest in found.manifests))
        await asyncio.gather(*(index.delete_tag(key, tag) for tag in found.tags))
        await index.unlink_blobs(key, tuple(found.links))


async def tag_manifest(runtime: Runtime, key: RepositoryKey, digest: Digest, tag: str) -> None:
    """Point a tag at a manifest of the same repository."""
    with operation_errors():
        check_tag(tag)
    if is_cache(key):
        raise RefusedError("cached tags are the upstream's; push the image here to tag it")
    manifest = repository(runtime, key).manifests.get(digest)
    with operation_errors():
        body = await runtime.store.index.manifest_body(digest) if manifest else None
        if manifest is None or body is None:
            raise NotFoundError(Kind.MANIFEST, digest, place=spelled(key))
        await runtime.store.index.put_manifest(key, manifest, body, [tag])


async def verify(
    runtime: Runtime, digest: Digest, on_read: Callable[[int], None] = lambda _: None
) -> Finding:
    """Read a blob or a manifest and compare its digest. A corrupt blob is quarantined, and no longer served.

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


# Rules and scenarios


def add_rule(runtime: Runtime, namespace: str, rule: Rule, source: str, *, first: bool = False) -> ActiveRule:
    """Add a rule to a namespace, to be evaluated last, or first. `source` names who added it."""
    with operation_errors():
        book = runtime.rules.book(namespace)
        active = book.add(rule, source)
        if first:
            book.move(active.id, -MAX_RULES)
        return active


def replace_rule(runtime: Runtime, namespace: str, rule_id: int, rule: Rule, source: str) -> ActiveRule:
    """Replace a rule. Its counts begin anew."""
    with operation_errors():
        active = runtime.rules.book(namespace).replace(rule_id, rule, source)
    if active is None:
        raise NotFoundError(Kind.RULE, rule_id)
    return active


def find_rule(runtime: Runtime, namespace: str, rule_id: int) -> ActiveRule:
    """Return a rule. Raise `NotFoundError`."""
    with operation_errors():
        active = runtime.rules.book(namespace).get(rule_id)
    if active is None:
        raise NotFoundError(Kind.RULE, rule_id)
    return active


def set_rule_enabled(runtime: Runtime, namespace: str, rule_id: int, *, enabled: bool) -> None:
    """Enable or disable a rule. Its counts stay."""
    find_rule(runtime, namespace, rule_id)
    runtime.rules.book(namespace).set_enabled(rule_id, enabled=enabled)


def move_rule(runtime: Runtime, namespace: str, rule_id: int, by: int) -> None:
    """Move a rule down by some places, or up if `by` is negative, among rules or among overrides."""
    find_rule(runtime, namespace, rule_id)
    runtime.rules.book(namespace).move(rule_id, by)


def remove_rule(runtime: Runtime, namespace: str, rule_id: int) -> None:
    """Remove a rule."""
    find_rule(runtime, namespace, rule_id)
    runtime.rules.book(namespace).remove(rule_id)


def clear_rules(runtime: Runtime, namespace: str) -> None:
    """Remove all rules of a namespace."""
    with operation_errors():
        runtime.rules.book(namespace).clear()


async def load_scenario(
    runtime: Runtime, namespace: str, read: Callable[[], SourcedScenario], source: str = ""
) -> RuleBook:
    """Replace all rules and expectations of a namespace with a scenario; an invalid one changes nothing.

    Threads call `read` and prepare the rules: a thousand rules take half a second. `source` begins the
    message about an invalid rule.
    """
    with operation_errors():
        sourced = await asyncio.to_thread(read)
        try:
            prepared = await asyncio.to_thread(runtime.rules.book(namespace).prepare, sourced)
        except FieldError as error:
            message = f"{source}: {error}" if source else str(error)
            raise ScenarioError(message, error.where) from None
        book = runtime.rules.book(namespace)  # a reset may have replaced it meanwhile
    book.replace_all(sourced, prepared)
    return book


def reset(runtime: Runtime, namespace: str) -> None:
    """Restore the rules of the start; forget counts, ended exchanges, leaks and breakpoints. Images stay."""
    is_all = namespace == ALL_NAMESPACES
    for each in runtime.rules.namespaces() if is_all else [namespace]:
        runtime.rules.reset(each)
    for each in runtime.trap.namespaces() if is_all else [namespace]:
        runtime.trap.reset(each)
    clear_breakpoints(runtime)
    forget_exchanges(runtime, lambda exchange: is_all or exchange.target.namespace == namespace)


def forget_exchanges(runtime: Runtime, matches: Callable[[Exchange], bool]) -> None:
    """Delete the exchanges that have ended and match."""
    runtime.log.forget(lambda exchange: exchange.ended is not None and matches(exchange))


# Holding


def hold(runtime: Runtime, exchange_id: int, by: str, at: int | None = None) -> None:
    """Hold an exchange in flight where it is, or at `HEADERS` or a byte of the body. `by` names who does."""
    with operation_errors():
        runtime.gate.hold(exchange_id, by, at)


def carry_out(runtime: Runtime, exchange_id: int, order: Order) -> None:
    """Resume, step or abort a held exchange."""
    with operation_errors():
        runtime.gate.order(exchange_id, order)


def carry_out_all(
    runtime: Runtime, order: Order, matches: Callable[[Exchange], bool] = lambda _: True
) -> tuple[list[Exchange], list[Exchange]]:
    """Resume, step or abort all held exchanges that match. Return those, and those that it did not fit."""
    return runtime.gate.order_all(order, matches)


def waiting_head(runtime: Runtime, exchange_id: int) -> EditableHead:
    """Return the status and headers of an exchange that is held before they are sent."""
    with operation_errors():
        return runtime.gate.head(exchange_id)


def edit(runtime: Runtime, exchange_id: int, head: EditableHead) -> None:
    """Replace the status and headers of an exchange that is held before they are sent. It stays held."""
    with operation_errors():
        runtime.gate.edit(exchange_id, head)


def add_breakpoint(runtime: Runtime, expression: str) -> Breakpoint:
    """Hold every response that a filter matches, once its head is ready. Enables all breakpoints."""
    try:
        return runtime.gate.breakpoints.add(expression)
    except FilterError as error:
        raise InvalidError(f"expression: {error}", "expression", str(error)) from None


def remove_breakpoint(runtime: Runtime, breakpoint_id: int) -> None:
    """Remove a breakpoint. What is held stays held."""
    if not runtime.gate.breakpoints.remove(breakpoint_id):
        raise NotFoundError(Kind.BREAKPOINT, breakpoint_id)


def clear_breakpoints(runtime: Runtime) -> None:
    """Remove all breakpoints. What is held stays held."""
    runtime.gate.breakpoints.clear()


def set_breakpoints_enabled(runtime: Runtime, *, enabled: bool) -> None:
    """Enable or disable all breakpoints. What is held stays held."""
    runtime.gate.breakpoints.are_on = enabled
