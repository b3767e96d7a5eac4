"""Console blocks: their commands, and whether what was printed is what they show."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.docs.pages import Block

_ANY = "..."


@dataclass(frozen=True)
class Command:
    """A command of a console block, and what it prints."""

    line: int
    text: str
    output: tuple[str, ...]

    @property
    def is_background(self) -> bool:
        return self.text.rstrip().endswith(" &")


def commands_of(block: Block) -> list[Command]:
    """The commands of a block. Raise `ValueError` if it begins with something else."""
    found: list[tuple[int, list[str], list[str]]] = []
    for number, line in enumerate(block.content, block.line):
        if line.startswith("$ "):
            found.append((number, [line.removeprefix("$ ")], []))
        elif not found:
            raise ValueError("a console block begins with a command after `$ `")
        elif _continues(found[-1], line):
            found[-1][1].append(line.removeprefix("> ") if line != ">" else "")
        else:
            found[-1][2].append(line)
    return [Command(line, "\n".join(text), _trimmed(output)) for line, text, output in found]


def _continues(command: tuple[int, list[str], list[str]], line: str) -> bool:
    _, text, output = command
    return not output and (text[-1].endswith("\\") or line == ">" or line.startswith("> "))


def _trimmed(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines without blanks at their ends, and without empty lines at the end."""
    return tuple("\n".join(line.rstrip() for line in lines).rstrip("\n").splitlines())


def matches(expected: Sequence[str], printed: str, *, more_may_follow: bool = False) -> bool:
    """Whether a text is what a block shows; or, of what still runs, whether it begins with that."""
    rest = r"(?:.*\n)*" if more_may_follow else ""
    pattern = "".join(map(_pattern, expected)) + rest
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _trimmed(printed.splitlines()))) is not None


def _pattern(line: str) -> str:
    if line.strip() == _ANY:
        return r"(?:.*\n)*"
    return ".*".join(map(re.escape, line.split(_ANY))) + r"\n"


def difference(expected: Sequence[str], printed: str) -> str:
    """What differs, for people: lines of the page with `-`, printed ones with `+`."""
    actual = list(_trimmed(printed.splitlines()))
    shown = [_same(line, actual) for line in expected]
    return "\n".join(line for line in difflib.ndiff(shown, actual) if not line.startswith("?"))


def _same(line: str, actual: Sequence[str]) -> str:
    """The line that is meant by one with `...`, so that it does not look different."""
    if _ANY not in line or line.strip() == _ANY:
        return line
    pattern = re.compile(_pattern(line))
    return next((each for each in actual if pattern.fullmatch(f"{each}\n")), line)
