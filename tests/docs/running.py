"""Runs the steps of a page in a shell, and compares what commands print with what the page shows."""

from __future__ import annotations

from tests.docs.pages import Block, Order, Page
from tests.docs.shell import CommandError, Shell
from tests.docs.transcripts import Command, commands_of, difference, matches

_API_IS_UP = "until (echo >/dev/tcp/127.0.0.1/8081) 2>/dev/null; do sleep 0.05; done"


class DocumentedError(AssertionError):
    """What a page shows is not what happens; file, line, and the difference."""


class PageRun:
    """One run of a page, from its first step to its last."""

    def __init__(self, page: Page, shell: Shell) -> None:
        self._page = page
        self._shell = shell

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
            self._shell.stop_all()
        elif order.verb == "start":
            printed = self._shell.background(f"{order.text} &", bool)
            self._demand(bool(printed), order.line, f"{order.text!r} has printed nothing")
        else:
            printed, status = self._shell.run(order.text)
            self._demand(status == 0, order.line, f"{order.text!r}: status {status}\n{printed}")

    def _show(self, block: Block) -> None:
        if block.order("not run"):
            return
        if file := block.order("file"):
            command = (
                f"mkdir -p \"$(dirname '{file.text}')\"\ncat >'{file.text}' <<'BRK_END'\n{block.text}BRK_END"
            )
            printed, status = self._shell.run(command)
            self._demand(status == 0, block.line, printed)
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
        quoted = command.text.replace("'", "'\\''")
        self._shell.background(f"TERM=xterm-256color script -qec '{quoted}' /dev/null &", bool)
        self._shell.run(_API_IS_UP)

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
