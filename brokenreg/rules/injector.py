"""Applies the rules to requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from brokenreg.faults.catalogue import Fault
from brokenreg.faults.context import FaultContext
from brokenreg.faults.registry_view import RegistryView
from brokenreg.gate.gate import Gate
from brokenreg.gate.passage import Passage
from brokenreg.http.asgi import (
    Handled,
    Handler,
    Message,
    ReadyResponse,
    Receive,
    Responder,
    Scope,
    Send,
    complete,
)
from brokenreg.oci.errors import OCIError
from brokenreg.oci.target import Endpoint
from brokenreg.registry.auth.token_endpoint import read_token_form
from brokenreg.registry.responses import as_oci_error, error_response, respond_error
from brokenreg.rules.active_rule import RuleHit
from brokenreg.rules.path_rules import PathRules
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.rules.shared_evaluation import SharedEvaluation
from brokenreg.storage.errors import StorageError
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.recorder import exchange_of
from brokenreg.traffic.timeline_events import FaultsApplied
from brokenreg.wire.stream import stream_of


class Injector:
    """Evaluates the rules for each request, and wraps the registry in the faults that are applied.

    It stands between the recorder and the registry. In a fleet, `shared` evaluates rules whose counts decide.
    """

    def __init__(
        self,
        handler: Handler,
        paths: PathRules,
        rules: RuleBooks,
        gate: Gate,
        registry_view: RegistryView,
        shared: SharedEvaluation | None = None,
    ) -> None:
        self._shared = shared
        self._handler = handler
        self._paths = paths
        self._rules = rules
        self._gate = gate
        self._registry_view = registry_view

    def __call__(self, scope: Scope, receive: Receive) -> Handled:
        """Return the registry's response if it is ready and nothing may change it."""
        exchange = exchange_of(scope)
        if exchange.target.endpoint is Endpoint.TOKEN and exchange.method == "POST":
            return self._gated(scope, partial(self._respond_to_form, scope, receive))
        if exchange.target.is_reserved and self._registry_view.must_recall(exchange):
            return self._gated(scope, partial(self._recall, scope, receive))
        handled = self._inject(exchange, scope, receive)
        if isinstance(handled, ReadyResponse) and not self._gate.breakpoints.entries:
            return handled
        return self._gated(scope, handled)

    def _gated(self, scope: Scope, handled: Handled) -> Responder:
        """Run a handler whose response passes the gate."""

        async def respond(send: Send) -> None:
            passage = Passage(self._gate, exchange_of(scope), stream_of(scope), send)
            with self._gate.passing(passage):
                await complete(handled, passage.send)

        return respond

    async def _respond_to_form(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the form of a token request first, because only the form says which repository it is for."""
        try:
            scope, receive = await read_token_form(scope, receive)
        except OCIError as error:
            await respond_error(send, error)
        else:
            await complete(self._inject(exchange_of(scope), scope, receive), send)

    async def _recall(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look up the requested blob of a fabricated image first, because rules may depend on it."""
        exchange = exchange_of(scope)
        try:
            await stream_of(scope).unless_gone(self._registry_view.recall(exchange))
        except OCIError as error:
            await respond_error(send, error)
        else:
            await complete(self._inject(exchange, scope, receive), send)

    def _inject(self, exchange: Exchange, scope: Scope, receive: Receive) -> Handled:
        """Evaluate the rules, and let the registry respond within the faults that are applied."""
        target = exchange.target
        hits: list[RuleHit] = []
        if target.error is None:
            try:
                is_special = target.faults or target.is_reserved
                path_rules = self._paths.rules(target, exchange.method) if is_special else ()
                if self._shared is not None and self._shared.decides(exchange, path_rules):
                    evaluate = partial(self._shared.evaluate, exchange, path_rules)
                    return partial(self._inject_counted, evaluate, exchange, scope, receive)
                hits = self._rules.evaluate(exchange, path_rules)
            except OCIError as error:  # an invalid path
                return error_response(error)
        handler = self._with_faults(exchange, hits) if hits else self._handler
        return handler(scope, receive)

    async def _inject_counted(
        self,
        evaluate: Callable[[], Awaitable[list[RuleHit]]],
        exchange: Exchange,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Wait for the counts of the fleet, and let the registry respond within the faults."""
        try:
            hits = await evaluate()
        except StorageError as error:
            await respond_error(send, as_oci_error(error))
        else:
            handler = self._with_faults(exchange, hits) if hits else self._handler
            await complete(handler(scope, receive), partial(_send_undone, hits, send))

    def _with_faults(self, exchange: Exchange, hits: list[RuleHit]) -> Handler:
        """Return the registry wrapped in the faults of these hits."""
        handler = self._handler
        for hit in reversed(hits):
            for fault in reversed(hit.faults):
                handler = self._within(fault, hit, handler)
        exchange.faults = tuple(fault.name for hit in hits for fault in hit.faults)
        exchange.rule = hits[0].active.label
        exchange.add(FaultsApplied(exchange.faults))
        return handler

    def _within(self, fault: Fault, hit: RuleHit, handler: Handler) -> Handler:
        """Return `handler` wrapped in one fault."""

        def handle(scope: Scope, receive: Receive) -> Handled:
            async def respond(send: Send) -> None:
                context = FaultContext(
                    name=fault.name,
                    exchange=hit.exchange,
                    scope=scope,
                    receive=receive,
                    send=send,
                    handler=handler,
                    passage=self._gate.passage_of(hit.exchange),
                    registry_view=self._registry_view,
                    memory=hit.active.memory if self._shared is None else self._shared.memory(hit.active),
                    draw=hit.draw,
                    note_no_effect=hit.note_no_effect,
                )
                try:
                    await fault.apply(context)
                except OCIError as error:  # what the fault remembers cannot be reached
                    await respond_error(send, error)

            return respond

        return handle


async def _send_undone(hits: list[RuleHit], send: Send, message: Message) -> None:
    """Send a message once the hits without effect no longer count at any replica."""
    for hit in hits:
        if hit.undoing is not None:
            await asyncio.wait((hit.undoing,))
            hit.undoing = None
    await send(message)
