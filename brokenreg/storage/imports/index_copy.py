"""Copies an index into another one. What the other one has already is not written again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from functools import partial

from brokenreg.concurrency import paced
from brokenreg.oci.digests import Digest
from brokenreg.storage.changes import BlobLinked, ManifestPut
from brokenreg.storage.errors import StorageError
from brokenreg.storage.imports.import_table import CopyJob, note_name
from brokenreg.storage.imports.progress import ContentCounts, Progress
from brokenreg.storage.index import Index
from brokenreg.storage.index_memory import IndexMemory
from brokenreg.storage.records import Manifest, Repository, RepositoryKey, spelled
from brokenreg.storage.statements import link_blob, put_manifest, put_object

_BATCH = 200
"""Maximum number of rows of one transaction."""

_BATCH_SIZE = 4 * 1024 * 1024
"""Number of bytes of manifests after which a transaction is committed."""


class IndexCopy:
    """Copies everything but the upload sessions of `source`, which remain in its folder."""

    def __init__(
        self, source: Index, target: Index, place: str, progress: Progress, content: ContentCounts
    ) -> None:
        """`place` is where the objects of `source` are."""
        self._source = source
        self._target = target
        self._place = place
        self._progress = progress
        self._content = content

    async def run(self) -> None:
        """Copy what is missing. Note corrupt manifests in the content. Raise `StorageError`."""
        repositories = self._source.repositories
        await self._write("Copying names", self._names(), len(self._source.names))
        links = sum(len(each.links) for each in repositories.values())
        await self._copy_manifests()  # before the links: a link that no manifest needs is garbage
        await self._write("Copying links to blobs", self._links(), links)
        await self._write("Copying objects", self._objects(), len(self._source.objects))
        await self._copy_recipes()

    async def _write(self, step: str, jobs: Iterable[CopyJob | None], total: int) -> None:
        """Run jobs in transactions. None stands for what is there already."""
        self._progress.begin(step, total)
        batch: list[CopyJob] = []
        async for job in paced(jobs):
            self._progress.done += 1
            if job is not None:
                batch.append(job)
            if len(batch) == _BATCH:
                await self._target.imports.write(batch)
                batch = []
        if batch:
            await self._target.imports.write(batch)

    def _names(self) -> Iterator[CopyJob | None]:
        known = set(self._target.names)
        for key in self._source.names:
            yield None if key in known else partial(note_name, key=key)

    def _links(self) -> Iterator[CopyJob | None]:
        for key, repository in self._source.repositories.items():
            there = self._target.repository(key)
            for digest, linked in repository.links.items():
                if there is not None and digest in there.links:
                    yield None
                else:
                    link = BlobLinked(key, digest, linked, self._source.blob_size(digest))
                    yield partial(link_blob, link=link)

    def _objects(self) -> Iterator[CopyJob | None]:
        for digest, stored in self._source.objects.items():
            if digest in self._target.objects:
                yield None
            else:
                yield partial(put_object, digest=digest, new=stored, place=self._place)

    async def _copy_manifests(self) -> None:
        total = sum(len(each.manifests) for each in self._source.repositories.values())
        self._progress.begin("Copying manifests", total)
        batch: list[CopyJob] = []
        size = 0
        async for put, body in self._manifests():
            batch.append(partial(put_manifest, put=put, body=body))
            size += len(body)
            if len(batch) == _BATCH or size >= _BATCH_SIZE:
                await self._target.imports.write(batch)
                batch, size = [], 0
        if batch:
            await self._target.imports.write(batch)

    async def _manifests(self) -> AsyncIterator[tuple[ManifestPut, bytes]]:
        """Yield what the target does not have."""
        for key, repository in self._source.repositories.items():
            tags = tags_of(repository)
            there = self._target.repository(key) or Repository()
            async for manifest in paced(list(repository.manifests.values())):
                self._progress.done += 1
                wanted = tuple(tag for tag in tags.get(manifest.digest, ()) if tag not in there.tags)
                if manifest.digest in there.manifests and not wanted:
                    continue
                body = await self._body(key, manifest)
                if body is not None:
                    stored = repository.requested[manifest.digest]
                    yield ManifestPut(key, manifest, wanted, stored), body

    async def _body(self, key: RepositoryKey, manifest: Manifest) -> bytes | None:
        """Return the bytes of a manifest, or None if they are corrupt."""
        digest = manifest.digest
        body = await self._source.manifest_body(digest)
        if body is not None and Digest.of(body, digest.algorithm) == digest:
            return body
        self._content.problems.append(f"manifest {digest} of {spelled(key)} is corrupt and was not copied")
        return None

    async def _copy_recipes(self) -> None:
        self._progress.begin("Copying what was computed for fabricated images")
        key = await self._target.recipes.last_key()
        while records := await self._source.recipes.after(key, _BATCH):
            await self._target.recipes.put(records)
            self._progress.done += len(records)
            key = records[-1][0]


def tags_of(repository: Repository) -> dict[Digest, list[str]]:
    """Return the tags of each manifest."""
    found: dict[Digest, list[str]] = {}
    for tag, digest in repository.tags.items():
        found.setdefault(digest, []).append(tag)
    return found


def check_copied(
    source: Index, target: IndexMemory, sent: Collection[Digest], content: ContentCounts
) -> None:
    """Raise `StorageError` if `target` lacks anything of `source`, or the object of a blob in `sent`.

    What is corrupt may be lacking. Blocks.
    """
    lacking = len(source.names - target.names)
    lacking += sum(target.intact_object(digest) is None for digest in sent)
    for key, repository in source.repositories.items():
        there = target.repository(key) or Repository()
        lacking += len(repository.links.keys() - there.links.keys())
        lacking += len(repository.manifests.keys() - there.manifests.keys())
        lacking += sum(
            there.tags.get(tag) != digest
            for tag, digest in repository.tags.items()
            if digest in repository.manifests
        )
    if lacking > len(content.problems):
        raise StorageError(f"the copy is not complete: the database lacks {lacking} of the rows")
