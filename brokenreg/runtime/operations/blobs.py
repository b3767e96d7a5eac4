"""Operations on blobs: delete, evict, verify and corrupt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from brokenreg.oci.digests import Digest
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.rule import rule_of
from brokenreg.runtime.contents import open_content, request_matches, serving
from brokenreg.runtime.errors import InvalidError, Kind, NotFoundError, RefusedError, operation_errors
from brokenreg.runtime.lookups import corrupting_rules, name_of_corruption
from brokenreg.runtime.operations import command_lines
from brokenreg.runtime.operations.rules import RuleOperations
from brokenreg.runtime.runtime import ALL_NAMESPACES
from brokenreg.storage.integrity import Finding, digest_of
from brokenreg.storage.records import is_cache


@dataclass(frozen=True, slots=True)
class DeletedBlob:
    """The result of deleting a blob: from how many repositories, and whether it was evicted."""

    repositories: int
    is_evicted: bool


class BlobOperations(RuleOperations):
    """Operations on blobs, wherever they are stored."""

    async def delete_blob(self, digest: Digest, namespace: str) -> DeletedBlob:
        """Remove a blob from all repositories of a namespace. If it is only cached there, evict it.

        Nothing is changed if a client is reading the cached blob.
        """
        runtime = self._runtime
        all_keys = serving(runtime, digest)
        keys = [key for key in all_keys if namespace in (ALL_NAMESPACES, key[0])]
        if not keys:
            raise NotFoundError(Kind.BLOB, digest)
        cached = sum(map(is_cache, keys))
        is_evicted = cached > 0 and cached == sum(map(is_cache, all_keys))
        if is_evicted:
            await self._evict(digest)
            keys = [key for key in keys if not is_cache(key)]
        with operation_errors():
            removed = [await runtime.store.index.unlink_blobs(key, [digest]) for key in keys]
        self._changed(command_lines.blob_changed("DELETE", digest, namespace=namespace))
        return DeletedBlob(sum(removed), is_evicted)

    async def evict_blob(self, digest: Digest) -> None:
        """Remove a blob from the cache. It is fetched again when a client requests it."""
        if not any(map(is_cache, serving(self._runtime, digest))):
            raise NotFoundError(Kind.CACHED_BLOB, digest)
        await self._evict(digest)
        self._changed(command_lines.blob_changed("POST", digest, "evict"))

    async def _evict(self, digest: Digest) -> None:
        with operation_errors():
            if not await self._runtime.store.cache.evict(digest):
                raise RefusedError("the blob is in use: a client is reading it")

    async def verify(self, digest: Digest, on_read: Callable[[int], None] = lambda _: None) -> Finding:
        """Read a blob or manifest and compare its digest. A corrupt blob is quarantined: no longer served.

        `on_read` is called with the number of bytes read so far.
        """
        runtime = self._runtime
        with operation_errors():
            finding = await runtime.store.integrity.verify(digest, on_read=on_read)
        if finding is None:
            async with open_content(runtime, digest) as content:
                found = await digest_of(content.read, digest.algorithm, on_read)
                finding = Finding(digest, content.size, found)
        self._changed(command_lines.blob_changed("POST", digest, "verify"))
        return finding

    def corrupt(self, digest: Digest, source: str) -> list[tuple[str, ActiveRule]]:
        """Add rules that corrupt a blob or manifest on its way to clients. What is stored stays intact."""
        runtime = self._runtime
        reason = runtime.store.integrity.why_missing(digest)
        matches = list(request_matches(runtime, digest))
        if not matches or (reason and runtime.images.find(digest) is None):
            raise NotFoundError(Kind.BLOB, digest, reason or "")
        fault = {"name": name_of_corruption(digest), "fault": {"type": "corrupt"}}
        added: list[tuple[str, ActiveRule]] = []
        with self._changing(*{*runtime.rules.namespaces(), *(namespace for namespace, _ in matches)}):
            if corrupting_rules(runtime, digest):
                self.stop_corrupting(digest)
            try:
                for namespace, match in matches:
                    rule = rule_of({**fault, "match": match})
                    added.append((namespace, self.add_rule(namespace, rule, source)))
            except InvalidError:  # the namespace has too many rules
                for namespace, active in added:
                    self.remove_rule(namespace, active.id)
                raise
        return added

    def stop_corrupting(self, digest: Digest) -> None:
        """Remove the rules that `corrupt` added."""
        rules = corrupting_rules(self._runtime, digest)
        if not rules:
            raise NotFoundError(Kind.RULE, name_of_corruption(digest))
        with self._changing(*{namespace for namespace, _ in rules}):
            for namespace, active in rules:
                self.remove_rule(namespace, active.id)
