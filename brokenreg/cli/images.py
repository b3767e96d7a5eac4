"""`brokenreg images`: prints the catalogue as text, as JSON, or as docs/reference/images.md."""

from __future__ import annotations

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
    markdown_contents,
    markdown_table,
    parameter_table,
)
from brokenreg.cli.commands import HelpfulCommand
from brokenreg.wording import all_near, quoted

if TYPE_CHECKING:
    from rich.console import RenderableType

    from brokenreg.images.kind_descriptions import ImageDescription

_EPILOG = """
\b
Examples:
  brokenreg images                     list all kinds
  brokenreg images index-nested        show one kind: what is odd about it, and its parameters
  brokenreg images --json              print all kinds and the JSON Schema of their parameters
"""


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@catalogue_options
def images(name: str | None, form: str | None) -> None:
    """List all kinds of odd images, or show one: what is odd about it, and how to pull it."""
    from brokenreg.images.kind_descriptions import image_descriptions

    found = image_descriptions() if name is None else [_named(name)]
    Views(json_document, _all, _one, _page).show(found, form, is_named=name is not None)


def _named(name: str) -> ImageDescription:
    from brokenreg.images.catalogue import CATALOGUE
    from brokenreg.images.kind_descriptions import describe_image

    if name not in CATALOGUE:
        hint = all_near(name, CATALOGUE, otherwise='run "brokenreg images" for the list')
        raise click.UsageError(f"no kind of image {quoted(name)}: {hint}")
    return describe_image(CATALOGUE[name])


def _all(found: Sequence[ImageDescription]) -> Iterator[RenderableType]:
    return family_tables(
        found, 'Run "brokenreg images NAME" to see what is odd about an image, and how to pull it.'
    )


def _one(kind: ImageDescription) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(kind.name, style="bold cyan")
    yield Text(f"{flowing(kind.description)}\n")
    yield Text(f"What clients do: {kind.clients}")
    yield Text(f"Sources: {kind.sources}\n")
    yield from parameter_table(kind.parameters)
    yield Text.assemble(("pull it   ", "dim"), f"docker pull 127.0.0.1:8080/{kind.example}", no_wrap=True)


def _page(found: Sequence[ImageDescription]) -> Iterator[str]:
    yield "# Odd images"
    yield ""
    yield "An odd image is invalid in one respect, or valid but rare. Pull it to see whether your client"
    yield "copes with it, or reports what is wrong. To test your client with all kinds of odd images,"
    yield "[run the exam](../how-to/exam.md)."
    yield ""
    yield "The tag of `broken/image` is the name of a kind with its parameters:"
    yield "`broken/image:index-nested_depth-10`. The digests of a tag never change. To get an image that"
    yield "your client has not pulled before, use another `seed`."
    yield ""
    yield '"What clients do" says what these clients did: skopeo 1.9.3, podman 4.3.1, buildah 1.28.2,'
    yield 'docker 20.10.24, ctr 1.6.20 and the Python package oras 0.2.43. "All" means all of these. If the'
    yield "text names no parameter, it is about the defaults. The texts after a colon are parts of error"
    yield "messages. `brokenreg images --markdown` generates this page."
    for family, members in groupby(found, lambda each: each.family):
        yield from markdown_contents(((each.name, each.summary) for each in members), family)
    for family, members in groupby(found, lambda each: each.family):
        yield f"\n## {family.capitalize()}"
        for each in members:
            yield from _section(each)


def _section(kind: ImageDescription) -> Iterator[str]:
    yield f"\n### {kind.name}\n"
    yield kind.description
    yield f"\nWhat clients do: {kind.clients}"
    yield f"\nSources: {kind.sources}"
    yield from markdown_table(kind.parameters)
    yield f"\n```\ndocker pull 127.0.0.1:8080/{kind.example}\n```"
