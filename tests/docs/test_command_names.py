"""Commands that the documentation mentions, in sentences and in blocks that do not run, exist as written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from brokenreg.cli.main import main
from tests.docs import pages
from tests.docs.pages import ROOT

_INLINE = re.compile(r"`(brokenreg [^`]+)`")
_LINE = re.compile(r"^(?:[A-Z_]+=\S+ )*(brokenreg .+?)(?: &| (?:[|&]{1,2}|>) .*)?$", re.MULTILINE)
_PAGES = [*pages.names(), "CONTRIBUTING.md"]


def mentioned(name: str) -> Iterator[tuple[int, str]]:
    """Commands of brokenreg in a page, with their lines; console blocks run, and are tested by that."""
    page = pages.read(name)
    blocks = {
        number for block in page.blocks for number in range(block.line, block.line + len(block.content))
    }
    for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1):
        if number not in blocks:
            yield from ((number, command) for command in _INLINE.findall(line))
    for block in page.blocks:
        if block.language == "sh":
            joined = block.text.replace("\\\n", " ")
            yield from ((block.line, command) for command in _LINE.findall(joined))


def problem_of(text: str) -> str | None:
    """What the command line says of a command, without running it; None if it would run."""
    name, *words = shlex.split(text, comments=True)
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        if name not in command.commands:
            return f"no command {name}"
        command = command.commands[name]
    if not words or "..." in words:
        return None
    try:
        command.make_context(name, words)
    except click.exceptions.Exit:  # --help
        return None
    except click.ClickException as error:
        return error.format_message()
    return None


@pytest.mark.parametrize("name", _PAGES)
def test_commands_that_are_mentioned(name: str) -> None:
    for line, command in mentioned(name):
        problem = problem_of(command)
        assert problem is None, f"{name}:{line}: {command}: {problem}"


@pytest.mark.parametrize(
    "command",
    [
        "brokenreg serv",
        "brokenreg serve --port 1",
        "brokenreg rules remove x",
        "brokenreg step --bytes",
        "brokenreg rules add --skip 1",
    ],
)
def test_commands_that_do_not_exist(command: str) -> None:
    assert problem_of(command)


@pytest.mark.parametrize(
    "command",
    [
        "brokenreg",
        "brokenreg rules",
        "brokenreg scenario show",
        "brokenreg faults --help",
        "brokenreg hold 17",
    ],
)
def test_commands_that_exist(command: str) -> None:
    assert problem_of(command) is None
