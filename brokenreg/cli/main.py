"""The command line. Heavy libraries are imported inside the command that needs them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from brokenreg import __version__
from brokenreg.cli.check import check
from brokenreg.cli.faults import faults
from brokenreg.cli.hold import abort, hold, resume, step
from brokenreg.cli.rules import rules
from brokenreg.redaction import announces_secret
from brokenreg.tui.preferences import THEMES, Preferences

if TYPE_CHECKING:
    from brokenreg.config import Settings

_EXAMPLES = """
\b
Examples:
  brokenreg serve                           the registry on 127.0.0.1:8080, with a readable request log
  brokenreg serve --headless                for CI: JSON lines, the first when it accepts connections
  brokenreg tui                             the same registry under a live panel
  brokenreg faults                          what can be broken, and how to ask for it
  brokenreg serve --listen 0.0.0.0:5000 --tls self-signed --control off
\b
Then, from another terminal:
  docker pull 127.0.0.1:8080/broken/random:layers-3_size-1024
  docker pull 127.0.0.1:8080/broken/error:404
"""


def _option(name: str, *legacy: str, help: str, **settings: Any) -> Callable[..., Any]:  # noqa: A002
    """An option that BROKENREG_<NAME> sets as well, and after it the predecessor's variables."""
    variable = f"BROKENREG_{name.removeprefix('--').replace('-', '_').upper()}"
    return click.option(name, envvar=[variable, *legacy], show_envvar=True, help=help, **settings)


_KEYS = "keys"
"""The table of the configuration file that gives the panel's commands other keys."""

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)

