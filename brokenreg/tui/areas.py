"""The table of tabs, and where each area of commands is available. Free of Textual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab. `area` is the class of the widget that it shows (a `TabArea`), as MODULE:CLASS."""

    name: str
    key: str
    title: str
    help: str
    area: str


_TABS = (
    Tab("traffic", "1", "Traffic", "Show the exchanges", "brokenreg.tui.traffic.area:TrafficArea"),
    Tab("faults", "2", "Faults", "Show the rules and overrides", "brokenreg.tui.faults.area:FaultsArea"),
    Tab("blobs", "3", "Blobs", "Show all blobs", "brokenreg.tui.blobs.area:BlobsArea"),
    Tab("tags", "4", "Tags", "Show repositories and their tags", "brokenreg.tui.tags.area:TagsArea"),
    Tab("log", "5", "Log", "Show the log of brokenreg itself", "brokenreg.tui.log.area:LogArea"),
)
TABS: Mapping[str, Tab] = {tab.name: tab for tab in _TABS}
"""By name, in order."""


@dataclass(frozen=True, slots=True)
class Area:
    """Commands that are available together: their heading in the help, and in which tabs and dialogues."""

    group: str
    places: frozenset[str]


_AREAS: Mapping[str, Area] = {
    "panel": Area("Panel", frozenset(TABS)),
    "tab": Area("Tabs", frozenset(TABS)),
    "move": Area(
        "Navigation",
        frozenset({*TABS, "help", "document", "export", "overrides", "commands", "compare"}),
    ),
    "holding": Area("Holding", frozenset({"traffic"})),
    "edit": Area("Edit response", frozenset({"edit"})),
    "commands": Area("Command log", frozenset({"commands"})),
    "split": Area("Navigation", frozenset(TABS)),
    "tree": Area("Tree", frozenset({"tags"})),
    "seen": Area("Save scenario", frozenset({"file"})),
    "naming": Area("Export", frozenset({"naming"})),
    "image": Area("Odd images", frozenset({"choose"})),
    "filters": Area("Recall filter", frozenset({"choose"})),
    **{
        name: Area(group, frozenset({name}))
        for name, group in {
            "confirm": "Confirmation",
            "ask": "Text input",
            "choose": "Choice",
            "form": "Rule form",
            "file": "File name",
            "open": "Open file",
            "opened": "Opened file",
        }.items()
    },
}
"""All others are available in the tab or dialogue of their name."""


def area(name: str) -> Area:
    """Return the area of that name. No key has two meanings where two areas meet."""
    return _AREAS.get(name) or Area(name.capitalize(), frozenset({name}))
