"""`brokenreg scenario`: loads and shows scenarios, and prints the JSON Schema of their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from brokenreg.cli.commands import HelpfulGroup
from brokenreg.cli.control_options import control_options
from brokenreg.cli.exit_status import CouldNotRunError
from brokenreg.wording import counted

if TYPE_CHECKING:
    from brokenreg.client import Client
    from brokenreg.rules.scenario import Scenario

_EPILOG = """
\b
Examples:
  brokenreg scenario load scenario.yaml
  brokenreg scenario load profile:ghcr-hangs
  brokenreg scenario load - --namespace job-1 < scenario.yaml
  brokenreg scenario show > scenario.yaml
  brokenreg scenario schema > scenario.schema.json

\b
Editors with the YAML language server then check a file that begins with:
  # yaml-language-server: $schema=scenario.schema.json
"""


@click.group(cls=HelpfulGroup, epilog=_EPILOG)
def scenario() -> None:
    """Load and show the scenario of a running registry, and help editors with scenario files."""


@scenario.command(epilog=_EPILOG)
@click.argument("file")
@control_options
def load(control: Client, file: str) -> None:
    """Replace all rules and expectations with those in FILE, or - for standard input.

    FILE can also be profile:NAME. If the file is invalid, nothing changes.
    """
    from brokenreg.rules.scenario import ScenarioError

    try:
        loaded, text = _read(file)
    except ScenarioError as error:
        raise click.UsageError(str(error)) from None
    control.load_scenario(text)
    rules, expectations = counted(len(loaded.rules), "rule"), counted(len(loaded.expect), "expectation")
    click.echo(f"loaded {rules} and {expectations}")


@scenario.command(epilog=_EPILOG)
@control_options
def show(control: Client) -> None:
    """Print the rules and expectations as a scenario file."""
    click.echo(control.scenario(), nl=False)


@scenario.command(epilog=_EPILOG)
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from brokenreg.rules.scenario_schema import scenario_schema

    click.echo(json.dumps(scenario_schema(), indent=2, ensure_ascii=False))


def _read(file: str) -> tuple[Scenario, bytes | str]:
    """Return a scenario and its text. Raise `ScenarioError`, `CouldNotRunError`."""
    from brokenreg.rules.profiles import PREFIX
    from brokenreg.rules.scenario_text import decode_scenario, load_scenario, write_scenario
    from brokenreg.rules.yaml_text import MAX_TEXT

    if file.startswith(PREFIX):
        profile = load_scenario(Path(file)).scenario
        return profile, write_scenario(profile)
    content = _content(file, MAX_TEXT + 1)
    source, folder = ("standard input", None) if file == "-" else (file, Path(file).parent)
    read = decode_scenario(content, source, folder)
    # A running registry does not read files, so their content becomes a part of the scenario.
    return read.scenario, write_scenario(read.scenario) if read.has_files else content


def _content(file: str, size: int) -> bytes:
    """Return at most `size` bytes of a file. Raise `CouldNotRunError` if it cannot be read."""
    try:
        with click.open_file(file, "rb") as source:
            return bytes(source.read(size))
    except OSError as error:
        from brokenreg.rules.profiles import PREFIX, profile_names

        hint = f": did you mean {PREFIX}{file}?" if file in profile_names() else ""
        raise CouldNotRunError(f"{file}: {error.strerror or error}{hint}") from None
