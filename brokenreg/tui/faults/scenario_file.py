"""Dialogues that load a scenario file into a book, and save a book as one."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input, Static

from brokenreg.rules.scenario_text import load_scenario, write_scenario
from brokenreg.runtime.attaching import RefusedFileError
from brokenreg.runtime.errors import OperationError
from brokenreg.runtime.operations import Operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.tui.bindings import bindings_of
from brokenreg.tui.dialogues import Confirmation, Dialogue
from brokenreg.tui.saving import Files, one_piece
from brokenreg.tui.text import visible
from brokenreg.wording import counted


class _FileDialogue(Dialogue[str | None], inherit_bindings=False):
    """Asks for a path. The result says in one line what was done; None if nothing was done."""

    DEFAULT_CSS = """
    _FileDialogue #problem { min-height: 1; color: $warning; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings_of("file")
    HEADING: ClassVar[str]

    def __init__(self, namespace: str, prompt: str) -> None:
        super().__init__(self.HEADING)
        self._namespace = namespace
        self._prompt = prompt

    def content(self) -> ComposeResult:
        yield Static(self._prompt, markup=False)
        yield Input(compact=True, max_length=4096)
        yield Static(id="problem", markup=False)

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
            self.show_problem("type the path of a file, for example scenario.yaml")
            return
        self.run_worker(self.submit(text), exclusive=True)

    async def submit(self, name: str) -> None:
        """Load or save the file. Then show what is wrong (`show_problem`), or dismiss the dialogue."""
        raise NotImplementedError

    def action_cancel(self) -> None:
        """Change nothing."""
        self.dismiss(None)


class LoadDialogue(_FileDialogue):
    """Replaces all rules of a book with the scenario in a file."""

    HEADING = "Load scenario"

    def __init__(self, operations: Operations, namespace: str) -> None:
        super().__init__(namespace, "Replaces all rules, overrides and expectations. Path:")
        self._operations = operations

    async def submit(self, name: str) -> None:
        path = Path(name)
        try:
            path = path.expanduser()  # noqa: ASYNC240 - it only looks up the user's home
            read = partial(load_scenario, path)
            book = await self._operations.load_scenario(self._namespace, read, str(path))
        except OperationError as error:
            self.show_problem(str(error))
        except RuntimeError as error:  # there is no such user
            self.show_problem(str(error))
        except ValueError as error:  # a path that no file can have
            self.show_problem(f"{path}: {error}")
        else:
            self.dismiss(f"loaded {counted(len(book), 'rule')} from {path}")


class SaveDialogue(_FileDialogue):
    """Writes the rules of a book to a file. If the file exists, confirm first."""

    HEADING = "Save scenario"

    def __init__(self, runtime: Runtime, namespace: str, files: Files) -> None:
        super().__init__(namespace, f"Saves all rules, overrides and expectations {files.place}:")
        self._runtime = runtime
        self._files = files

    async def submit(self, name: str) -> None:
        await self._save(name, overwrite=False)

    async def _save(self, name: str, *, overwrite: bool) -> None:
        scenario = self._runtime.rules.book(self._namespace).scenario()
        try:
            text = await asyncio.to_thread(write_scenario, scenario)
            path = await self._files.save(name, one_piece(text), overwrite=overwrite)
        except FileExistsError:
            question = Confirmation(f"Overwrite {visible(name)}?", ("This replaces its content.",))
            self.app.push_screen(question, lambda yes: self._overwrite(name, wanted=bool(yes)))
        except RefusedFileError as error:
            self.show_problem(str(error))
        except OSError as error:
            self.show_problem(f"cannot write {name}: {error.strerror}")
        except (RuntimeError, ValueError) as error:
            self.show_problem(str(error))
        else:
            self.dismiss(f"saved {counted(len(scenario.rules), 'rule')} to {path}")

    def _overwrite(self, name: str, *, wanted: bool) -> None:
        if wanted:
            self.run_worker(self._save(name, overwrite=True), exclusive=True)
