"""What would be lost if a panel ended now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textual.screen import Screen

from brokenreg.runtime.runtime import Runtime
from brokenreg.tui.faults.form import RuleForm
from brokenreg.tui.tabs import TabArea
from brokenreg.tui.traffic.export import ExportScreen
from brokenreg.wording import counted, form_for


def lost_with_panel(screens: Iterable[Screen[object]]) -> Iterator[str]:
    """Yield the unsaved work in the dialogues of a panel, a line each."""
    for screen in screens:
        if isinstance(screen, RuleForm):
            yield "The rule in the form is not saved."
        if isinstance(screen, ExportScreen) and screen.is_writing:
            yield "An export is being written."


def lost_with_registry(runtime: Runtime, areas: Iterable[TabArea]) -> Iterator[str]:
    """Yield the work that would be lost or interrupted if the registry stopped now, a line each."""
    if held := len(runtime.gate.held):
        yield f"{counted(held, 'response')} {form_for(held, 'is', 'are')} held."
    if going := runtime.log.in_flight - held:
        yield f"{counted(going, 'exchange')} {form_for(going, 'is', 'are')} in flight."
    for area in areas:
        yield from area.unsaved()