_SERVER_OPTIONS = [
    _option("--listen", multiple=True, metavar="HOST:PORT[=UPSTREAM]",
            help="Where the registry listens; may be repeated; port 0 takes any free port. With =UPSTREAM, "
                 "names without a host come from there: 127.0.0.1:8082=docker.io is a mirror for docker.  "
                 "[default: 127.0.0.1:8080]"),
    _option("--second-origin", metavar="HOST:PORT",
            help="Where the second origin listens, to which redirects and foreign locations lead.  "
                 "[default: beside the registry, on any free port]"),
    _option("--control", metavar="HOST:PORT|off", default="127.0.0.1:8081", show_default=True,
            help="Where the control API listens."),
    _option("--control-token", metavar="TOKEN",
            help="What the control API wants as Bearer token; needed off loopback."),
    _option("--data", "BLOB_DIR", type=_FOLDER, metavar="DIR",
            help="The data folder.  [default: $HOME/broken-reg]"),
    _option("--scenario", multiple=True, type=_FILE, metavar="FILE",
            help="Rules to begin with, in YAML; may be repeated."),
    _option("--seed", type=int, metavar="N", default=0, show_default=True,
            help="Seed of all draws: the same seed strikes the same requests. A scenario may name another."),
    _option("--cert", "CERT_FILE", type=_FILE, metavar="FILE", help="TLS certificate chain, PEM."),
    _option("--key", "KEY_FILE", type=_FILE, metavar="FILE", help="TLS private key, PEM."),
    _option("--tls", type=click.Choice(["self-signed"]),
            help="Make a certificate, and tell where the CA to trust stands."),
    _option("--allow-host", multiple=True, metavar="NAME",
            help="A host name that the registry also goes by on loopback; may be repeated."),
    _option("--auth", type=click.Choice(["none", "basic", "token"]), default="none", show_default=True,
            help="What clients must show: nothing, HTTP Basic credentials, or a token of /token."),
    _option("--auth-user", multiple=True, metavar="NAME:PASSWORD",
            help="Who is let in; may be repeated (in the environment, with spaces between). Without any, "
                 "every name with any password is, and the token service gives anybody whatever they ask."),
    _option("--token-lifetime", metavar="DURATION",
            help="How long the registry takes a token.  [default: 5m]"),
    _option("--public-url", metavar="URL",
            help="Where clients find the registry, for absolute URLs such as the token service's; else they "
                 "are told the host that they asked."),
    _option("--upstream", multiple=True, metavar="NAME=URL",
            help="Where a registry stands that the proxy shall find elsewhere than its name says, or that "
                 "has no public name: quay.io=https://mirror.example, local=http://127.0.0.1:5000. May be "
                 "repeated."),
    _option("--default-upstream", metavar="NAME", default="quay.io", show_default=True,
            help="The registry that names without a host come from, if nothing was ever pushed to them."),
    _option("--allow-upstream", multiple=True, metavar="GLOB",
            help="Ask only registries whose names match; may be repeated.  [default: any]"),
    _option("--upstream-auth", type=click.Choice(["auto", "on", "off"]), default="auto", show_default=True,
            help="Whether to log in upstream with the credentials of docker and podman. auto: if only this "
                 "machine can reach the registry, or --auth-user says who may."),
    _option("--upstream-realm", multiple=True, metavar="NAME=URL",
            help="Send the credentials of the registry NAME to the token service at URL too, although it has "
                 "another host and port and another domain; may be repeated."),
    _option("--upstream-ca", multiple=True, type=_FILE, metavar="FILE",
            help="A CA to trust for upstreams, PEM, beside the system's; may be repeated."),
    _option("--upstream-proxy", metavar="URL|env",
            help="Reach upstreams through this web proxy: http://[NAME:PASSWORD@]HOST:PORT, or https://. "
                 "env: use HTTPS_PROXY, HTTP_PROXY and NO_PROXY. If other machines can reach --listen, it "
                 "needs --allow-upstream.  [default: connect directly]"),
    _option("--upstream-timeout", metavar="DURATION", default="60s", show_default=True,
            help="How long to wait for the head of an upstream's response, and for each part of its body; "
                 "connecting may take 10s."),
    _option("--tag-ttl", metavar="DURATION", default="60s", show_default=True,
            help="For how long a cached tag is served before its upstream is asked whether it still holds."),
    _option("--keep-gone", is_flag=True,
            help="Keep serving cached tags that their upstream has deleted."),
    _option("--offline", is_flag=True,
            help="Ask no other registry: what was not pushed here or cached is 404."),
    _option("--cache-max-size", metavar="SIZE", default="20GiB", show_default=True,
            help="Cached blobs beyond that are let go of, those first that were not used for longest."),
    _option("--max-data", metavar="SIZE",
            help="Most that blobs and uploads take; cached blobs give way to pushes.  [default: the disk]"),
    _option("--verify-interval", metavar="DURATION|off", default="off", show_default=True,
            help="How often to read all blobs and compare them with their digests, in the background. A "
                 "corrupt blob is reported and no longer served."),
    _option("--fabricate-limit", metavar="SIZE", default="128GiB", show_default=True,
            help="Largest fabricated image, layers x size."),
    _option("--ready-file", type=_FILE, metavar="FILE",
            help="Write the ready line to FILE, once connections are accepted."),
    _option("--log", type=_FILE, metavar="FILE", help="Append each exchange to FILE, as a line of JSON."),
    _option("--v2-catalog-delay", "V2_CATALOG_DELAY", metavar="DURATION", default="0s",
            help="How long _catalog takes, as Go writes durations: 1.5s, 2m."),
    _option("--v2-catalog-num-repos", "V2_CATALOG_NUM_REPOS", metavar="N", type=int, default=0,
            help="How many made-up repositories _catalog lists."),
]  # fmt: skip


