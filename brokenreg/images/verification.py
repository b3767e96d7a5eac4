"""Whether a blob is what its digest says."""

from __future__ import annotations

import hashlib
import threading

from brokenreg.images.unpacked import Content
from brokenreg.oci.digests import Digest

_CHUNK = 1024 * 1024


class Verification:
    """Made for one blob; `run` reads it and belongs into a thread. All else may be asked meanwhile."""

    def __init__(self, content: Content, digest: Digest) -> None:
        self.size = content.size
        self.read = 0
        """Bytes so far."""
        self.found: Digest | None = None
        """What the content has for a digest, once it is known."""
        self._content = content
        self._digest = digest
        self._stopped = threading.Event()

    @property
    def is_right(self) -> bool:
        """Whether the whole content was read and has that digest."""
        return self.found == self._digest

    def stop(self) -> None:
        """Let `run` end soon, without a result."""
        self._stopped.set()

    def run(self) -> None:
        """Read everything. Raise `OSError` if it cannot be read."""
        hasher = hashlib.new(self._digest.algorithm)
        while not self._stopped.is_set():
            chunk = self._content.read(self.read, _CHUNK)
            if not chunk:
                self.found = Digest.from_hash(hasher)
                return
            hasher.update(chunk)
            self.read += len(chunk)
