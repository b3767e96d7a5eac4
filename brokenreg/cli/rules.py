"""`brokenreg rules add|list|remove|clear`: changes and lists the rules of a running registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import click

from brokenreg.cli.commands import WHOLE_NUMBER, HelpfulGroup
from brokenreg.cli.control_options import control_options
from brokenreg.wording import printable, quoted

if TYPE_CHECKING:
    from brokenreg.client import Client
    from brokenreg.client.request_documents import NewRule

_EPILOG = """
\b
Examples:
  brokenreg rules add truncate after=64KiB end=rst --endpoint layer --times 2
  brokenreg rules add error status=503 --repository 'library/*'
  brokenreg rules add latency dur=2s + throttle rate=64KiB
  brokenreg rules list
  brokenreg scenario show > scenario.yaml
  brokenreg rules remove 3
  brokenreg rules clear
"""

_MATCH = ("endpoint", "layer", "repository", "reference", "method", "client", "user", "attempt", "protocol")


def match_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options for what a rule matches."""
    for option in reversed(
        [
            click.option(
                "--endpoint",
                metavar="NAME",
                help="Match this endpoint: manifest, layer, config, blob, upload, tags, ..., or any.",
            ),
            click.option(
                "--layer", type=WHOLE_NUMBER, metavar="N", help="Match the Nth layer of a manifest."
            ),
            click.option("--repository", metavar="GLOB", help="Match the repository. * also matches /."),
            click.option("--reference", metavar="GLOB", help="Match the tag, digest or upload ID."),
            click.option("--method", metavar="GLOB", help="Match the method, such as GET, or GET|HEAD."),
            click.option("--client", metavar="GLOB", help="Match the User-Agent, or an address or network."),
            click.option("--user", metavar="GLOB", help="Match the user of Basic credentials or of a token."),
            click.option(
                "--header",
                multiple=True,
                metavar="NAME=GLOB",
                help="Match a request header. Can be repeated.",
            ),
            click.option(
                "--attempt",
                type=WHOLE_NUMBER,
                metavar="N",
                help="Match the Nth request for the same content.",
            ),
            click.option("--protocol", metavar="NAME", help="Match the protocol: http/1.1 or h2."),
        ]
    ):
        command = option(command)
    return command


