"""What the Blobs tab changes, each reported in one line. Free of Textual."""

from __future__ import annotations

from contextlib import suppress

from brokenreg.runtime.errors import NotFoundError
from brokenreg.runtime.lookups import corrupting_rules
from brokenreg.runtime.operations import Operations
from brokenreg.runtime.runtime import ALL_NAMESPACES, Runtime
from brokenreg.tui.blobs.survey import Blob
from brokenreg.wording import counted

_SOURCE = "panel"


async def delete(operations: Operations, blob: Blob) -> str:
    """Delete a blob or manifest from all repositories. Raise `OperationError`."""
    said = []
    if blob.kind.is_manifest:
        count = 0
        for key in blob.keys:
            with suppress(NotFoundError):  # it was deleted meanwhile
                await operations.delete_manifest(key, blob.digest)
                count += 1
        said.append(f"deleted from {_repositories(count)}, with the tags that pointed to it")
    else:
        deleted = await operations.delete_blob(blob.digest, ALL_NAMESPACES)
        if deleted.repositories:
            where = _repositories(deleted.repositories)
            said.append(f"deleted from {where}; garbage collection removes the file")
        if deleted.is_evicted:
            said.append("evicted from the cache")
    if blob.made is not None:
        said.append("brokenreg fabricates it again when a client requests it")
    return "; ".join(said)


def toggle_corruption(runtime: Runtime, operations: Operations, blob: Blob) -> str:
    """Add rules that corrupt a blob on its way to clients, or remove them. Raise `OperationError`."""
    if corrupting_rules(runtime, blob.digest):
        operations.stop_corrupting(blob.digest)
        return "rule removed; clients get intact bytes"
    operations.corrupt(blob.digest, _SOURCE)
    return "rule added; clients get corrupt bytes, and the stored blob stays intact"


def _repositories(count: int) -> str:
    return counted(count, "repository", "repositories")
