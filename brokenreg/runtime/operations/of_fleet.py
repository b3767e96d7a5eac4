"""Operations on the exchanges of all replicas of a fleet: those of others are passed on to them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from brokenreg.fleet.control_calls import ControlRequest
from brokenreg.fleet.errors import ReplicaError
from brokenreg.gate.edits import EditableHead
from brokenreg.gate.passage import HEADERS, Abort, Order, Resume, Step
from brokenreg.runtime.errors import Kind, NotFoundError
from brokenreg.runtime.fleet_traffic import FleetTraffic
from brokenreg.runtime.operations import Access, Operations, command_lines
from brokenreg.storage.errors import StorageError
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.place import Place
from brokenreg.traffic.replay import Replay, ReplayError

_MOST_UNDER_WAY = 100
"""Maximum number of requests to other replicas at the same time."""


class FleetOperations(Operations):
    """Operations whose ids are those of the log of `traffic`.

    What another replica says afterwards, if it is not carried out, is passed to `on_problem` in one line.
    """

    def __init__(self, traffic: FleetTraffic, access: Access, on_problem: Callable[[str], None]) -> None:
        super().__init__(traffic.runtime, access)
        self._traffic = traffic
        self._on_problem = on_problem
        self._under_way: set[asyncio.Task[None]] = set()

    def hold(self, exchange_id: int, by: str, at: int | None = None) -> None:
        """Hold an exchange in flight, as `HoldingOperations.hold` does."""
        place = self._place(exchange_id)
        if not place.is_elsewhere:
            super().hold(place.number, by, at)
            return
        self._send(place, "hold", {} if at is None else {"at": "headers" if at == HEADERS else at})
        self._changed(command_lines.held(place.number, at, place.replica))

    def carry_out(self, exchange_id: int, order: Order) -> None:
        """Resume, step or abort a held exchange."""
        place = self._place(exchange_id)
        if not place.is_elsewhere:
            super().carry_out(place.number, order)
            return
        self._send(place, *_request(order))
        self._changed(command_lines.ordered(order, place.number, place.replica))

    def carry_out_all(
        self, order: Order, matches: Callable[[Exchange], bool] = lambda _: True
    ) -> tuple[list[Exchange], list[Exchange]]:
        """Resume, step or abort all held exchanges that match."""
        self.require_change()
        held = [each.exchange for each in self._traffic.gate.held.values() if matches(each.exchange)]
        for each in held:
            self.carry_out(each.id, order)
        return held, []

    def edit(self, exchange_id: int, head: EditableHead) -> None:
        """Replace the status and headers of an exchange of this replica."""
        super().edit(self._place(exchange_id).number, head)

    def replay(self, exchange: Exchange) -> Replay:
        """Return the request of an exchange of this replica, to send it again. Raise `ReplayError`."""
        original = self._traffic.original(exchange)
        if original is None:
            raise ReplayError("this replica no longer has the request")
        return super().replay(original)

    def _place(self, exchange_id: int) -> Place:
        exchange = self._traffic.log.find(exchange_id)
        if exchange is None or exchange.place is None:
            raise NotFoundError(Kind.EXCHANGE, exchange_id)
        return exchange.place

    def _send(self, place: Place, action: str, body: dict[str, Any]) -> None:
        """Send a request to another replica, without waiting for its response. Raise `ReadOnlyError`."""
        self.require_change()
        if len(self._under_way) >= _MOST_UNDER_WAY:
            self._on_problem("too many requests to other replicas are under way")
            return
        task = asyncio.create_task(self._sent(place, action, json.dumps(body).encode()))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _sent(self, place: Place, action: str, body: bytes) -> None:
        target = f"/v1/exchanges/{place.number}/{action}?replica={place.replica}"
        request = ControlRequest("POST", target, Access.FULL, body, "application/json")
        try:
            response = await self._traffic.replicas.send(place.replica, request)
        except (ReplicaError, StorageError) as error:
            self._on_problem(str(error))
            return
        if response.status != 200:
            detail = json.loads(response.body).get("detail") if response.body else response.status
            self._on_problem(f"replica {place.replica}: {detail}")


def _request(order: Order) -> tuple[str, dict[str, Any]]:
    """Return the last part of the path and the body of the request for an order."""
    match order:
        case Resume():
            return "resume", {}
        case Step(size):
            return "step", {"bytes": size}
        case Abort(status):
            return "abort", {} if status is None else {"status": status}
