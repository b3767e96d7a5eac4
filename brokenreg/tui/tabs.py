"""The tabs, and the line that shows them."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from brokenreg.tui.area import TabArea
from brokenreg.tui.blobs.area import BlobsArea
from brokenreg.tui.commands import BY_ID, keys_of
from brokenreg.tui.faults.area import FaultsArea
from brokenreg.tui.log.area import LogArea
from brokenreg.tui.tags.area import TagsArea
from brokenreg.tui.text import fit
from brokenreg.tui.traffic.area import TrafficArea

TABS: Mapping[str, type[TabArea]] = {
    "traffic": TrafficArea,
    "faults": FaultsArea,
    "blobs": BlobsArea,
    "tags": TagsArea,
    "log": LogArea,
}
"""What each tab shows, in the order of `commands.TABS`; key and title are those of `tab.<name>`."""


class TabLine(Widget):
    """One line: the tabs, the chosen one standing out, and a remark of its area at the right."""

    DEFAULT_CSS = "TabLine { height: 1; background: $surface; }"

    class Chosen(Message):
        """Somebody clicked a tab."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__()
        commands = {name: BY_ID[f"tab.{name}"] for name in TABS}
        self._words = {
            name: f" {keys_of(command, keys)[0]} {command.title} " for name, command in commands.items()
        }
        self._shown = ("", "")

    def show(self, chosen: str, remark: str) -> None:
        """Paint again if something has changed."""
        if (chosen, remark) != self._shown:
            self._shown = chosen, remark
            self.refresh()

    def render(self) -> Content:
        chosen, remark = self._shown
        room = self.size.width - sum(map(cell_len, self._words.values())) - 2
        parts = [
            (word, "bold reverse $primary" if name == chosen else "$secondary")
            for name, word in self._words.items()
        ]
        said = fit(remark, min(cell_len(remark), max(0, room)))
        return Content.assemble(*parts, f"{'':{max(0, room - cell_len(said)) + 1}}", said)

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the mouse."""
        at = 0
        for name, word in self._words.items():
            if at <= event.x < at + cell_len(word):
                self.post_message(self.Chosen(name))
            at += cell_len(word)
