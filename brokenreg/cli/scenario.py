"""`brokenreg scenario`: what concerns scenario files."""

from __future__ import annotations

import json

import click

from brokenreg.cli.commands import HelpfulGroup

_EPILOG = """
\b
Examples:
  brokenreg scenario schema > scenario.schema.json

\b
Then make an editor with the YAML language server check a file by its first line:
  # yaml-language-server: $schema=scenario.schema.json
"""


@click.group(cls=HelpfulGroup, epilog=_EPILOG)
def scenario() -> None:
    """Help editors with scenario files."""


@scenario.command(epilog=_EPILOG)
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from brokenreg.rules.scenario_schema import scenario_schema

    click.echo(json.dumps(scenario_schema(), indent=2, ensure_ascii=False))
