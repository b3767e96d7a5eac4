"""Copies a data folder into a database and an object store. It can be interrupted and begun again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from brokenreg.config.blob_location import BlobLocation
from brokenreg.oci.digests import Digest
from brokenreg.redaction import redact_text
from brokenreg.storage.database import Engine, SQLite
from brokenreg.storage.database.engines import engine_for
from brokenreg.storage.errors import NotEmptyError, StorageError
from brokenreg.storage.folder import FILE_THREADS, DataFolder
from brokenreg.storage.imports.blob_copy import BlobCopy, stored_blobs
from brokenreg.storage.imports.index_copy import IndexCopy, check_copied
from brokenreg.storage.imports.progress import ContentCounts, Progress
from brokenreg.storage.index import Index
from brokenreg.storage.objects.garbage import FOLDER, is_our_key
from brokenreg.storage.objects.object_store import ObjectStore
from brokenreg.wording import counted


@dataclass(frozen=True, slots=True)
class FolderImport:
    """The import of one folder. Its content stays as it is."""

    root: Path
    database: str
    """The URL of the PostgreSQL database."""
    location: BlobLocation
    """Where blobs are sent, or the data folder to leave them where they are."""

    async def run(self, progress: Progress, *, is_dry: bool = False) -> ContentCounts:
        """Copy, verify, and return what was copied. With `is_dry`, only count what would be.

        Raise `FolderLockedError` if a brokenreg uses the folder, or `StorageError`.
        """
        progress.begin("Reading the index")
        async with self._source() as (folder, source):
            place = self._place(source)
            blobs = await stored_blobs(folder, source)
            content = _content(source, blobs)
            if not is_dry:
                await self._copy(folder, source, place, blobs, progress, content)
        return content

    @asynccontextmanager
    async def _source(self) -> AsyncIterator[tuple[DataFolder, Index]]:
        """Lock the folder, and open its index."""
        folder = DataFolder(self.root)
        if not folder.index.is_file():
            raise StorageError(f"there is no index in {self.root}: use --from DIR with a data folder")
        folder.claim()
        try:
            source = await Index.loaded(SQLite(folder.index), "")
            try:
                yield folder, source
            finally:
                await source.close()
        finally:
            folder.release()

    def _place(self, source: Index) -> str:
        """Return where the blobs of the new index are. Raise `StorageError` if they are somewhere else."""
        place = str(self.location)
        for other in source.object_places - {place}:
            if not self.location.is_folder:
                raise StorageError(
                    f'invalid --to-blobs "{place}": the blobs of this folder are in {other}; '
                    f"use --to-blobs {other}"
                )
            place = other
        return place

    async def _copy(
        self,
        folder: DataFolder,
        source: Index,
        place: str,
        blobs: dict[Digest, int],
        progress: Progress,
        content: ContentCounts,
    ) -> None:
        store = None if self.location.is_folder else await ObjectStore.connected(self.location)
        engine = engine_for(self.database, folder)
        name = engine.replica
        async with _opened(engine, place) as target:
            if await self._begin(source, target, name, store):
                if store is not None:
                    self._check_sent(target, blobs)
                content.was_finished = True
                return
            await IndexCopy(source, target, place, progress, content).run()
            if store is not None:
                blob_copy = BlobCopy(folder, target, store, progress, content)
                await blob_copy.run(blobs)
                await blob_copy.verify()
        progress.begin("Verifying the database")
        async with _opened(engine_for(self.database, folder), place) as target:
            await FILE_THREADS.run(check_copied, source, target, blobs if store is not None else (), content)
            await target.imports.finish(name)

    async def _begin(self, source: Index, target: Index, name: str, store: ObjectStore | None) -> bool:
        """Begin to copy, or continue. Return True if everything was copied before. Raise `NotEmptyError`."""
        finished = await target.imports.finished(name)
        if finished is not None:
            return finished > 0
        if store is not None and not source.objects:
            await _check_empty(store)
        try:
            await target.imports.begin(name)
        except NotEmptyError:
            raise NotEmptyError(
                f"the database {redact_text(self.database)} already has an index: use an empty database"
            ) from None
        return False

    def _check_sent(self, target: Index, blobs: dict[Digest, int]) -> None:
        """Raise `StorageError` if the index was copied before, but its blobs are still in the folder."""
        linked = {digest for each in target.repositories.values() for digest in each.links}
        left = sum(digest in linked and digest not in target.objects for digest in blobs)
        if left:
            raise StorageError(
                f"the index was copied before, but {counted(left, 'blob')} stayed in {self.root}: to send "
                f'them to {self.location}, run "brokenreg serve" with this database, --data {self.root} and '
                f"--blobs {self.location}"
            )


async def _check_empty(store: ObjectStore) -> None:
    async for page in store.list(FOLDER):
        if any(is_our_key(each.key) for each in page):
            raise NotEmptyError(
                f"the object store {store.location} already has blobs: use --to-blobs with another prefix"
            )


@asynccontextmanager
async def _opened(engine: Engine, place: str) -> AsyncIterator[Index]:
    index = await Index.loaded(engine, place)
    try:
        yield index
    finally:
        await index.close()


def _content(source: Index, blobs: dict[Digest, int]) -> ContentCounts:
    repositories = source.repositories.values()
    return ContentCounts(
        repositories=len(repositories),
        manifests=sum(len(each.manifests) for each in repositories),
        tags=sum(len(each.tags) for each in repositories),
        blobs=source.blob_count,
        size=sum(blobs.values()),
        uploads=len(source.uploads),
        missing=_missing(source, blobs),
    )


def _missing(source: Index, blobs: dict[Digest, int]) -> int:
    linked = {digest for each in source.repositories.values() for digest in each.links}
    return sum(digest not in blobs and source.intact_object(digest) is None for digest in linked)
