"""The pages of the documentation as steps: blocks of code, and comments that say how to run them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^( *)(```+|~~~+)\s*(\S*)")
_COMMENT = re.compile(r"^\s*<!-- test: (.*?) -->\s*$")
_ORDER = re.compile(r"(start|run|stop|keeps running|terminal|keys|row|screen|file|not run)(?:$|:? +(.+))")


class PageError(Exception):
    """A page that cannot be run, with file and line."""


@dataclass(frozen=True)
class Order:
    """A comment for the test: `<!-- test: start brokenreg serve -->`."""

    line: int
    verb: str
    text: str

    @property
    def is_of_next_block(self) -> bool:
        return self.verb in ("keeps running", "terminal", "file", "not run")


@dataclass(frozen=True)
class Block:
    """A fenced block of code. `line` is that of its first content."""

    line: int
    language: str
    content: tuple[str, ...]
    orders: tuple[Order, ...]

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.content)

    def order(self, verb: str) -> Order | None:
        """The comment before the block with that verb."""
        return next((order for order in self.orders if order.verb == verb), None)


@dataclass(frozen=True)
class Page:
    """A page; `name` is its place in the repository."""

    name: str
    steps: tuple[Order | Block, ...]

    @property
    def blocks(self) -> list[Block]:
        return [step for step in self.steps if isinstance(step, Block)]

    def where(self, line: int) -> str:
        return f"{self.name}:{line}"


def names() -> list[str]:
    """All pages."""
    examples = sorted((ROOT / "examples").glob("*/README.md"))
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *examples]
    return [path.relative_to(ROOT).as_posix() for path in found]


def with_commands() -> list[str]:
    """The pages with console blocks."""
    return [name for name in names() if "```console" in (ROOT / name).read_text(encoding="utf-8")]


def read(name: str) -> Page:
    """Read a page. Raise `PageError`."""
    return parse(name, (ROOT / name).read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Page:
    """Find the steps in the text of a page. Raise `PageError`."""
    steps: list[Order | Block] = []
    pending: list[Order] = []
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        if found := _FENCE.match(line):
            content = _content(name, number, lines, *found.group(1, 2))
            steps.append(Block(number + 1, found[3], content, tuple(pending)))
            pending = []
        elif found := _COMMENT.match(line):
            order = _order(name, number, found[1])
            (pending if order.is_of_next_block else steps).append(order)
        elif line.lstrip().startswith("<!-- test"):
            raise PageError(f"{name}:{number}: a comment for tests stands alone on its line, and ends there")
        elif pending and line.startswith("#"):
            break
    if pending:
        raise PageError(f"{name}:{pending[0].line}: no block follows in this section")
    return Page(name, tuple(steps))


def _content(name, start, lines, indent, fence) -> tuple[str, ...]:
    content: list[str] = []
    for _, line in lines:
        if line.strip() == fence:
            return tuple(content)
        content.append(line.removeprefix(indent).rstrip())
    raise PageError(f"{name}:{start}: the block does not end")


def _order(name: str, line: int, text: str) -> Order:
    found = _ORDER.fullmatch(text)
    if found is None or (found[2] is None) != (found[1] in ("stop", "keeps running", "terminal")):
        raise PageError(f"{name}:{line}: invalid comment {text!r}: see Documentation in CONTRIBUTING.md")
    return Order(line, found[1], found[2] or "")
