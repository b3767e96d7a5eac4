"""What can be done to a blob: deleted, and corrupted on its way to clients. Free of Textual."""

from __future__ import annotations

from brokenreg.controlled import Controlled
from brokenreg.faults.rules import Rule, rule_of
from brokenreg.oci.plurals import counted
from brokenreg.storage.records import is_cache
from brokenreg.tui.blobs.survey import Blob

SOURCE = "panel"


async def delete(controlled: Controlled, blob: Blob) -> str:
    """Take it from all repositories; one line on what became of it. Raise `OSError` or `StorageError`."""
    index = controlled.store.index
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
            is_out = await controlled.store.cache.evict(blob.digest)
            said.append("evicted from the cache" if is_out else "not evicted: somebody reads it right now")
    if blob.made is not None:
        said.append("it is fabricated anew whenever it is asked for")
    return "; ".join(said)


def toggle_corruption(controlled: Controlled, blob: Blob) -> str:
    """Arm a rule that corrupts it on its way to clients, or take it away; one line on that.

    Raise `FieldError` if there are too many rules.
    """
    rule = _corruption(blob)
    armed = [
        (namespace, active.id)
        for namespace in _namespaces(blob)
        for active in controlled.rules.book(namespace)
        if active.rule == rule
    ]
    if armed:
        for namespace, rule_id in armed:
            controlled.rules.book(namespace).remove(rule_id)
        return "no longer corrupted: the rule is gone"
    for namespace in _namespaces(blob):
        controlled.rules.book(namespace).add(rule, SOURCE)
    return "armed: a rule corrupts it on its way to clients; what is stored stays right"


def _corruption(blob: Blob) -> Rule:
    endpoint = "manifest" if blob.kind.is_manifest else "blob"
    return rule_of(
        {
            "name": f"corrupt {blob.digest.encoded[:12]}",
            "match": {"endpoint": endpoint, "reference": str(blob.digest)},
            "fault": {"type": "corrupt"},
        }
    )


def _namespaces(blob: Blob) -> list[str]:
    """Those whose rules decide about it. What is cached or fabricated is for all: the common one."""
    keys = {"" if is_cache(key) else key[0] for key in blob.keys}
    return sorted(keys | {""} if blob.made is not None else keys)


def _repositories(count: int) -> str:
    return counted(count, "repository", "repositories")
