"""Reads and writes objects in S3, Google Cloud Storage or Azure Blob Storage. Only this module uses obstore.

Each request has a time limit, and obstore repeats those that failed, if that is safe. Whatever fails then is
an `ObjectStoreError` with one clear line.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from mmap import mmap
from typing import TYPE_CHECKING, Any

from brokenreg.config.blob_location import BlobLocation
from brokenreg.redaction import redact_text
from brokenreg.storage.errors import ObjectMissingError, ObjectStoreError, StorageError
from brokenreg.wording import counted

if TYPE_CHECKING:
    from obstore import AsyncWritableFile
    from obstore.store import AzureStore, ClientConfig, GCSStore, RetryConfig, S3Store

ObjectBytes = bytes | mmap
"""Bytes to be written."""

PART = 8 * 1024 * 1024
"""Size of the parts in which large objects are written and read, in bytes."""

MOST_PARTS = 10_000
"""Maximum number of parts of one object (S3, Google Cloud Storage)."""

_CONNECT = timedelta(seconds=3)
_REQUEST = timedelta(seconds=20)
"""Time limit of one attempt, from connecting to the last byte of at most `PART`."""

_ATTEMPTS = 5
_RETRYING = timedelta(seconds=20)
"""Time after which a failed request is not repeated."""

LIMIT = 45.0
"""Seconds after which an operation fails, with all its attempts."""

AGAIN = 15.0
"""Seconds within which an operation that failed as a whole may be begun again."""

_LISTED = 1000
"""Maximum number of objects that are listed or deleted with one request."""

_QUERY = re.compile(r"(https?://[^\s?]*)\?\S*")
_ATTEMPT = re.compile(r"Error performing [A-Z]+ (https?://[^\s/]+)\S* in \S+, after \d+ retries, [^-]*- ")
"""How obstore describes what it did. The times in it are of no use, and each message has others."""
_DOCUMENT = re.compile(
    r"(?:<\?xml[^>]*>\s*)?<Error\b[^>]*>\s*<Code>([^<]*)</Code>\s*<Message>([^<]*)</Message>.*", re.DOTALL
)
"""The body of an error response, in the REST APIs of Amazon S3 and Azure Blob Storage."""


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object of a listing. `modified` is in seconds since the epoch."""

    key: str
    size: int
    modified: float


class ObjectStore:
    """The objects below one prefix. Keys are relative to it."""

    def __init__(self, location: BlobLocation) -> None:
        """Raise `StorageError` if obstore is missing, or if its settings in the environment are invalid."""
        self.location = location
        self._store = _connect(location)

    @classmethod
    async def connected(cls, location: BlobLocation) -> ObjectStore:
        """Return the store after listing its objects once. Raise `StorageError` if it cannot be used."""
        store = cls(location)
        async for _ in store.list(""):
            break
        return store

    async def put(self, key: str, data: ObjectBytes) -> None:
        """Write a whole object of at most `PART` bytes."""
        import obstore

        async with self._limit("write", key):
            await obstore.put_async(self._store, key, data, use_multipart=False)

    def writer(self, key: str) -> PartWriter:
        """Return a writer for an object that is larger than `PART`, or may become so."""
        return PartWriter(self, key)

    async def read(self, key: str, begin: int, end: int) -> bytes:
        """Return the bytes from `begin` to `end`. Raise `ObjectMissingError` if the object does not exist."""
        import obstore

        async with self._limit("read", key):
            data = bytes(await obstore.get_range_async(self._store, key, start=begin, end=end))
        if len(data) != end - begin:
            raise self.error("read", key, f"got {counted(len(data), 'byte')} instead of {end - begin}")
        return data

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects that may be missing."""
        import obstore

        for start in range(0, len(keys), _LISTED):
            some = keys[start : start + _LISTED]
            async with self._limit("delete", some[0]):
                try:
                    await obstore.delete_async(self._store, some)
                except FileNotFoundError:  # Google and Azure report it, and may have deleted only a part
                    for key in some:
                        await self._delete_one(key)

    async def _delete_one(self, key: str) -> None:
        import obstore

        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return

    async def list(self, folder: str) -> AsyncIterator[list[ListedObject]]:
        """Yield the objects whose keys begin with `folder/` ("": all), some at a time."""
        import obstore

        pages = obstore.list(self._store, folder or None, chunk_size=_LISTED).__aiter__()
        while True:
            async with self._limit("list", folder or "its objects"):
                try:
                    page = await anext(pages)
                except StopAsyncIteration:
                    return
            yield [
                ListedObject(each["path"], each["size"], each["last_modified"].timestamp()) for each in page
            ]

    async def sign(self, key: str, seconds: float) -> str:
        """Return a URL with which anyone can read the object for some seconds."""
        import obstore

        async with self._limit("sign the URL of", key):
            return await obstore.sign_async(self._store, "GET", key, timedelta(seconds=seconds))

    def open_writer(self, key: str) -> AsyncWritableFile:
        """Open obstore's own writer. It sends one write after the other, each as parts in parallel."""
        import obstore

        return obstore.open_writer_async(self._store, key, buffer_size=PART, max_concurrency=1)

    def error(self, verb: str, key: str, problem: str) -> ObjectStoreError:
        """Return an error with one clear line."""
        return ObjectStoreError(f"the object store {self.location} failed to {verb} {key}: {problem}")

    def _limit(self, verb: str, key: str) -> _Operation:
        return _Operation(self, verb, key)


