"""Dialogues that load a scenario file into a book, and save a book as one."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from brokenreg.rules.scenario_text import load_scenario, write_scenario
from brokenreg.runtime.errors import OperationError
from brokenreg.runtime.operations import Operations
from brokenreg.runtime.runtime import Runtime
from brokenreg.tui.file_dialogues import FileDialogue, SavingDialogue
from brokenreg.tui.saving import Files
from brokenreg.wording import counted


class LoadDialogue(FileDialogue):
    """Replaces all rules of a book with the scenario in a file. The result says what was loaded."""

    def __init__(self, operations: Operations, namespace: str) -> None:
        super().__init__("Load scenario", "Replaces all rules, overrides and expectations. Path:")
        self._operations = operations
        self._namespace = namespace

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


class SaveDialogue(SavingDialogue):
    """Saves the rules of a book as a scenario file."""

    def __init__(self, runtime: Runtime, namespace: str, files: Files) -> None:
        super().__init__("Save scenario", "Saves all rules, overrides and expectations", files)
        self._runtime = runtime
        self._namespace = namespace

    async def text(self) -> str:
        """Return the rules as a scenario. Raise `ValueError` if that is impossible."""
        scenario = self._runtime.rules.book(self._namespace).scenario()
        return await asyncio.to_thread(write_scenario, scenario)
