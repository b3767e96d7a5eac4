"""Faults of time."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from brokenreg.faults.catalogue.base import Fault, Strike
from brokenreg.faults.catalogue.parameters import Duration
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import Endpoint


class Timeout(Fault):
    """Says nothing for `dur`, then answers 408 with code TIMEOUT."""

    name: ClassVar[str] = "timeout"
    endpoint: ClassVar[Endpoint] = Endpoint.MANIFEST
    tag_example: ClassVar[str] = "dur-2s"

    dur: Duration = Field(description="how long to wait, as Go writes durations: 300ms, 2s, 1h15m30.5s")

    async def strike(self, strike: Strike) -> None:
        await strike.wait(self.dur)
        await strike.respond_error(OCIError(408, ErrorCode.TIMEOUT, "Timeout duration has elapsed!"))

    @classmethod
    def tag_problem(cls, tag: str, problem: str) -> str:
        if "dur-" not in tag:
            return "Tag missing duration"  # the predecessor's words
        return super().tag_problem(tag, problem)
