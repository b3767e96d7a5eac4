"""Dialogues that ask for the name of a file: to open it, or to save text in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input, Static

from brokenreg.runtime.attaching import RefusedFileError
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import Confirmation, Dialogue
from brokenreg.tui.saving import Files, one_piece
from brokenreg.tui.text import visible


class FileDialogue(Dialogue[str | None], inherit_bindings=False):
    """Asks for a path. The result is None if nothing was done."""

    DEFAULT_CSS = """
    FileDialogue #problem { min-height: 1; color: $error; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("file")
    verb: ClassVar[str]
    """What it does with the file, in one word for the footer."""

    def __init__(self, title: str, prompt: str) -> None:
        super().__init__(title)
        self._prompt = prompt

    def content(self) -> ComposeResult:
        yield Static(self._prompt, markup=False)
        yield Input(self.suggested_name(), compact=True, max_length=4096)
        yield Static(id="problem", markup=False)

    def suggested_name(self) -> str:
        """Return the name with which the dialogue begins. Typing replaces it."""
        return ""

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_changed(self) -> None:
        self.show_problem("")

    def show_problem(self, problem: str) -> None:
        """Show what is wrong, or nothing."""
        self.query_one("#problem", Static).update(visible(problem))

    def action_submit(self) -> None:
        """Load or save the file."""
        text = self.query_one(Input).value.strip()
        if not text:
            self.show_problem("type the path of a file")
            return
        self.run_worker(self.submit(text), exclusive=True)

    async def submit(self, name: str) -> None:
        """Load or save the file. Then show what is wrong (`show_problem`), or dismiss the dialogue."""
        raise NotImplementedError

    @property
    def footer_titles(self) -> Mapping[str, str]:
        """Return what `enter` does with the file."""
        return {"file.submit": self.verb}

    def action_cancel(self) -> None:
        """Change nothing."""
        self.dismiss(None)


class SavingDialogue(FileDialogue):
    """Saves `text`, or what `text()` of a subclass returns. The result is the path of the file."""

    verb = "Save"

    def __init__(self, title: str, what: str, files: Files, text: str = "") -> None:
        super().__init__(title, f"{what} {files.place}:")
        self._files = files
        self._text = text

    async def submit(self, name: str) -> None:
        await self._save(name, overwrite=False)

    async def text(self) -> str:
        """Return what is saved. Raise `ValueError` if that is impossible."""
        return self._text

    async def _save(self, name: str, *, overwrite: bool) -> None:
        try:
            path = await self._files.save(name, one_piece(await self.text()), overwrite=overwrite)
        except FileExistsError:
            question = Confirmation(f"Overwrite {visible(name)}?", ("This replaces its content.",))
            self.app.push_screen(question, lambda yes: self._overwrite(name, wanted=bool(yes)))
        except RefusedFileError as error:
            self.show_problem(str(error))
        except OSError as error:
            self.show_problem(f"cannot write {name}: {error.strerror or error}")
        except (RuntimeError, ValueError) as error:
            self.show_problem(str(error))
        else:
            self.dismiss(path)

    def _overwrite(self, name: str, *, wanted: bool) -> None:
        if wanted:
            self.run_worker(self._save(name, overwrite=True), exclusive=True)
