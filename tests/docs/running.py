"""Runs the steps of a page in a shell, and compares what commands print with what the page shows."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.docs import shell as shells
from tests.docs.pages import Block, Order, Page, read
from tests.docs.shell import CommandError, Shell
from tests.docs.transcripts import Command, commands_of, difference, matches

_TERMINAL = "tmux -L docs -f /dev/null"
"""The terminal of the page. Its socket is in a temporary folder."""

_CURSOR = "▌"
_API_IS_UP = "until (echo >/dev/tcp/127.0.0.1/8081) 2>/dev/null; do sleep 0.05; done"

_API_IS_DOWN = "while (echo >/dev/tcp/127.0.0.1/8081) 2>/dev/null; do sleep 0.05; done"


class DocumentedError(AssertionError):
    """What a page shows is not what happens; file, line, and the difference."""


class PageRun:
    """One run of a page, from its first step to its last."""

    def __init__(self, page: Page, shell: Shell) -> None:
        self._page = page
        self._shell = shell
        self._has_terminal = False

    def run(self) -> None:
        """Run all steps. Raise `DocumentedError` at the first that differs."""
        for step in self._page.steps:
            try:
                if isinstance(step, Order):
                    self._obey(step)
                else:
                    self._show(step)
            except CommandError as error:
                raise DocumentedError(f"{self._page.where(step.line)}: {error}") from None

    def _obey(self, order: Order) -> None:
        if order.verb == "stop":
            self._stop()
        elif order.verb == "keys":
            self._type(order.line, *order.text.split())
        elif order.verb == "row":
            self._go_to_row(order)
        elif order.verb == "screen":
            self._see(order, lambda screen: order.text in screen)
        elif order.verb == "start":
            printed = self._shell.background(f"{order.text} &", bool)
            self._demand(bool(printed), order.line, f"{order.text!r} has printed nothing")
        else:
            self._must_run(order.line, order.text)

    def _type(self, line: int, *keys: str) -> None:
        for key in keys:
            self._must_run(line, f"{_TERMINAL} send-keys {shlex.quote(key)}; sleep 0.1")

    def _go_to_row(self, order: Order) -> None:
        """Move the cursor of the panel to the last row with a text, where it must stay for a moment."""
        seen = 0

        def is_there(screen: str) -> bool:
            nonlocal seen
            rows = list(enumerate(screen.splitlines()))
            cursor = next((place for place, row in rows if row.lstrip("│").startswith(_CURSOR)), None)
            last = next((place for place, row in reversed(rows) if order.text in row), None)
            seen = seen + 1 if cursor is not None and cursor == last else 0
            if cursor is not None and last is not None and cursor != last:
                self._type(order.line, "j" if cursor < last else "k")
            return seen == 4

        self._see(order, is_there)

    def _see(self, order: Order, is_fine: Callable[[str], bool]) -> None:
        """Wait until the terminal shows what it should."""
        until = time.monotonic() + shells.DEADLINE
        while not is_fine(screen := self._shell.run(f"{_TERMINAL} capture-pane -p")[0]):
            self._demand(time.monotonic() < until, order.line, f"no {order.text!r} on the screen:\n{screen}")
            time.sleep(0.1)

    def _must_run(self, line: int, command: str) -> None:
        printed, status = self._shell.run(command)
        self._demand(status == 0, line, f"{command!r}: status {status}\n{printed}")

    def _stop(self) -> None:
        """End what the page has started."""
        if self._has_terminal:
            self._has_terminal = False
            self._shell.run(f"{_TERMINAL} kill-server; {_API_IS_DOWN}")
        self._shell.stop_all()

    def _show(self, block: Block) -> None:
        if block.order("not run"):
            return
        if file := block.order("file"):
            command = (
                f"mkdir -p \"$(dirname '{file.text}')\"\ncat >'{file.text}' <<'BRK_END'\n{block.text}BRK_END"
            )
            self._must_run(block.line, command)
        if block.language != "console":
            return
        try:
            commands = commands_of(block)
        except ValueError as error:
            raise DocumentedError(f"{self._page.where(block.line)}: {error}") from None
        if block.order("terminal"):
            self._in_terminal(commands)
            return
        *first, last = commands
        for command in first:
            self._check(command, in_background=command.is_background)
        self._check(last, in_background=last.is_background or block.order("keeps running") is not None)

    def _in_terminal(self, commands: list[Command]) -> None:
        (command,) = commands
        self._has_terminal = True
        start = f"{_TERMINAL} new-session -d -x 80 -y 24 {shlex.quote(f'exec {command.text}')}"
        self._must_run(command.line, start)
        self._must_run(command.line, _API_IS_UP)

    def _check(self, command: Command, *, in_background: bool) -> None:
        if in_background:
            text = command.text if command.is_background else f"{command.text} &"
            expected = command.output

            def is_ready(text: str) -> bool:
                return matches(expected, text, more_may_follow=True) if expected else bool(text)

            printed = self._shell.background(text, is_ready, must=bool(expected))
            as_shown = not expected or is_ready(printed)
        else:
            printed, _ = self._shell.run(command.text)
            as_shown = matches(command.output, printed)
        self._demand(as_shown, command.line, f"$ {command.text}\n{difference(command.output, printed)}")

    def _demand(self, fine: bool, line: int, problem: str) -> None:
        if not fine:
            raise DocumentedError(f"{self._page.where(line)}: {problem}")


def run_page(name: str, shell_for: Callable[[Page], AbstractContextManager[Shell]]) -> None:
    """Run a page; the test fails with what differs."""
    page = read(name)
    problem = None
    with shell_for(page) as shell:
        try:
            PageRun(page, shell).run()
        except DocumentedError as error:
            problem = str(error)
    if problem:
        pytest.fail(problem, pytrace=False)
