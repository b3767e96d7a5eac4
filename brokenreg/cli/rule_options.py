"""The arguments and options of a rule, which several commands have, and the rule that they describe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import click

from brokenreg.cli.commands import WHOLE_NUMBER
from brokenreg.wording import quoted

if TYPE_CHECKING:
    from brokenreg.client.request_documents import NewRule

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


def rule_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add FAULT, PARAMETERS and the options of a rule."""
    options: list[Callable[[Callable[..., None]], Callable[..., None]]] = [
        click.argument("fault"),
        click.argument("parameters", nargs=-1),
        click.option("--name", metavar="TEXT", help="Name the rule. The name also affects its random draws."),
        match_options,
        click.option("--skip", type=WHOLE_NUMBER, metavar="N", help="Skip the first N matches."),
        click.option("--times", type=WHOLE_NUMBER, metavar="N", help="Apply the fault at most N times."),
        click.option(
            "--probability",
            metavar="P",
            help="Apply the fault to this share of the matches: 0.5, or 50%.",
        ),
        click.option(
            "--per",
            metavar="WHAT",
            help="Count --skip and --times for each rule, repository, reference or client.",
        ),
        click.option(
            "--after-rule", metavar="NAME", help="Match only after the rule of this name was applied."
        ),
        click.option(
            "--optional",
            is_flag=True,
            help='Let "brokenreg check" accept that the rule is applied less often.',
        ),
        click.option("--disabled", is_flag=True, help="Add the rule, but do not evaluate it yet."),
        click.option(
            "--override",
            is_flag=True,
            help="Evaluate the rule after all others, by default for every endpoint.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def new_rule(options: Mapping[str, Any]) -> NewRule:
    """Return the rule. The server checks the values. Raise `click.UsageError`."""
    faults = _faults([options["fault"], *options["parameters"]])
    rule: dict[str, Any] = {"fault": faults if len(faults) > 1 else faults[0], "match": match_of(options)}
    given = ("name", "skip", "times", "probability", "per")
    rule |= {name: options[name] for name in given if options[name] is not None}
    rule |= {"after": options["after_rule"]} if options["after_rule"] is not None else {}
    rule |= {name: True for name in ("override", "optional") if options[name]}
    rule |= {"enabled": False} if options["disabled"] else {}
    return cast("NewRule", rule)


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
