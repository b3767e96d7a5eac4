"""What is in one blob, while it is read and after. Free of widgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brokenreg.concurrency import shielded
from brokenreg.images.image import Document
from brokenreg.images.layer_listing import LayerListing
from brokenreg.images.unpacked import Content
from brokenreg.oci.sizes import format_size
from brokenreg.runtime.runtime import Runtime
from brokenreg.storage.errors import StorageError
from brokenreg.tui.blobs.contents import (
    DUMPED,
    Line,
    StoredContent,
    document,
    dump,
    is_zstd,
)
from brokenreg.tui.blobs.survey import Blob, Kind
from brokenreg.tui.text import looks_like_json, visible
from brokenreg.wording import form_for


class GoneError(Exception):
    """The blob is no longer stored; the message says why."""


@asynccontextmanager
async def opened(runtime: Runtime, blob: Blob) -> AsyncIterator[Content]:
    """Its content, for as long as it is looked at. Raise `GoneError`, `OSError` or `StorageError`."""
    gone = GoneError(runtime.store.integrity.why_missing(blob.digest) or "it is not here any more")
    if blob.keys and blob.kind.is_manifest:
        body = await runtime.store.index.manifest_body(blob.digest)
        if body is None:
            raise gone
        yield Document(body)
    elif blob.keys:
        file = await asyncio.to_thread(runtime.store.blobs.open, blob.digest)
        if file is None:
            raise gone
        with file:
            yield StoredContent(file)
    elif blob.made is not None:
        made = blob.made
        yield await asyncio.to_thread(lambda: made.content)
    else:
        raise gone


_BEGINNING = 512


class Inside:
    """Made for one blob; `read` fills it: `lines` with a document or a dump, or else the `listing`."""

    def __init__(self, runtime: Runtime, blob: Blob) -> None:
        self.blob = blob
        self.lines: list[Line] = []
        self.listing: LayerListing | None = None
        self._runtime = runtime
        self._said = ""

    @property
    def remark(self) -> str:
        """How far it is, or what came of it: one line."""
        listing = self.listing
        if self._said or listing is None:
            return self._said or "opening ..."
        if listing.outcome is not None:
            return f"{_entries(listing)}: {listing.outcome}"
        done = 100 * listing.read // max(1, listing.size)
        return f"reading: {done} % of {format_size(listing.size)}, {_entries(listing)} so far"

    async def read(self, width: int) -> None:
        """Read it, for lines of `width` cells. Cancelled, it leaves nothing running."""
        try:
            async with opened(self._runtime, self.blob) as content:
                await self._look(content, width)
        except GoneError as error:
            self._said = str(error)
        except (OSError, StorageError) as error:
            self._said = f"it cannot be read: {visible(str(error))}"

    async def _look(self, content: Content, width: int) -> None:
        beginning = await shielded(asyncio.to_thread(content.read, 0, _BEGINNING))
        is_document = self.blob.kind.is_manifest or self.blob.kind is Kind.CONFIG
        if is_document or looks_like_json(beginning.decode("ascii", "replace")):
            self.lines = await shielded(asyncio.to_thread(document, content, width))
            self._said = "as JSON, on lines of its own"
            return
        why = "zstd is not unpacked here"
        if not is_zstd(beginning):
            self.listing = listing = LayerListing(content)
            await shielded(asyncio.to_thread(listing.run), listing.stop)
            if listing.entries or listing.is_whole:
                return
            why = listing.outcome or ""
            self.listing = None
        self.lines = await shielded(asyncio.to_thread(dump, content))
        self._said = f"no listing ({why}); its first {format_size(min(DUMPED, content.size))}"


def _entries(listing: LayerListing) -> str:
    count = len(listing.entries)
    return f"{count:,} {form_for(count, 'entry', 'entries')}"
