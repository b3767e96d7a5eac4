"""The dialogue that exports exchanges: the user chooses the format and the destination."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from brokenreg.concurrency import paced
from brokenreg.oci.sizes import format_size
from brokenreg.rules.explanations import explain
from brokenreg.rules.rule import FieldError
from brokenreg.rules.rule_from_exchange import MAX_SEARCHED, scenario_from_exchange
from brokenreg.runtime.attaching import RefusedFileError
from brokenreg.runtime.traffic_source import TrafficSource
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filter_keys import Filter
from brokenreg.traffic.har import har_pieces
from brokenreg.traffic.replay import NoRequestError, curl
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import Dialogue
from brokenreg.tui.disabled_reasons import keyed_for
from brokenreg.tui.saving import Files
from brokenreg.tui.scrolling import MOVES, Scrolling
from brokenreg.tui.text import visible

MOST_COPIED = 64 * 1024
"""Maximum number of characters to copy: many terminals ignore longer texts (OSC 52)."""

_SHOWN = 4096

_REPORTED_EVERY = 1 << 20
"""Number of written characters after which the progress is shown."""

_SLICE = 8
"""Number of exchanges that are looked at between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Form:
    """A format: the pieces of the export, and the name of the file that is suggested."""

    pieces: Callable[[], AsyncIterator[str]]
    file: str


@dataclass(frozen=True, slots=True)
class Source:
    """The exchanges to export: one, all that `passes` accepts, or the marked ones."""

    traffic: TrafficSource
    exchange: Exchange
    passes: Filter
    marked: list[Exchange]

    @property
    def title(self) -> str:
        return f"Export exchange {self.exchange.id}"

    def forms(self) -> Mapping[str, Form]:
        """Return the formats by name."""
        name = f"exchange-{self.exchange.id}"
        marked = {"HAR (marked)": Form(self.har_of_marked, "exchanges.har")} if self.marked else {}
        return {
            "curl": Form(self.curl, f"{name}.sh"),
            "HAR": Form(self.har, f"{name}.har"),
            "HAR (listed)": Form(self.har_of_all, "exchanges.har"),
            **marked,
            "rule": Form(self.rule, f"{name}.yaml"),
        }

    async def curl(self) -> AsyncIterator[str]:
        body = self.traffic.log.bodies.of(self.exchange).request
        yield curl(self.exchange, self._base, body)

    def har(self) -> AsyncIterator[str]:
        return self._har([self.exchange])

    async def har_of_all(self) -> AsyncIterator[str]:
        async for piece in self._har(await self._passing()):
            yield piece

    def har_of_marked(self) -> AsyncIterator[str]:
        return self._har(self.marked)

    async def rule(self) -> AsyncIterator[str]:
        yield scenario_from_exchange(self.exchange, self.traffic.log.newest(MAX_SEARCHED))

    async def _passing(self) -> list[Exchange]:
        exchanges = paced(list(self.traffic.log), check_every=_SLICE)
        return [exchange async for exchange in exchanges if self.passes(exchange)]

    def _har(self, exchanges: list[Exchange]) -> AsyncIterator[str]:
        explained = partial(explain, books=self.traffic.rules)
        return paced(har_pieces(exchanges, self.traffic.log.bodies, self._base, explained))

    @property
    def _base(self) -> str:
        return self.traffic.registry_urls[0]


class _Preview(VerticalScroll, Scrolling, can_focus=True, inherit_bindings=False):
    """The beginning of the export, which scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = MOVES


class _FileName(Input):
    """The name of the file to save to."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("naming")

    class Cancelled(Message):
        """The user does not want to save."""

    def action_cancel(self) -> None:
        """Save nothing."""
        self.post_message(self.Cancelled())