def _server_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that `serve` and `tui` share."""
    # Without its variable, which is read before the command: it must not win over a flag there.
    for option in reversed([*_SERVER_OPTIONS, click.option("--config", **_CONFIG)]):
        command = option(command)
    return command


def _take_defaults(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """The options in that file become the defaults: of all commands, or of the one that is run."""
    if path is not None:
        tables = _read_config(path)
        context.meta[_KEYS] = tables.pop(_KEYS, {})
        context.default_map = tables if context.parent is None else tables.get(context.info_name or "", {})


_CONFIG: dict[str, Any] = {
    "type": _FILE,
    "metavar": "FILE",
    "is_eager": True,
    "expose_value": False,
    "callback": _take_defaults,
    "help": "TOML file of options: a table for each command, [serve] and [tui]; [keys] for the panel's.",
}


@click.group(epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="brokenreg")
@_option("--config", **_CONFIG)
def main() -> None:
    """A container-image registry that is correct until you break it, and then breaks exactly as told."""


@main.command(epilog=_EXAMPLES)
@_option("--headless", is_flag=True, help="Print JSON lines alone; the first is the ready line.")
@_server_options
def serve(headless: bool, **options: Any) -> None:
    """Serve the registry until SIGINT or SIGTERM."""
    settings = settings_from(options)
    from brokenreg.assembly.run import serve as run

    _run(run(settings, headless=headless))


@main.command(epilog=_EXAMPLES)
@_option(
    "--theme",
    type=click.Choice(THEMES),
    help="The panel's colours; ansi is the terminal's own 16.  [default: dark; ansi under NO_COLOR]",
)
@_server_options
@click.pass_context
def tui(context: click.Context, /, theme: str | None, **options: Any) -> None:
    """Serve the registry under a live panel."""
    from brokenreg.tui.bindings import KeysError, keys_from

    settings = settings_from(options)
    try:
        preferences = Preferences(theme, keys_from(context.meta.get(_KEYS, {})))
    except KeysError as error:
        raise click.UsageError(f"[{_KEYS}] {error}") from None
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("the panel needs a terminal; without one, run `brokenreg serve`")
    from brokenreg.assembly.process_tuning import loop_with_fair_selector
    from brokenreg.assembly.run import panel

    _run(panel(settings, preferences), loop_with_fair_selector)


for _command in (faults, rules, hold, resume, step, abort, check):
    main.add_command(_command)


def settings_from(options: Mapping[str, Any]) -> Settings:
    """Return the settings of a run. Raise `click.UsageError`, one clear line, for what cannot be."""
    from pydantic import ValidationError

    from brokenreg.config import Settings
    from brokenreg.validation import place_of, told

    values = dict(options)
    values["listen"] = values["listen"] or (_predecessor_address(),)
    values["data"] = values["data"] or Path.home() / "broken-reg"
    for name in ("control", "verify_interval"):
        values[name] = None if values[name] == "off" else values[name]
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        place = place_of(error)
        option = f"--{str(place[0]).replace('_', '-')}: " if place else ""
        is_secret = bool(place) and announces_secret(str(place[0]))
        said = told(error, Settings, is_secret=is_secret, is_complete=True)
        raise click.UsageError(f"{option}{said}") from None


def _predecessor_address() -> str:
    return f"{os.environ.get('BIND_HOST', '127.0.0.1')}:{os.environ.get('BIND_PORT', '8080')}"


def _read_config(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} is not TOML: {error}") from None
    return {
        name: table if name == _KEYS and isinstance(table, dict) else _options_of(name, table, path)
        for name, table in tables.items()
    }


def _options_of(name: str, table: Any, path: Path) -> dict[str, Any]:
    if name not in main.commands or not isinstance(table, dict):
        raise click.UsageError(
            f"{path}: {name!r} is no table of it; there are {', '.join([*main.commands, _KEYS])}"
        )
    options = [each for each in main.commands[name].params if isinstance(each, click.Option)]
    known = {str(each.name): each for each in options if each.name != "config"}
    values = {}
    for key, value in table.items():
        option = known.get(key.replace("-", "_"))
        if option is None:
            raise click.UsageError(f"{path}: [{name}] has no option {key!r}; see `brokenreg {name} --help`")
        values[str(option.name)] = [value] if option.multiple and isinstance(value, str) else value
        wanted = _wanted(option, values[str(option.name)])
        if wanted is not None:
            raise click.UsageError(f"{path}: [{name}] {key}: write {wanted}")
    return values


def _wanted(option: click.Option, value: Any) -> str | None:
    """What the option takes in TOML, if that value is of another type; None if it can take it."""
    if option.is_flag:
        return None if isinstance(value, bool) else "true or false"
    if option.multiple:
        is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
        return None if is_list else f"a list of {option.metavar}, or one, in quotes"
    if option.type is click.INT:
        return None if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
    if isinstance(value, str) or (option.type is click.STRING and type(value) in (int, float)):
        return None
    return f"one {option.metavar or 'word'}, in quotes"


def _run(
    main: Coroutine[Any, Any, int], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> None:
    """Run to the end. What can go wrong for a user is one line on standard error and exit status 1."""
    from brokenreg.assembly.listeners import ListenError
    from brokenreg.rules.scenario import ScenarioError
    from brokenreg.storage.errors import StorageError

    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            sys.exit(runner.run(main))
    except ScenarioError as error:
        raise click.UsageError(f"--scenario {error}") from None
    except (StorageError, ListenError) as error:
        problem = str(error)
    except OSError as error:
        problem = f"{error.filename or 'system'}: {error.strerror or error}"
    print(f"brokenreg: {problem}", file=sys.stderr)
    sys.exit(1)
