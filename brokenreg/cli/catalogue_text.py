"""The commands that show a catalogue: faults, images and profiles, in a terminal, as JSON and as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import click

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import RenderableType
    from rich.table import Table

    from brokenreg.parameter_descriptions import ParameterDescription

Item = TypeVar("Item")


class FamilyMember(Protocol):
    """What a list by families shows of an item."""

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def summary(self) -> str: ...


def catalogue_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument and the options of a command that shows a catalogue."""
    markdown = click.option(
        "--markdown", "form", flag_value="markdown", help="Print the reference page as Markdown."
    )
    document = click.option("--json", "form", flag_value="json", help="Print JSON.")
    return click.argument("name", required=False)(document(markdown(command)))


@dataclass(frozen=True, slots=True)
class Views(Generic[Item]):
    """How the items of a catalogue are shown: as a JSON document, in a list, alone, and on a page."""

    document: Callable[[Item], dict[str, Any]]
    listed: Callable[[Sequence[Item]], Iterator[RenderableType]]
    alone: Callable[[Item], Iterator[RenderableType]]
    page: Callable[[Sequence[Item]], Iterator[str]]

    def show(self, items: Sequence[Item], form: str | None, *, is_named: bool) -> None:
        """Print the items in that form. `is_named` says that there is one, which was asked for by name."""
        if form == "json":
            click.echo(json.dumps([self.document(each) for each in items], indent=2))
        elif form == "markdown":
            click.echo("\n".join(self.page(items)))
        else:
            _print(self.alone(items[0]) if is_named else self.listed(items))


def _print(parts: Iterator[RenderableType]) -> None:
    """Print paragraphs and tables."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, Text) and part.no_wrap)


def json_document(item: BaseModel) -> dict[str, Any]:
    """Return an item as `--json` prints it."""
    return item.model_dump(mode="json")


def family_tables(items: Iterable[FamilyMember], hint: str) -> Iterator[RenderableType]:
    """Yield the name of each family with a table of its items, then the hint. Items are sorted by family."""
    from rich.text import Text

    for family, members in groupby(items, lambda each: each.family):
        yield Text(family, style="bold")
        yield summary_table((each.name, each.summary) for each in members)
    yield Text(f"\n{hint}", style="dim")


def summary_table(rows: Iterable[tuple[str, str]]) -> Table:
    """Return a table of names and what they mean."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True, style="cyan", min_width=16)
    table.add_column()
    for name, summary in rows:
        table.add_row(name, Text(summary))
    return table


def parameter_table(parameters: Sequence[ParameterDescription]) -> Iterator[RenderableType]:
    """Yield a table of the parameters and an empty line, or nothing without parameters."""
    from rich.table import Table
    from rich.text import Text

    if not parameters:
        return
    table = Table(box=None, padding=(0, 2, 0, 2))
    for heading in ("parameter", "default", "meaning"):
        table.add_column(heading, no_wrap=heading != "meaning")
    for each in parameters:
        table.add_row(each.name, _default(each), Text(_meaning(each)))
    yield table
    yield Text()


def markdown_table(parameters: Sequence[ParameterDescription]) -> Iterator[str]:
    """Yield the lines of a table of the parameters, or nothing without parameters."""
    if parameters:
        yield "\n| parameter | default | meaning |\n| --- | --- | --- |"
    for each in parameters:
        yield f"| `{each.name}` | {_default(each)} | {_meaning(each).replace('|', chr(92) + '|')} |"


def markdown_contents(rows: Iterable[tuple[str, str]], heading: str) -> Iterator[str]:
    """Yield the lines of a table of what a page has: links to its sections, and what they are about."""
    yield f"\n| {heading} | |\n| --- | --- |"
    for name, summary in rows:
        yield f"| [{name}](#{name}) | {summary.replace('|', chr(92) + '|')} |"


def _default(parameter: ParameterDescription) -> str:
    from brokenreg.parameter_descriptions import default_of

    return "required" if parameter.required else default_of(parameter) or "-"


def _meaning(parameter: ParameterDescription) -> str:
    """Return the description with the valid words or numbers, unless it has them itself."""
    from brokenreg.parameter_descriptions import measure_of

    words = [word for word in parameter.choices if f"`{word}`" not in parameter.description]
    choices = f": {', '.join(f'`{word}`' for word in words)}" if words else ""
    measure = "" if re.search("[0-9]", parameter.description) else measure_of(parameter)
    return f"{parameter.description}{choices}{f' ({measure})' if measure else ''}"


def flowing(text: str) -> str:
    """Join the lines of each paragraph and list item, because the terminal wraps them itself."""
    return re.sub(r"(?<=\S)\n(?!\n|- ) *", " ", text)
