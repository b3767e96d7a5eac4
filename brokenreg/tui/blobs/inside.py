"""What is in one blob, while it is read and after. Free of widgets."""

from __future__ import annotations

import asyncio

from brokenreg.concurrency import shielded
from brokenreg.images.layer_listing import LayerListing
from brokenreg.images.unpacked import Content
from brokenreg.oci.sizes import format_size
from brokenreg.runtime.contents import open_content
from brokenreg.runtime.errors import FailedError, NotFoundError
from brokenreg.runtime.runtime import Runtime
from brokenreg.tui.blobs.contents import (
    DUMPED,
    Line,
    document,
    dump,
    is_zstd,
)
from brokenreg.tui.blobs.survey import Blob, Kind
from brokenreg.tui.text import looks_like_json, visible
from brokenreg.wording import form_for

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
            async with open_content(self._runtime, self.blob.digest) as content:
                await self._look(content, width)
        except NotFoundError as error:
            self._said = error.reason or str(error)
        except FailedError as error:
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
