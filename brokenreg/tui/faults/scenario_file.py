"""The dialogue that loads a scenario file into a book."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from brokenreg.rules.scenario_text import load_scenario
from brokenreg.runtime.errors import OperationError
from brokenreg.runtime.operations import Operations
from brokenreg.tui.file_dialogues import FileDialogue
from brokenreg.wording import counted


class LoadDialogue(FileDialogue):
    """Replaces all rules of a book with the scenario in a file. The result says what was loaded."""

    verb = "Load"

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
        except RuntimeError as error:  # the user after ~ does not exist
            self.show_problem(str(error))
        except ValueError as error:  # a path that no file can have
            self.show_problem(f"{path}: {error}")
        else:
            self.dismiss(f"loaded {counted(len(book), 'rule')} from {path}")
