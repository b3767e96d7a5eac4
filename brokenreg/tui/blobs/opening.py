"""The bytes of a blob, wherever they are. Free of Textual."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brokenreg.images.image import Document
from brokenreg.images.unpacked import Content
from brokenreg.runtime.runtime import Runtime
from brokenreg.tui.blobs.contents import StoredContent
from brokenreg.tui.blobs.survey import Blob


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