class _Operation:
    """The context of one operation: its time limit, and the names of its errors."""

    def __init__(self, store: ObjectStore, verb: str, key: str) -> None:
        self._store = store
        self._verb = verb
        self._key = key
        self._timeout = asyncio.timeout(LIMIT)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from obstore.exceptions import BaseError

        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            raise self._store.error(self._verb, self._key, f"it did not respond within {LIMIT:g} s") from None
        if isinstance(error, FileNotFoundError):
            raise ObjectMissingError(
                f"the object store {self._store.location} has no object {self._key}: {_first_line(error)}"
            ) from None
        if isinstance(error, BaseError | OSError):
            raise self._store.error(self._verb, self._key, _first_line(error)) from None


class PartWriter:
    """Writes one object in parts. It becomes visible only when it is complete."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._file: AsyncWritableFile | None = store.open_writer(key)
        self._writing: asyncio.Future[int] | None = None
        self._written = 0

    async def write(self, data: ObjectBytes) -> None:
        """Send data as parts in parallel, and wait until the store has them.

        All but the last data must be a multiple of `PART`.
        """
        with self._open() as file:
            async with _Operation(self._store, "write", self._key):
                # The upload is created here. If this were cancelled, `abort` could not remove it.
                self._writing = asyncio.ensure_future(file.write(data))
                await asyncio.shield(self._writing)
                await file.write(b"")  # it waits for the parts of the write before
        self._written += len(data)

    async def complete(self, size: int) -> None:
        """Make the object visible. Raise `ObjectStoreError` if that fails, or if it has not `size` bytes."""
        with self._open() as file:
            if self._written != size:
                raise self._store.error(
                    "write", self._key, f"{self._written} of {counted(size, 'byte')} were sent"
                )
            self._file = None  # if this fails, obstore has removed the parts, or tried to
            async with _Operation(self._store, "complete", self._key):
                await file.close()

    async def abort(self) -> None:
        """Remove the parts. If that fails, the store's rule for incomplete uploads removes them later."""
        file, self._file = self._file, None
        if file is not None:
            async with _Operation(self._store, "end the upload of", self._key):
                if self._writing is not None:
                    await _ended(self._writing)
                await file.__aexit__(StorageError, None, None)

    @contextmanager
    def _open(self) -> Iterator[AsyncWritableFile]:
        if self._file is None:
            raise self._store.error("write", self._key, "the upload has ended")
        yield self._file


async def _ended(writing: asyncio.Future[int]) -> None:
    """Wait for a write. If this is cancelled, because brokenreg is stopping, cancel the write."""
    try:
        await asyncio.wait([writing])
    except asyncio.CancelledError:
        writing.cancel()
        raise


def _connect(location: BlobLocation) -> S3Store | GCSStore | AzureStore:
    try:
        from obstore import store as stores
        from obstore.exceptions import BaseError
    except ImportError:
        raise StorageError(f'--blobs {location} needs obstore: run pip install "brokenreg[fleet]"') from None
    client: ClientConfig = {"allow_http": True, "connect_timeout": _CONNECT, "timeout": _REQUEST}
    retry: RetryConfig = {"max_retries": _ATTEMPTS - 1, "retry_timeout": _RETRYING}
    prefix = location.prefix or None
    try:
        if location.scheme == "s3":
            return stores.S3Store(location.bucket, prefix=prefix, client_options=client, retry_config=retry)
        if location.scheme == "gs":
            return stores.GCSStore(location.bucket, prefix=prefix, client_options=client, retry_config=retry)
        return stores.AzureStore(location.bucket, prefix=prefix, client_options=client, retry_config=retry)
    except (BaseError, ValueError) as error:
        raise StorageError(f"cannot use --blobs {location}: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    """Return what the store said, in one line without the secrets that a URL may contain."""
    text = _DOCUMENT.sub(r"\1: \2", str(error), count=1)
    line = text.partition("\n")[0].strip() or type(error).__name__
    return redact_text(_QUERY.sub(r"\1", _ATTEMPT.sub(r"\1: ", line)))[:500]
