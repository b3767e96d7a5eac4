"""The fault that hides for a while what was pushed."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from dataclasses import dataclass

from cachetools import LRUCache
from pydantic import Field

from brokenreg.faults.catalogue.base import READS, Fault
from brokenreg.faults.catalogue.parameters import Duration
from brokenreg.faults.catalogue.status.errors import unknown_code
from brokenreg.faults.context import FaultContext
from brokenreg.faults.response_head import Head
from brokenreg.oci.errors import OCIError
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.matching import BLOBS, Match

_MAX_PUSHES = 10_000
_ALWAYS_VISIBLE = 2**62
"""A number of reads after which every push is visible."""


@dataclass(slots=True)
class _Push:
    """The time of a push (monotonic clock), and how often its content was requested since."""

    at: float
    reads: int = 0


class _Pushes(LRUCache[tuple[str, str], _Push]):
    """The most recent pushes, by repository and tag or digest."""

    def __init__(self) -> None:
        super().__init__(_MAX_PUSHES)


class ReadAfterWrite(Fault):
    """Responds with 404 after a push, to the first `reads` requests or for `dur`, whichever is longer.

    For a manifest, the rule must match the PUT of the push as well as the GET and HEAD requests after it. The
    fault applies to both the tag and the digest of the pushed manifest. With endpoint `blob`, `config` or
    `layer`, it applies to blobs that were pushed after the rule was added.
    """

    name = "read-after-write"
    default_endpoint = "manifest"
    methods = READS | {"PUT"}
    endpoints = frozenset({Endpoint.MANIFEST, *BLOBS})
    clients = (
        "Release tools that check an image immediately after the push fail (release-sdk#55). Geo-replicated "
        "registries behave like this."
    )
    example = "reads-2"

    reads: int = Field(0, ge=0, le=10**6, description="number of requests after a push that get a 404")
    dur: Duration = Field(0.0, description="how long after a push all requests get a 404")

    def conflict_reason(self, match: Match, endpoints: Collection[Endpoint]) -> str | None:
        has_manifests = Endpoint.MANIFEST in endpoints
        if (has_manifests and not match.allows("PUT")) or not any(map(match.allows, READS)):
            needed = "PUT as well as GET or HEAD" if has_manifests else "GET or HEAD"
            return f"read-after-write must see {needed}, and match.method is {match.method}"
        return super().conflict_reason(match, endpoints)

    async def apply(self, context: FaultContext) -> None:
        pushes = context.memory.get(_Pushes)
        target = context.exchange.target
        if context.exchange.method == "PUT":
            await self._push(context, pushes)
            return
        push = pushes.get((target.repository, target.reference)) or self._push_of_blob(context, pushes)
        if push is not None:
            push.reads += 1
            if push.reads <= self.reads or time.monotonic() < push.at + self.dur:
                code = unknown_code(target.endpoint)
                await context.respond_error(OCIError(404, code, "Pushed, but not visible yet"))
                return
        context.no_effect("nothing was pushed recently" if push is None else "the push is visible by now")
        await context.forward()

    def _push_of_blob(self, context: FaultContext, pushes: _Pushes) -> _Push | None:
        """Return the push of a blob that was pushed after the rule was added, when it is first requested."""
        target = context.exchange.target
        used = context.registry_view.used(target) if target.endpoint in BLOBS else None
        if used is None:
            return None
        is_new = used >= context.memory.since
        push = _Push(time.monotonic()) if is_new else _Push(-math.inf, _ALWAYS_VISIBLE)
        pushes[target.repository, target.reference] = push
        return push

    async def _push(self, context: FaultContext, pushes: _Pushes) -> None:
        repository, reference = context.exchange.target.repository, context.exchange.target.reference

        def remember(head: Head) -> None:
            if head.status == 201:
                push = _Push(time.monotonic())
                pushes[repository, reference] = push
                pushes[repository, head.get("docker-content-digest") or ""] = push

        context.no_effect("this is the push")
        await context.forward_changed(remember)