class ExportScreen(Dialogue[str], inherit_bindings=False):
    """Shows an export, and copies or saves it. The result says in one line what was done, if anything."""

    DEFAULT_CSS = """
    ExportScreen > Vertical { width: 100; height: 80%; padding: 0; }
    ExportScreen _Preview { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    ExportScreen Static { text-wrap: nowrap; text-overflow: fold; padding: 0 1; }
    ExportScreen Input { display: none; padding: 0 1; }
    ExportScreen.-saving Input { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("export")

    def __init__(self, title: str, forms: Mapping[str, Form], files: Files) -> None:
        super().__init__(title)
        self._forms = forms
        self._files = files
        self._names = [*forms]
        self._form = 0
        self._text: str | None = None
        """The whole export, or more than a clipboard accepts; None if there is none."""
        self._confirmed = ""
        """The name of a file that may be overwritten."""

    def content(self) -> ComposeResult:
        yield Static(id="forms", markup=False)
        with _Preview():
            yield Static(id="preview", markup=False)
        yield Static(id="said", markup=False)
        yield _FileName(compact=True)

    def on_mount(self) -> None:
        self.action_format(0)
        self.query_one(_Preview).focus()

    def disabled_reason(self, action: str) -> str:
        """Return why `action` would do nothing now."""
        match action:
            case "copy" | "save" | "format" if self._is_saving:
                return "type a file name; {naming.cancel} goes back"
            case "copy" | "save" if self._text is None:
                return "nothing to export in this format; {export.next-format} shows the next one"
            case "copy" if self._text and len(self._text) > MOST_COPIED:
                most = format_size(MOST_COPIED)
                return f"too long for a clipboard (more than {most}); {{export.save}} saves it to a file"
            case "save" if self._files.saving_problem:
                return self._files.saving_problem
        return super().disabled_reason(action)

    def action_format(self, by: int) -> None:
        """Show the export in another format."""
        self._form = (self._form + by) % len(self._names)
        self._text = None
        parts = []
        for place, name in enumerate(self._names):
            parts += [("│", "$secondary")] if place else []
            parts.append((f" {name} ", "bold reverse" if place == self._form else ""))
        self.query_one("#forms", Static).update(Content.assemble(*parts))
        self.run_worker(self._make(self._forms[self._names[self._form]]), exclusive=True)

    async def _make(self, form: Form) -> None:
        self._say("")
        text = ""
        try:
            async for piece in form.pieces():
                text += piece
                if len(text) > MOST_COPIED:
                    break
            self._text = text
        except (NoRequestError, FieldError) as error:
            self.query_one("#preview", Static).update("")
            self._say(str(error))
        else:
            shown = "\n".join(visible(line) for line in self._text[:_SHOWN].split("\n"))
            self.query_one("#preview", Static).update(Content(shown))
            if len(self._text) > _SHOWN:
                more = "more than " if len(self._text) > MOST_COPIED else ""
                size = format_size(min(len(self._text), MOST_COPIED))
                self._say(f"only the beginning is shown; the export is {more}{size}")
        self.refresh_bindings()

    def action_copy(self) -> None:
        """Copy the export, and close the dialogue."""
        if self._text is None:
            return
        self.app.copy_to_clipboard(self._text)
        self.dismiss(f"copied as {self._names[self._form]}")

    def action_save(self) -> None:
        """Ask for the name of a file."""
        field = self.query_one(Input)
        field.value = self._forms[self._names[self._form]].file
        field.cursor_position = len(field.value)
        self.add_class("-saving")
        field.focus()
        self._say(f"{{naming.save}} saves the export {self._files.place}")
        self.refresh_bindings()

    def action_close(self) -> None:
        """Close the dialogue."""
        self.dismiss("")

    def on__file_name_cancelled(self) -> None:
        """Stop saving, and go back to the export."""
        self.workers.cancel_node(self)
        self.remove_class("-saving")
        self.query_one(_Preview).focus()
        self._say("")
        self.refresh_bindings()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        name = event.value.strip()
        if not name or self._text is None:
            self._say("type a file name")
            return
        self.run_worker(self._save(name), exclusive=True)

    async def _save(self, name: str) -> None:
        try:
            path = await self._files.save(name, self._reported_pieces(), overwrite=self._confirmed == name)
        except FileExistsError:
            self._confirmed = name
            self._say("the file exists; {naming.save} again overwrites it")
        except RefusedFileError as error:
            self._say(visible(str(error)))
        except (OSError, ValueError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or visible(str(error).rstrip("."))
            self._say(f"cannot write the file: {why}: {visible(name)}")
        else:
            self.dismiss(f"saved to {visible(path)}")

    async def _reported_pieces(self) -> AsyncIterator[str]:
        """Yield the pieces of the export, and show from time to time how much was written."""
        length = reported = 0
        async for piece in self._forms[self._names[self._form]].pieces():
            yield piece
            length += len(piece)
            if length - reported >= _REPORTED_EVERY:
                reported = length
                self._say(f"saving, {format_size(length)} so far; {{naming.cancel}} stops it")

    def on_input_changed(self) -> None:
        self._confirmed = ""

    @property
    def is_writing(self) -> bool:
        """Return whether a file is being written."""
        return self._is_saving and any(each.node is self and each.is_running for each in self.workers)

    @property
    def _is_saving(self) -> bool:
        return self.has_class("-saving")

    def _say(self, line: str) -> None:
        self.query_one("#said", Static).update(Content(keyed_for(self, line)))
