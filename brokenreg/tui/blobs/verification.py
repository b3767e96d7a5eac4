"""Verifies one blob, and says in words how far it is and what was found. Free of Textual."""

from __future__ import annotations

from collections.abc import Callable

from brokenreg.oci.sizes import format_size
from brokenreg.runtime.errors import NotFoundError, OperationError
from brokenreg.runtime.operations import Operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.tui.blobs.survey import Blob


class Verification:
    """Verifies blobs, one at a time. `say` shows a line about a blob, until another replaces it."""

    def __init__(self, runtime: Runtime, operations: Operations, say: Callable[[Blob, str], None]) -> None:
        self._runtime = runtime
        self._operations = operations
        self._say = say
        self._blob: Blob | None = None
        self._read = 0

    @property
    def is_running(self) -> bool:
        """Return whether a blob is being verified."""
        return self._blob is not None

    def tick(self) -> None:
        """Show the progress."""
        if (blob := self._blob) is not None:
            done = 100 * self._read // max(1, blob.size)
            self._say(blob, f"verifying, {done}% of {format_size(blob.size)}; {{blobs.verify}} stops it")

    async def run(self, blob: Blob) -> None:
        """Read a blob and show whether its digest is right. Cancel this to stop."""
        said = "verification stopped"
        self._blob, self._read = blob, 0
        try:
            finding = await self._operations.verify(blob.digest, self._note_read)
            size = format_size(finding.size)
            said = f"digest OK ({size})" if finding.is_intact else f"WRONG DIGEST: {finding.found} ({size})"
            if self._runtime.store.integrity.is_quarantined(blob.digest):
                said += "; the blob is no longer served"
        except NotFoundError as error:
            said = error.reason or str(error)
        except OperationError as error:
            said = f"cannot be read: {error}"
        finally:
            self._blob = None
            self._say(blob, said)

    def _note_read(self, size: int) -> None:
        self._read = size
