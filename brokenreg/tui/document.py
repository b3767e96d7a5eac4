"""A document beside a list: facts, and below them its text."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial

from textual.content import Content
from textual.worker import Worker

from brokenreg.storage.errors import StorageError
from brokenreg.tui.dialogues import Fact, Read, read_lines
from brokenreg.tui.lines import Line, Lines
from brokenreg.tui.text import visible

_LABEL = 13


class DocumentPane(Lines):
    """Shows facts immediately, and the text that `read` returns once it is read. `key` identifies both."""

    DEFAULT_CSS = "DocumentPane { padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__()
        self.key: Hashable = None

    def show_document(self, key: Hashable, title: str, facts: Sequence[Fact], read: Read | None) -> None:
        """Show another document, from its first line."""
        self.key = key
        head = [Content.styled(visible(title), "bold"), Content(""), *map(_fact, facts)]
        self.scroll_home(animate=False, immediate=True)
        self.show_lines(head)
        if read is not None:
            load = partial(self._load, head, read)  # a coroutine would never run if it is cancelled first
            self._loading: Worker[None] = self.run_worker(load, group="document", exclusive=True)
        else:
            self.workers.cancel_group(self, "document")

    async def _load(self, head: list[Content], read: Read) -> None:
        try:
            found = await read()
        except (OSError, StorageError) as error:
            self.show_lines([*head, _fact(("Content", f"cannot be read: {error}"))])
            return
        lines: list[Line] = [*head]
        if found is None:
            lines.append(_fact(("Content", "not found")))
        else:
            text, is_whole = await read_lines(*found)
            lines += [] if is_whole else [_fact(("Content", "only the beginning is shown"))]
            lines += [Content(""), *text]
        self.show_lines(lines)


def _fact(fact: Fact) -> Content:
    return Content.assemble((f"{fact[0]:<{_LABEL}} ", "$secondary"), visible(fact[1]))
