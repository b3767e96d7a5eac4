"""`brokenreg faults`: prints the catalogue as text, as JSON, or as docs/reference/faults.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import click

from brokenreg.cli.catalogue_text import (
    Views,
    catalogue_options,
    family_tables,
    flowing,
    json_document,
    markdown_table,
    parameter_table,
)
from brokenreg.cli.commands import HelpfulCommand

if TYPE_CHECKING:
    from rich.console import RenderableType

    from brokenreg.rules.fault_descriptions import FaultDescription

_EPILOG = """
\b
Examples:
  brokenreg faults             list all faults
  brokenreg faults truncate    show one fault: its parameters and uses
  brokenreg faults --json      print all faults and the JSON Schema
"""


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@catalogue_options
def faults(name: str | None, form: str | None) -> None:
    """List all faults, or show one: what it does, and its parameters."""
    from brokenreg.rules.fault_descriptions import descriptions

    found = descriptions() if name is None else [_named(name)]
    Views(json_document, _all, _one, _page).show(found, form, is_named=name is not None)


def _named(name: str) -> FaultDescription:
    from brokenreg.faults.catalogue import CATALOGUE
    from brokenreg.rules.fault_descriptions import describe
    from brokenreg.rules.rule import unknown_fault

    if name not in CATALOGUE:
        raise click.UsageError(unknown_fault(name))
    return describe(CATALOGUE[name])


def _all(found: Sequence[FaultDescription]) -> Iterator[RenderableType]:
    return family_tables(found, 'Run "brokenreg faults NAME" to see what a fault does, and its parameters.')


def _one(fault: FaultDescription) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(fault.name, style="bold cyan")
    yield Text(f"{flowing(fault.description)}\n")
    yield Text(_where(fault))
    yield Text(f"What clients do: {fault.clients}\n")
    yield from parameter_table(fault.parameters)
    for place, text in _places(fault):
        yield Text.assemble((f"{place:14}", "dim"), text.replace("\n", "\n" + " " * 14), no_wrap=True)


def _places(fault: FaultDescription) -> Iterator[tuple[str, str]]:
    """Yield each place where you can use the fault, and how to write it there."""
    examples = fault.examples
    if examples.image is not None:
        yield "image", f"docker pull 127.0.0.1:8080/{examples.image}"
    if examples.path is not None:
        yield "any image", _command(fault.endpoint, f"127.0.0.1:8080/{examples.path}")
    yield "command line", examples.command
    yield "control API", f"POST /v1/rules {json.dumps(examples.rule)}"
    yield "scenario", examples.scenario.rstrip()


def _command(endpoint: str, image: str) -> str:
    """Return a command that sends requests for the endpoint."""
    match endpoint:
        case "upload":
            return f"docker push {image}"
        case "tags":
            return f"skopeo list-tags --tls-verify=false docker://{image.rpartition(':')[0]}"
        case "referrers":
            return f"oras discover --plain-http {image}"
    return f"docker pull {image}"


def _where(fault: FaultDescription) -> str:
    methods = "" if fault.methods is None else f" ({', '.join(fault.methods)})"
    only = f", only over {fault.protocols[0]}" if len(fault.protocols) == 1 else ""
    pathless = "" if fault.examples.path is not None else " You cannot use it in an image path."
    return f"Default endpoint: {fault.endpoint}{methods}{only}.{pathless}"


def _page(found: Sequence[FaultDescription]) -> Iterator[str]:
    yield "# Faults"
    yield ""
    yield "Generated from the catalogue by `brokenreg faults --markdown`. You can use each fault in a"
    yield "scenario file, in the control API and on the command line, with the same name and parameters. If"
    yield "it applies to something that an image path can name, you can also use it in an image path."
    for family, members in groupby(found, lambda each: each.family):
        yield f"\n## {'TLS' if family == 'tls' else family.capitalize()}"
        for each in members:
            yield from _section(each)


def _section(fault: FaultDescription) -> Iterator[str]:
    yield f"\n### {fault.name}\n"
    yield fault.description
    yield f"\n{_where(fault)}"
    yield f"\nWhat clients do: {fault.clients}"
    yield from markdown_table(fault.parameters)
    yield "\n```"
    for place, text in _places(fault):
        if place != "scenario":
            yield f"{place + ':':14}{text}"
    yield "```"
