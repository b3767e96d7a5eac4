"""`brokenreg profiles`: prints the profiles as text, as JSON, or as docs/reference/profiles.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from brokenreg.cli.catalogue_text import Views, catalogue_options, flowing, markdown_contents, summary_table
from brokenreg.cli.commands import HelpfulCommand

if TYPE_CHECKING:
    from rich.console import RenderableType

    from brokenreg.rules.profiles import Profile

_EPILOG = """
\b
Examples:
  brokenreg profiles                        list all profiles
  brokenreg profiles ghcr-hangs             show one: its facts, sources and rules
  brokenreg serve --scenario profile:ghcr-hangs
  brokenreg run --scenario profile:ghcr-hangs -- skopeo inspect --tls-verify=false docker://{image}
"""


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@catalogue_options
def profiles(name: str | None, form: str | None) -> None:
    """List all profiles (scenarios that show how real registries fail), or show one."""
    from brokenreg.rules.profiles import profile_document, profile_names, profile_of, unknown_profile

    if name is not None and name not in profile_names():
        raise click.UsageError(unknown_profile(name))
    found = [profile_of(each) for each in (profile_names() if name is None else [name])]
    Views(profile_document, _all, _one, _page).show(found, form, is_named=name is not None)


def _all(found: Sequence[Profile]) -> Iterator[RenderableType]:
    from rich.text import Text

    yield summary_table((each.name, each.summary) for each in found)
    yield Text('\nRun "brokenreg profiles NAME" to see the facts, sources and rules of one.', style="dim")


def _one(profile: Profile) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(profile.name, style="bold cyan")
    yield Text(f"{profile.summary}\n")
    yield Text(f"On the wire: {flowing(profile.facts)}")
    if profile.beyond_paths is not None:
        yield Text(f"Beyond image paths: {flowing(profile.beyond_paths)}")
    yield Text(f"Sources: {', '.join(profile.sources)}\n")
    yield Text.assemble(
        ("all requests  ", "dim"), f"brokenreg serve --scenario profile:{profile.name}", no_wrap=True
    )
    yield Text.assemble(
        ("one image     ", "dim"), f"docker pull 127.0.0.1:8080/{profile.image_path()}\n", no_wrap=True
    )
    yield Text(_rules(profile), no_wrap=True)


def _page(found: Sequence[Profile]) -> Iterator[str]:
    yield "# Profiles"
    yield ""
    yield "A profile is a scenario that shows how a real registry fails. To use it for all requests, run"
    yield "`brokenreg serve` or `brokenreg run` with `--scenario profile:NAME`. To use it for one image, pull"
    yield "`broken/as/NAME/IMAGE`."
    yield ""
    yield "In both cases, only the first rule that matches is applied to a request. In an image path, each"
    yield "client (its address and User-Agent) and each namespace has counters of its own. An image path"
    yield "applies only to requests that name the image. With `--scenario`, a profile can also apply to other"
    yield 'requests: "Beyond image paths" lists them.'
    yield ""
    yield '"On the wire" says what the real registry sends. Where that is not known, a sentence with "Here"'
    yield "says what the profile does. `brokenreg profiles --markdown` generates this page."
    yield from markdown_contents(((each.name, each.summary) for each in found), "profile")
    for each in found:
        yield f"\n## {each.name}\n"
        yield each.summary
        yield f"\nOn the wire: {flowing(each.facts)}"
        if each.beyond_paths is not None:
            yield f"\nBeyond image paths: {flowing(each.beyond_paths)}"
        yield f"\nSources: {', '.join(each.sources)}"
        yield f"\n```\ndocker pull 127.0.0.1:8080/{each.image_path()}\n```"
        yield f"\n```yaml\n{_rules(each)}\n```"


def _rules(profile: Profile) -> str:
    from brokenreg.rules.scenario_text import write_scenario

    return write_scenario(profile.scenario).rstrip()
