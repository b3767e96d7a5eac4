"""Suggests what to write instead of options, commands and arguments that do not exist.

It knows the words of other tools. It is imported only when there is an error.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

import click

_OPTIONS = {
    "--listen": "--port -p --host --hostname --bind -b --addr --address --interface --listen-address",
    "--url": "--port -p --host --hostname --server --address --addr --control --registry --api --remote",
    "--data": "--storage --storage-dir --data-dir --datadir --dir --root --blobs --path --volume -d",
    "--config": "--config-file -c --conf --settings",
    "--scenario": "--rules --rule --faults --fault --file -f --rules-file",
    "--cert": "--tls-cert --certificate --tls-certificate --ssl-cert --certfile --tlscert",
    "--key": "--tls-key --private-key --ssl-key --keyfile --tlskey",
    "--tls": "--https --ssl",
    "--upstream-proxy": "--proxy --http-proxy --https-proxy",
    "--upstream": "--mirror --remote --remote-url --registry --registry-mirror --proxy-remoteurl",
    "--auth-user": "--user --username --users --htpasswd -u --login",
    "--control-token": "--token --api-token",
    "--token": "--control-token --api-token --auth --password --bearer",
    "--control": "--control-port --admin --api --api-port --admin-port --control-api",
    "--log": "--log-file --logfile --access-log",
    "--headless": "--json --quiet -q --no-tui --batch --ci --detach --daemon",
    "--theme": "--color --colour --colors",
    "--repository": "--repo --image -r",
    "--reference": "--tag --ref --digest -t",
    "--client": "--user-agent --agent --ip",
    "--times": "--count --limit --max --repeat -n",
    "--skip": "--offset --first",
    "--probability": "--rate --chance --percent --percentage --share --prob",
    "--endpoint": "--path --type --target --kind",
    "--namespace": "--ns",
    "--at": "--after --offset",
    "--bytes": "--size --amount",
    "--filter": "--where --grep --query --match --expression --endpoint --repository",
    "--status": "--code --error",
    "--json": "--output -o --format",
    "--tag-ttl": "--ttl --cache-ttl",
    "--cache-max-size": "--cache-size --max-cache",
    "--version": "-V",
}
"""Options of other tools, by our option with the same meaning."""

_ADVICE = {
    "--insecure": "plain HTTP is the default, so leave it out",
    "--verbose": "every request is logged, so leave it out",
    "-v": "every request is logged, so leave it out",
    "--debug": "every request is logged, so leave it out",
    "--log-level": "every request is logged, so leave it out",
    "--follow": 'run "brokenreg log --follow"',
    "--yaml": 'run "brokenreg scenario show"',
}

_COMMANDS = {
    "serve": "start up server daemon registry listen",
    "tui": "ui panel top gui dashboard attach",
    "faults": "catalogue catalog",
    "log": "exchanges requests history tail traffic events",
    "hold": "pause",
    "breakpoints": "breakpoint break",
    "resume": "continue release unpause go",
    "abort": "kill cancel stop drop",
    "check": "verify test assert expect verdict exam",
    "list": "ls show get",
    "add": "create new set apply",
    "remove": "delete rm del unset",
    "clear": "flush reset purge",
}
"""Commands of other tools, by our command with the same meaning."""

_OTHER_WAYS = {
    "version": 'run "brokenreg --version"',
    "help": 'run "brokenreg --help"',
    "images": 'see "brokenreg faults NAME" for the image path of a fault',
    "migrate": "change only the host name of your images",
}
"""What to do instead of a command that does not exist and is not misspelled."""

_LEAST_SIMILAR = 0.7
_ADDRESS = re.compile(r"[A-Za-z0-9.\[\]:-]*:[0-9]+|[0-9]{2,5}")


def instead_of_option(context: click.Context, name: str, args: list[str]) -> str:
    """Return what to write instead of an option that the command does not have."""
    options = [each for param in context.command.get_params(context) for each in param.opts if each[0] == "-"]
    if (parameter := _fault_parameter(context, name, args)) is not None:
        return parameter
    found = _meant(_OPTIONS, name, options) or _similar(name, options)
    if found is not None:
        return f"did you mean {found}?"
    return _ADVICE.get(name) or f'run "{context.command_path} --help" for the list'


def instead_of_command(context: click.Context, name: str) -> str:
    """Return what to run instead of a command that the group does not have."""
    group = context.command
    names = list(group.commands) if isinstance(group, click.Group) else []
    found = _similar(name, names)
    if found is None and name in _OTHER_WAYS and _meant(_COMMANDS, name, names) is None:
        return _OTHER_WAYS[name]
    found = _meant(_COMMANDS, name, names) or found
    if found is None and (elsewhere := _group_of(context, name)) is not None:
        return f'did you mean "{elsewhere}"?'
    if found is None:
        return f'run "{context.command_path} --help" for the list'
    return f'did you mean "{context.command_path} {found}"?'


def instead_of_key(command: str, key: str, known: list[str]) -> str:
    """Return what to write instead of an unknown key in the table of a command in the `--config` file."""
    options = [f"--{each}" for each in known]
    found = _meant(_OPTIONS, f"--{key}", options) or _similar(f"--{key}", options)
    return f"did you mean {found[2:]}?" if found else f'run "brokenreg {command} --help" for the list'


def instead_of_argument(context: click.Context, text: str) -> str:
    """Return what to write instead of an argument that the command does not accept."""
    options = [each for param in context.command.get_params(context) for each in param.opts]
    address = next((each for each in ("--listen", "--url") if each in options), None)
    if address is not None and _ADDRESS.fullmatch(text):
        return f"did you mean {address} {text}?"
    if context.command.name == "clear" and context.parent is not None and text.isdecimal():
        return f'did you mean "{context.parent.command_path} remove {text}"?'
    return f'run "{context.command_path} --help" for its options'


def about_missing(context: click.Context, name: str) -> str:
    """Return how to find the value of a missing argument."""
    match name.lower():
        case "fault":
            return 'run "brokenreg faults" for the list'
        case "ids" | "[ids]...":
            return 'run "brokenreg rules list" for the IDs, or "brokenreg rules clear" to remove all rules'
    return f'run "{context.command_path} --help"'


def _meant(table: Mapping[str, str], name: str, known: Iterable[str]) -> str | None:
    """Return our name for a word of another tool, or None."""
    return next((each for each in known if name in table.get(each, "").split()), None)


def _similar(name: str, known: Iterable[str]) -> str | None:
    """Return the name that a misspelled one probably means, or None."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=_LEAST_SIMILAR)), None)


