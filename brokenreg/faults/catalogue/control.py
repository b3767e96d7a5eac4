"""The fault that pauses a response until the user decides how it continues: hold."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from brokenreg.faults.catalogue.base import ANY, Fault
from brokenreg.faults.catalogue.parameters import HeadersOrSize, ends_before
from brokenreg.faults.context import FaultContext
from brokenreg.faults.response_head import Head
from brokenreg.gate.passage import HEADERS
from brokenreg.traffic.exchange import Exchange


class Hold(Fault):
    """Holds the response until you resume, step or abort it.

    `at` is `headers` (before the status line) or a number of bytes of the body. The fault has no effect on a
    body that ends earlier. To continue, use `brokenreg resume`, `step` or `abort`, the control API, or the
    panel.
    """

    name = "hold"
    default_endpoint = ANY
    clients = "Clients without a read timeout wait until you resume the response."
    example = "at-64kib"

    at: HeadersOrSize = Field(
        "headers", description="where to hold: `headers`, or after that many bytes of the body"
    )

    async def apply(self, context: FaultContext) -> None:
        if self.at == "headers":
            context.passage.hold(HEADERS, _holder(context))
            await context.forward()
        else:
            await context.forward_changed(partial(self._hold_in_body, context, self.at))

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        return None if self.at == "headers" else ends_before(self.at, exchange, head)

    def _hold_in_body(self, context: FaultContext, at: int, head: Head) -> None:
        why = self.no_effect_reason(context.exchange, head)
        if why is not None:
            context.no_effect(why)
        else:
            context.passage.hold(at, _holder(context))


def _holder(context: FaultContext) -> str:
    """Return the name of the rule that holds the response, for display: `rule 3` or `rule "hold layers"`."""
    label = context.exchange.rule or ""
    return label if label.startswith("rule ") else f'rule "{label}"'
