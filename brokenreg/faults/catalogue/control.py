"""The fault that hands the response over to somebody: hold."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from brokenreg.faults.catalogue.base import ANY, Fault
from brokenreg.faults.catalogue.parameters import HeadersOrSize
from brokenreg.faults.hold import HEADERS
from brokenreg.faults.strike import Strike


class Hold(Fault):
    """Stops the response until somebody resumes, steps or aborts it.

    `at` is `headers` (before the status line), or so many bytes of the body. `brokenreg resume`, `step` and
    `abort`, the control API or the panel let it go on.
    """

    name: ClassVar[str] = "hold"
    endpoint: ClassVar[str] = ANY
    clients: ClassVar[str] = "shows what a client does while it waits"
    example: ClassVar[str] = "at-64kib"

    at: HeadersOrSize = Field("headers", description="`headers`, or bytes of the body")

    async def strike(self, strike: Strike) -> None:
        strike.passage.stop(HEADERS if self.at == "headers" else self.at)
        await strike.pass_on()