def _group_of(context: click.Context, name: str) -> str | None:
    """Return the command of that name in another group, as in `brokenreg list`, or None."""
    root = context.find_root().command
    for group in root.commands.values() if isinstance(root, click.Group) else ():
        names = list(group.commands) if isinstance(group, click.Group) else []
        found = name if name in names else _meant(_COMMANDS, name, names)
        if found is not None:
            return f"{context.find_root().command_path} {group.name} {found}"
    return None


def _fault_parameter(context: click.Context, name: str, args: list[str]) -> str | None:
    """Return how to write `--after 64KiB`, if it is a parameter of the fault that a rule is added for."""
    if context.command.name not in ("add", "replace"):
        return None
    from brokenreg.faults.catalogue import CATALOGUE

    parameter = name.lstrip("-").replace("-", "_")
    named = [CATALOGUE[each] for each in args if each in CATALOGUE]
    kinds = named or list(CATALOGUE.values())
    if not any(parameter in kind.model_fields for kind in kinds):
        return None
    place = next((place for place, each in enumerate(args) if each.partition("=")[0] == name), len(args))
    written = args[place].partition("=")[2] if place < len(args) else ""
    following = args[place + 1] if place + 1 < len(args) and not args[place + 1].startswith("-") else ""
    return f"write parameters as NAME=VALUE: {name.lstrip('-')}={written or following or 'VALUE'}"
