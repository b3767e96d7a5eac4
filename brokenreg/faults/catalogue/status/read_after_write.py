"""The fault that hides for a while what was pushed."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import Field

from brokenreg.faults.catalogue.base import READS, Fault
from brokenreg.faults.catalogue.parameters import Duration
from brokenreg.faults.catalogue.status.errors import unknown_code
from brokenreg.faults.context import FaultContext
from brokenreg.faults.response_head import Head
from brokenreg.faults.rule_memory import FaultCount
from brokenreg.oci.errors import OCIError
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.matching import BLOBS, Match

_VISIBLE = 2**40
"""The number with which the reads of a blob begin that was pushed before the rule was added."""


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
        if context.exchange.method == "PUT":
            context.no_effect("this is the push")
            await context.forward_noting(lambda head: self._begin(context, head))
            return
        reads = await self._reads(context)
        if reads is None:
            context.no_effect("nothing was pushed recently")
        elif reads.count <= self.reads or (reads.count < _VISIBLE and reads.age < self.dur):
            code = unknown_code(context.exchange.target.endpoint)
            await context.respond_error(OCIError(404, code, "Pushed, but not visible yet"))
            return
        else:
            context.no_effect("the push is visible by now")
        await context.forward()

    async def _reads(self, context: FaultContext) -> FaultCount | None:
        """Count a read, and return the reads since the push. None if nothing was pushed recently."""
        target, memory = context.exchange.target, context.memory
        if target.endpoint in BLOBS:
            key = _reads_of(target.repository, target.reference)
            used = context.registry_view.used(target)
            if (reads := await memory.add_to_existing(key)) is not None or used is None:
                return reads
            return await memory.add(key, first=0 if used >= await memory.since() else _VISIBLE)
        if await memory.add_to_existing(_reads_of(target.repository, target.reference), 0) is None:
            return None
        digest = await context.registry_view.pushed_digest(target)
        return None if digest is None else await memory.add_to_existing(_reads_of(target.repository, digest))

    async def _begin(self, context: FaultContext, head: Head) -> None:
        """Let the reads of a manifest that was pushed begin, whether by its tag or by its digest."""
        if head.status == 201:
            target = context.exchange.target
            for reference in {target.reference, head.get("docker-content-digest") or ""}:
                await context.memory.begin(_reads_of(target.repository, reference))


def _reads_of(repository: str, reference: str) -> str:
    """Return the key of the reads of a blob or manifest. That of a tag only says that it was pushed."""
    return f"reads of {repository}@{reference}"
