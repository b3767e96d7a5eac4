"""The dialogue that saves a book as a scenario file, with expectations made from what was seen."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input, Static

from brokenreg.rules.scenario import Scenario
from brokenreg.rules.scenario_text import write_scenario
from brokenreg.rules.seen_expectations import SeenExpectation, scenario_with, seen_expectations
from brokenreg.runtime.runtime import Runtime
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.faults.last_run import last_run
from brokenreg.tui.file_dialogues import SavingDialogue
from brokenreg.tui.listing import Listing, Row
from brokenreg.tui.saving import Files
from brokenreg.tui.text import visible
from brokenreg.wording import counted

_UNSAFE = re.compile(r"[^a-z0-9]+")
_LONGEST = 60
_LINES = 9
"""Number of expectations that are visible at the same time."""


class SaveDialogue(SavingDialogue):
    """Saves the rules of a book as a scenario file, with the expectations that the user ticks.

    `contents` says what was saved.
    """

    DEFAULT_CSS = """
    SaveDialogue Listing { height: 0; background: $surface; }
    SaveDialogue .seen { color: $secondary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("file", "seen")

    def __init__(self, runtime: Runtime, namespace: str, files: Files) -> None:
        super().__init__("Save scenario", "Saves all rules, overrides and expectations", files)
        self._runtime = runtime
        self._namespace = namespace
        self.contents = ""
        self._seen: list[SeenExpectation] = []
        self._ticked: set[int] = set()
        self._from = Static(markup=False, classes="seen")
        self._listing = Listing()

    def content(self) -> ComposeResult:
        yield from super().content()
        yield self._from
        yield self._listing

    def suggested_name(self) -> str:
        """Return a name that no file has, from that of the scenario."""
        return self._files.free_name(self._stem(), ".yaml")

    def on_mount(self) -> None:
        self.run_worker(self._look())

    @property
    def footer_titles(self) -> Mapping[str, str]:
        """Return where `tab` goes, and whether `space` excludes the selected expectation."""
        go = {"seen.go": "File name"} if self._listing.has_focus else {}
        tick = {"seen.tick": "Exclude"} if self._listing.selected in self._ticked else {}
        return {**super().footer_titles, **go, **tick}

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        if action in ("go", "tick", "tick_all") and not self._seen:
            return "no expectations: no pull or push in this namespace"
        return super().disabled_reason(action)

    def action_go(self) -> None:
        """Go from the name of the file to the expectations, or back."""
        field = self.query_one(Input)
        self.set_focus(self._listing if field.has_focus else field)  # `focus` would be too late for fast keys

    def action_tick(self) -> None:
        """Include the expectation under the cursor, or leave it out."""
        place = self._listing.selected
        if isinstance(place, int):
            self._ticked ^= {place}
            self._show()

    def action_tick_all(self) -> None:
        """Include all expectations, or none."""
        everything = set(range(len(self._seen)))
        self._ticked = set() if self._ticked == everything else everything
        self._show()

    def on_cursor_list_opened(self) -> None:
        """Tick the row after a double click."""
        self.action_tick()

    async def text(self) -> str:
        """Return the scenario. Raise `ValueError` if it is too long."""
        book = self._runtime.rules.book(self._namespace).scenario()
        scenario = scenario_with(book, [self._seen[place] for place in sorted(self._ticked)])
        self.contents = counted(len(scenario.rules), "rule")
        if expectations := len(scenario.expect) + _of_client(scenario):
            self.contents += f" and {counted(expectations, 'expectation')}"
        return await asyncio.to_thread(write_scenario, scenario)

    async def _look(self) -> None:
        """Offer expectations made from the newest pull or push to which a rule was applied."""
        run = await last_run(self._runtime.log, self._runtime.rules, self._namespace)
        self._seen = seen_expectations(run, [*self._runtime.rules.book(self._namespace)])
        if self._seen:
            product = visible(run[0].user_agent.partition(" ")[0]) or "a client"
            places = f"exchanges {run[0].id} to {run[-1].id}" if len(run) > 1 else f"exchange {run[0].id}"
            self._from.update(f"Expectations from {counted(len(run), 'request')} of {product}, {places}:")
            self._listing.styles.height = min(len(self._seen), _LINES)
            self._show()
        self.refresh_bindings()

    def _show(self) -> None:
        self._listing.show(
            [
                Row(place, f"[{'x' if place in self._ticked else ' '}] {visible(each.text)}")
                for place, each in enumerate(self._seen)
            ]
        )

    def _stem(self) -> str:
        """Return the beginning of the file's name: that of the scenario, if it has one."""
        name = self._runtime.rules.book(self._namespace).name or self._namespace
        return _UNSAFE.sub("-", name.lower()).strip("-")[:_LONGEST] or "scenario"


def _of_client(scenario: Scenario) -> int:
    """Return the number of expectations of the client, which are not in `expect`."""
    return 0 if scenario.client is None else len(scenario.client.model_dump(exclude_defaults=True))