def match_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `match` of a rule, with only the options that were given."""
    match = {name: options[name] for name in _MATCH if options[name] is not None}
    headers = dict(_pair(each, "--header", _header_example(each)) for each in options["header"])
    return {**match, "header": headers} if headers else match


def _header_example(text: str) -> str:
    name, colon, value = text.partition(": ")
    return f"'{name}={value}'" if colon and name else "user-agent='docker/*'"


@click.group(cls=HelpfulGroup, epilog=_EPILOG)
def rules() -> None:
    """Add, list and remove the rules of a running registry."""


@rules.command(epilog=_EPILOG)
@click.argument("fault")
@click.argument("parameters", nargs=-1)
@click.option("--name", metavar="TEXT", help="Name the rule. The name also affects its draws.")
@match_options
@click.option("--skip", type=WHOLE_NUMBER, metavar="N", help="Skip the first N matches.")
@click.option("--times", type=WHOLE_NUMBER, metavar="N", help="Apply the fault at most N times.")
@click.option("--probability", metavar="P", help="Apply the fault to this share of the matches: 0.5, or 50%.")
@click.option(
    "--per", metavar="WHAT", help="Count --skip and --times for each rule, repository, reference or client."
)
@click.option(
    "--override", is_flag=True, help="Evaluate the rule after all others, by default for every endpoint."
)
@control_options
def add(control: Client, fault: str, parameters: tuple[str, ...], **options: Any) -> None:
    """Add a rule that applies FAULT with PARAMETERS, written as NAME=VALUE.

    To combine several faults on one response, put + between them. "brokenreg faults" lists all
    faults, and "brokenreg faults NAME" shows the parameters of one.
    """
    faults = _faults([fault, *parameters])
    rule: dict[str, Any] = {"fault": faults if len(faults) > 1 else faults[0], "match": match_of(options)}
    given = ("name", "skip", "times", "probability", "per")
    rule |= {name: options[name] for name in given if options[name] is not None}
    if options["override"]:
        rule["override"] = True
    added = control.add_rule(cast("NewRule", rule))  # the server checks what the user wrote
    _warn_of_version(options["client"])
    click.echo(printable(f"rule {added['id']}: {_spelled(added)}"))


def _warn_of_version(client: str | None) -> None:
    """Print a warning for a name such as `skopeo`, which is not the whole User-Agent of that client."""
    from brokenreg.http.authority import ip_address_of

    if client and not set(client) & set("/*?[ ") and ip_address_of(client) is None:
        meant = f"{client}/*"
        click.echo(
            f"Warning: --client {printable(client)} is only for the User-Agent {quoted(client)}: "
            f"write {quoted(meant)} for any version",
            err=True,
        )


@rules.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all fields.")
@control_options
def list_rules(control: Client, as_json: bool) -> None:
    """List the rules in the order in which they are evaluated, with their counters."""
    found = control.rules()
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo('no rules; run "brokenreg rules add --help" for examples')
    else:
        _print_table(found)


@rules.command()
@control_options
def clear(control: Client) -> None:
    """Remove all rules."""
    control.clear_rules()


@rules.command()
@click.argument("ids", nargs=-1, type=WHOLE_NUMBER, required=True)
@control_options
def remove(control: Client, ids: tuple[int, ...]) -> None:
    """Remove the rules with these IDS."""
    for each in ids:
        control.remove_rule(each)


def _faults(words: Iterable[str]) -> list[dict[str, str]]:
    """Return the faults in the arguments. Raise `click.UsageError` for anything else."""
    found: list[dict[str, str]] = []
    for word in ("+", *words):
        if word == "+":
            found.append({})
        elif not found[-1]:
            found[-1]["type"] = word
        else:
            name, value = _pair(word, "parameter", _example(found[-1]["type"], word))
            found[-1][name.replace("-", "_")] = value
    if not all(found):
        raise click.UsageError(
            'a fault is missing beside "+": write for example latency dur=2s + truncate after=1MiB'
        )
    return found


def _example(fault: str, word: str) -> str:
    """Return a parameter of a fault: the one that a bare value, `503` or `after:64KiB`, is probably for."""
    from brokenreg.faults.catalogue import CATALOGUE
    from brokenreg.oci.params import spell, split_params

    kind = CATALOGUE.get(fault)
    if kind is None or not kind.model_fields:
        return "after=64KiB"
    name, colon, value = word.partition(":")
    if colon and name.replace("-", "_") in kind.model_fields:
        return f"{name}={value}"
    if word in kind.model_fields:
        return f"{word}=VALUE"
    given = kind.short_form(kind.example) or split_params(kind.example, list(kind.model_fields))
    first, usual = next(iter(given.items()), (next(iter(kind.model_fields)), "VALUE"))
    return f"{spell(first)}={word if word[:1].isdigit() else usual}"


def _pair(text: str, what: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"invalid {what} {quoted(text)}: write NAME=VALUE, such as {example}")
    return name, value


def _print_table(found: Iterable[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("id", "rule", "matched", "applied", "from"):
        table.add_column(heading, justify="right" if heading in ("id", "matched", "applied") else "left")
    for rule in found:
        row = (
            str(rule["id"]),
            _spelled(rule),
            str(rule["matched"]),
            str(rule["applied"]),
            str(rule["source"]),
        )
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(highlight=False).print(table)


def _spelled(rule: Mapping[str, Any]) -> str:
    """Return a rule as one line of text."""
    from brokenreg.client.rule_text import rule_words

    name = f"{rule['name']}: " if rule.get("name") else ""
    return f"{name}{rule_words(rule)}"
