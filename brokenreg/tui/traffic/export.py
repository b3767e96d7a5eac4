"""The dialogue that exports an exchange: in which form, and where to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from brokenreg.controlled import Controlled
from brokenreg.faults.likeness import scenario_like
from brokenreg.faults.rules import FieldError
from brokenreg.oci.sizes import format_size
from brokenreg.traffic.curl import NoRequestError, curl
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filters import Filter
from brokenreg.traffic.har import har_pieces
from brokenreg.traffic.pacing import chosen, paced
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.footer import KeyLine
from brokenreg.tui.objections import Objecting
from brokenreg.tui.saving import save
from brokenreg.tui.scrolling import MOVES, Scrolling
from brokenreg.tui.text import visible

MOST_COPIED = 64 * 1024
"""Characters; longer ones many terminals do not take (OSC 52)."""

_SHOWN = 4096


@dataclass(frozen=True, slots=True)
class Source:
    """What there is to export: one exchange, all that the list shows, and those that are marked."""

    controlled: Controlled
    exchange: Exchange
    passes: Filter
    marked: list[Exchange]

    async def curl(self) -> str:
        body = self.controlled.log.bodies.of(self.exchange).request
        return curl(self.exchange, self._base, body)

    async def har(self) -> str:
        return await self._har([self.exchange])

    async def har_of_all(self) -> str:
        return await self._har(await chosen(list(self.controlled.log), self.passes))

    async def har_of_marked(self) -> str:
        return await self._har(self.marked)

    async def rule(self) -> str:
        return scenario_like(self.exchange)

    async def _har(self, exchanges: list[Exchange]) -> str:
        pieces = har_pieces(exchanges, self.controlled.log.bodies, self._base)
        return "".join([piece async for piece in paced(pieces)])

    @property
    def _base(self) -> str:
        return self.controlled.status().registry[0]


@dataclass(frozen=True, slots=True)
class _Form:
    text: Callable[[Source], Awaitable[str]]
    file: str
    needs_marks: bool = False


FORMS: Mapping[str, _Form] = {
    "curl": _Form(Source.curl, "exchange-{}.sh"),
    "HAR": _Form(Source.har, "exchange-{}.har"),
    "HAR of all": _Form(Source.har_of_all, "exchanges.har"),
    "HAR of marked": _Form(Source.har_of_marked, "exchanges.har", needs_marks=True),
    "rule": _Form(Source.rule, "exchange-{}.yaml"),
}


class _Preview(VerticalScroll, Scrolling, can_focus=True, inherit_bindings=False):
    """What scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = MOVES


class ExportScreen(ModalScreen[str], Objecting, inherit_bindings=False):
    """Over the panel, until it is left; answers what was done, in one line, or nothing."""

    DEFAULT_CSS = """
    ExportScreen { align: center middle; }
    ExportScreen > Vertical { width: 100; max-width: 100%; height: 80%; border: round $primary;
        background: $surface; }
    ExportScreen _Preview { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    ExportScreen Static { height: auto; text-wrap: nowrap; text-overflow: fold; padding: 0 1; }
    ExportScreen Input { display: none; padding: 0 1; background: $panel; }
    ExportScreen.-saving Input { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("export")

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self._names = [name for name, form in FORMS.items() if source.marked or not form.needs_marks]
        self._form = 0
        self._text: str | None = None
        self._confirmed = ""
        """The name of a file that may be overwritten."""

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = f"Export exchange {self._source.exchange.id}"
        with box:
            yield Static(id="forms", markup=False)
            with _Preview():
                yield Static(id="preview", markup=False)
            yield Static(id="said", markup=False)
            yield Input(select_on_focus=False, compact=True)
        yield KeyLine()

    def on_mount(self) -> None:
        self.action_form(0)
        self.query_one(_Preview).focus()

    def objection(self, action: str) -> str:
        """Why `action` would do nothing now."""
        match action:
            case "copy" | "save" | "form" if self._is_saving:
                return "the name of a file is asked for; escape goes back"
            case "copy" | "save" if self._text is None:
                return "there is nothing in this form; h and l show others"
            case "copy" if self._text and len(self._text) > MOST_COPIED:
                return f"{format_size(len(self._text))} are too much for a clipboard; s writes it to a file"
        return super().objection(action)

    def action_form(self, by: int) -> None:
        """Make it in another form."""
        self._form = (self._form + by) % len(self._names)
        self._text = None
        parts = []
        for place, name in enumerate(self._names):
            parts += [("│", "$secondary")] if place else []
            parts.append((f" {name} ", "bold reverse" if place == self._form else ""))
        self.query_one("#forms", Static).update(Content.assemble(*parts))
        self.run_worker(self._make(FORMS[self._names[self._form]]), exclusive=True)

    async def _make(self, form: _Form) -> None:
        self._say("")
        try:
            self._text = await form.text(self._source)
        except (NoRequestError, FieldError) as error:
            self.query_one("#preview", Static).update("")
            self._say(str(error))
        else:
            shown = "\n".join(visible(line) for line in self._text[:_SHOWN].split("\n"))
            self.query_one("#preview", Static).update(Content(shown))
            if len(self._text) > _SHOWN:
                self._say(f"its beginning is shown; it has {format_size(len(self._text))}")
        self.refresh_bindings()

    def action_copy(self) -> None:
        """Copy it, and leave."""
        if self._text is None:
            return
        self.app.copy_to_clipboard(self._text)
        self.dismiss(f"copied as {self._names[self._form]}")

    def action_save(self) -> None:
        """Ask for the name of a file."""
        field = self.query_one(Input)
        field.value = FORMS[self._names[self._form]].file.format(self._source.exchange.id)
        field.cursor_position = len(field.value)
        self.add_class("-saving")
        field.focus()
        self._say("write it to this file; enter writes")
        self.refresh_bindings()

    def action_leave(self) -> None:
        """Back without more: from the name of the file, then from the dialogue."""
        if not self._is_saving:
            self.dismiss("")
            return
        self.remove_class("-saving")
        self.query_one(_Preview).focus()
        self._say("")
        self.refresh_bindings()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        name = event.value.strip()
        if not name or self._text is None:
            self._say("write the name of a file")
            return
        self.run_worker(self._save(name, self._text), exclusive=True)

    async def _save(self, name: str, text: str) -> None:
        try:
            await asyncio.to_thread(save, name, text, overwrite=self._confirmed == name)
        except FileExistsError:
            self._confirmed = name
            self._say(f"it is there already; enter once more overwrites {visible(name)}")
        except (OSError, ValueError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or visible(str(error).rstrip("."))
            self._say(f"cannot be written: {why}: {visible(name)}")
        else:
            self.dismiss(f"written to {visible(name)}")

    def on_input_changed(self) -> None:
        self._confirmed = ""

    @property
    def _is_saving(self) -> bool:
        return self.has_class("-saving")

    def _say(self, line: str) -> None:
        self.query_one("#said", Static).update(Content(line))
