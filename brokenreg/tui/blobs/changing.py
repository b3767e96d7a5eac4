"""What can be done to a blob: deleted, and corrupted on its way to clients. Free of Textual."""

from __future__ import annotations

from collections.abc import Iterator

from brokenreg.rules.rule import rule_of
from brokenreg.runtime.runtime import Runtime
from brokenreg.storage.records import is_cache, spelled
from brokenreg.tui.blobs.survey import Blob
from brokenreg.wording import counted

SOURCE = "panel"

_TAGS = 2
"""Maximum number of tags by which a rule matches a manifest, so that they fit into a match."""


async def delete(runtime: Runtime, blob: Blob) -> str:
    """Take it from all repositories; one line on what became of it. Raise `OSError` or `StorageError`."""
    index = runtime.store.index
    said = []
    pushed = [key for key in blob.keys if not is_cache(key)]
    cached = [key for key in blob.keys if is_cache(key)]
    if blob.kind.is_manifest:
        deleted = [await index.delete_manifest(key, blob.digest) for key in blob.keys]
        said.append(f"deleted from {_repositories(sum(deleted))}, with the tags that pointed to it")
    else:
        if pushed:
            taken = [await index.unlink_blobs(key, [blob.digest]) for key in pushed]
            said.append(f"deleted from {_repositories(sum(taken))}; its file goes when garbage is collected")
        if cached:
            is_out = await runtime.store.cache.evict(blob.digest)
            said.append("evicted from the cache" if is_out else "not evicted: somebody reads it right now")
    if blob.made is not None:
        said.append("it is fabricated anew whenever it is asked for")
    return "; ".join(said)


def toggle_corruption(runtime: Runtime, blob: Blob) -> str:
    """Add rules that corrupt it on its way to clients, or remove them; return one line about that.

    Raise `FieldError` if there are too many rules.
    """
    name = f"corrupt {blob.digest.encoded[:12]}"
    books = [runtime.rules.book(namespace) for namespace in _namespaces(blob)]
    armed = [
        (book, each.id) for book in books for each in book if (each.rule.name, each.source) == (name, SOURCE)
    ]
    for book, rule_id in armed:
        book.remove(rule_id)
    if armed:
        return "no longer corrupted: the rule is gone"
    for namespace, match in _matches(runtime, blob):
        rule = rule_of({"name": name, "match": match, "fault": {"type": "corrupt"}})
        runtime.rules.book(namespace).add(rule, SOURCE)
    return "armed: a rule corrupts it on its way to clients; what is stored stays right"


def _matches(runtime: Runtime, blob: Blob) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield namespaces and the match for its requests in each; a manifest also matches by its tags."""
    reference = str(blob.digest)
    if not blob.kind.is_manifest:
        yield from ((name, {"endpoint": "blob", "reference": reference}) for name in _namespaces(blob))
        return
    if blob.made is not None:
        yield "", {"endpoint": "manifest", "reference": reference}
    for key in blob.keys:
        stored = runtime.store.index.repository(key)
        tags = [tag for tag, digest in stored.tags.items() if digest == blob.digest] if stored else []
        name = spelled(key) if is_cache(key) else key[1]
        match = {
            "endpoint": "manifest",
            "repository": name,
            "reference": "|".join((reference, *tags[:_TAGS])),
        }
        yield "" if is_cache(key) else key[0], match


def _namespaces(blob: Blob) -> list[str]:
    """Those whose rules decide about it. What is cached or fabricated is for all: the common one."""
    keys = {"" if is_cache(key) else key[0] for key in blob.keys}
    return sorted(keys | {""} if blob.made is not None else keys)


def _repositories(count: int) -> str:
    return counted(count, "repository", "repositories")
