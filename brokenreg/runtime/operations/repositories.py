"""Operations on repositories: delete manifests, tags or all content, and tag manifests."""

from __future__ import annotations

import asyncio

from brokenreg.oci.digests import Digest
from brokenreg.oci.names import check_tag
from brokenreg.runtime.contents import repository
from brokenreg.runtime.errors import Kind, NotFoundError, RefusedError, operation_errors
from brokenreg.runtime.operations import command_lines
from brokenreg.runtime.operations.access import Changes
from brokenreg.storage.records import RepositoryKey, is_cache, spelled


class RepositoryOperations(Changes):
    """Operations on the tags and manifests of a repository."""

    async def delete_manifest(self, key: RepositoryKey, reference: str) -> None:
        """Delete a manifest, given by tag or digest, and all tags that point to it."""
        runtime = self._runtime
        manifest = repository(runtime, key).resolve(reference)
        with operation_errors():
            if manifest is None or not await runtime.store.index.delete_manifest(key, manifest.digest):
                raise NotFoundError(Kind.MANIFEST, reference, place=spelled(key))
        self._changed(command_lines.repository_changed("DELETE", *key, f"/manifests/{reference}"))

    async def delete_tag(self, key: RepositoryKey, tag: str) -> None:
        """Delete a tag. Its manifest stays."""
        runtime = self._runtime
        repository(runtime, key)
        with operation_errors():
            if not await runtime.store.index.delete_tag(key, tag):
                raise NotFoundError(Kind.TAG, tag, place=spelled(key))
        self._changed(command_lines.repository_changed("DELETE", *key, f"/tags/{tag}"))

    async def delete_repository(self, key: RepositoryKey) -> None:
        """Delete all manifests and tags of a repository, and remove its blobs from it."""
        runtime = self._runtime
        found, index = repository(runtime, key), runtime.store.index
        with operation_errors():
            await asyncio.gather(*(index.delete_manifest(key, digest) for digest in found.manifests))
            await asyncio.gather(*(index.delete_tag(key, tag) for tag in found.tags))
            await index.unlink_blobs(key, tuple(found.links))
        self._changed(command_lines.repository_changed("DELETE", *key))

    async def tag_manifest(self, key: RepositoryKey, digest: Digest, tag: str) -> None:
        """Point a tag at a manifest of the same repository."""
        runtime = self._runtime
        with operation_errors():
            check_tag(tag)
        if is_cache(key):
            raise RefusedError(
                "cached tags belong to the upstream; push the image to this registry to tag it"
            )
        manifest = repository(runtime, key).manifests.get(digest)
        with operation_errors():
            body = await runtime.store.index.manifest_body(digest) if manifest else None
            if manifest is None or body is None:
                raise NotFoundError(Kind.MANIFEST, digest, place=spelled(key))
            await runtime.store.index.put_manifest(key, manifest, body, [tag])
        self._changed(command_lines.repository_changed("PUT", *key, f"/tags/{tag}", {"digest": str(digest)}))
