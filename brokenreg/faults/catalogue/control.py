"""The fault that hands the response over to somebody: hold."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import Field

from brokenreg.faults.catalogue.base import ANY, Fault
from brokenreg.faults.catalogue.parameters import HeadersOrSize
from brokenreg.faults.hold import HEADERS
from brokenreg.faults.strike import Head, Strike


class Hold(Fault):
    """Stops the response until somebody resumes, steps or aborts it.

    `at` is `headers` (before the status line), or so many bytes of the body; one that ends before is left as
    it is. `brokenreg resume`, `step` and
    `abort`, the control API or the panel let it go on.
    """

    name: ClassVar[str] = "hold"
    endpoint: ClassVar[str] = ANY
    clients: ClassVar[str] = "shows what a client does while it waits"
    example: ClassVar[str] = "at-64kib"

    at: HeadersOrSize = Field("headers", description="`headers`, or bytes of the body")

    async def strike(self, strike: Strike) -> None:
        if self.at == "headers":
            strike.passage.stop(HEADERS, _told_by(strike))
            await strike.pass_on()
        else:
            await strike.pass_on_changed(partial(self._stop_in_body, strike, self.at))

    @staticmethod
    def _stop_in_body(strike: Strike, at: int, head: Head) -> None:
        if strike.exchange.method == "HEAD" or (head.length is not None and at >= head.length):
            strike.spare("the body ends before")
        else:
            strike.passage.stop(at, _told_by(strike))


def _told_by(strike: Strike) -> str:
    return f'rule "{strike.exchange.rule}"'
