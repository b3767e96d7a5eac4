"""The bytes of manifests that were asked for lately, in memory."""

from __future__ import annotations

from collections import OrderedDict

from brokenreg.oci.digests import Digest

_ROOM = 16 * 1024 * 1024


class RecentBodies:
    """At most 16 MiB of them, and always the last one."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[Digest, bytes] = OrderedDict()
        self._size = 0

    def get(self, digest: Digest) -> bytes | None:
        body = self._bodies.get(digest)
        if body is not None:
            self._bodies.move_to_end(digest)
        return body

    def keep(self, digest: Digest, body: bytes) -> None:
        if digest not in self._bodies:
            self._size += len(body)
        self._bodies[digest] = body
        self._bodies.move_to_end(digest)
        while self._size > _ROOM and len(self._bodies) > 1:
            self._size -= len(self._bodies.popitem(last=False)[1])
