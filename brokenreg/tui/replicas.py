"""The traffic of another replica of the fleet, or of all of them, in the Traffic tab."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from brokenreg.fleet.control_calls import ControlCalls
from brokenreg.runtime.fleet_traffic import FleetTraffic
from brokenreg.runtime.operations import Access, Operations
from brokenreg.runtime.operations.of_fleet import FleetOperations
from brokenreg.tui.choosing import Choice, Entry
from brokenreg.tui.dialogues import say
from brokenreg.tui.faults.arming import Arming
from brokenreg.tui.saving import Files
from brokenreg.tui.tabs import TabContext
from brokenreg.tui.text import visible
from brokenreg.tui.traffic.area import TrafficArea
from brokenreg.wording import counted

ALL_REPLICAS = "*"


@dataclass(frozen=True, slots=True)
class FleetContext:
    """What the Traffic tab is given to show the traffic of a fleet (a `TrafficContext`)."""

    traffic: FleetTraffic
    operations: Operations
    clock: Callable[[], float]
    arming: Arming
    files: Files
    filters: Mapping[str, str]


class FleetArea(TrafficArea):
    """Shows the traffic of other replicas, which it gathers while it exists."""

    def __init__(self, context: TabContext, only: str | None) -> None:
        self._gathered = FleetTraffic(context.runtime, only, context.clock)
        access = Access.FULL if context.operations.may_change else Access.READ
        operations = FleetOperations(self._gathered, access, partial(say, self))
        operations.on_change = lambda change: (
            None if context.operations.on_change is None else context.operations.on_change(change)
        )
        super().__init__(
            FleetContext(
                self._gathered, operations, context.clock, context.arming, context.files, context.filters
            ),
            ((f"No exchanges at {'any replica' if only is None else 'this replica'} yet.", "quiet"),),
        )

    def on_mount(self) -> None:
        self.run_worker(self._gathered.run(), exit_on_error=True)

    def tick(self) -> None:
        self._gathered.tick()
        super().tick()
        if (exchange := self._detail.exchange) is not None and self._detail.is_on_screen:
            self._gathered.look_at(exchange)

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        place = None if self._chosen is None else self._chosen.place
        if action == "replay" and place is not None and place.is_elsewhere:
            return f"replica {place.replica} has the request; replay it in its panel"
        return super().disabled_reason(action)


async def replica_choice(replicas: ControlCalls) -> Choice:
    """Return the dialogue in which a replica is chosen, or all (`*`). Raise `StorageError`."""
    others = await replicas.others()
    here = Entry(replicas.own, "", "This replica")
    listed = (Entry(each.name, "", visible(f"On {each.host or each.address.host}")) for each in others)
    everything = Entry("all", "", f"All {counted(len(others) + 1, 'replica')}", ALL_REPLICAS)
    return Choice("Show replica", "replicas", [everything, here, *listed])


def area_of_replica(context: TabContext, name: str) -> TrafficArea:
    """Return an area with the traffic of the replica with that name, or of all (`*`)."""
    replicas = context.runtime.replicas
    if replicas is None or name == replicas.own:
        return TrafficArea(context)
    return FleetArea(context, None if name == ALL_REPLICAS else name)
