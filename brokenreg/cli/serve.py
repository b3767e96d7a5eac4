"""`brokenreg serve` and `brokenreg tui`: runs a registry with a request log or with the panel."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from brokenreg.cli.commands import Word
from brokenreg.cli.config_file import CONFIG_OPTION, FILTERS, KEYS
from brokenreg.cli.examples import EXAMPLES
from brokenreg.cli.exit_status import COULD_NOT_RUN
from brokenreg.cli.options import ServerCommand, option
from brokenreg.quick_imports import quick_imports
from brokenreg.redaction import announces_secret
from brokenreg.tui.preferences import THEMES, Preferences

if TYPE_CHECKING:
    import asyncio

    from brokenreg.config.settings import Settings


@click.command(cls=ServerCommand, epilog=EXAMPLES)
@option(
    "--headless", is_flag=True, help="Print only JSON lines: the ready line, then one line for each exchange."
)
@click.option(
    "--ephemeral",
    is_flag=True,
    help="For a program that starts brokenreg: use a temporary data folder, print only the ready line, and "
    "stop when standard input ends.",
)
@click.option(
    "--config", **CONFIG_OPTION
)  # without its variable, which `main` reads, because flags have precedence
def serve(headless: bool, ephemeral: bool, **options: Any) -> None:
    """Serve the registry, and log every exchange. Ctrl+C stops it."""
    source = click.get_current_context().get_parameter_source("data")
    if ephemeral and source is ParameterSource.COMMANDLINE:
        raise click.UsageError("--data: omit it, because --ephemeral uses a temporary folder")
    settings = settings_from(options)
    with quick_imports():
        from brokenreg.assembly.run import serve as run
        from brokenreg.assembly.run import serve_ephemeral

    _run(serve_ephemeral(settings) if ephemeral else run(settings, headless=headless))


@click.command(cls=ServerCommand, epilog=EXAMPLES)
@option(
    "--theme",
    type=Word(THEMES),
    help="The colours of the panel. ansi: the 16 colours of the terminal.  [default: dark, or ansi if "
    "NO_COLOR is set]",
)
@click.option("--config", **CONFIG_OPTION)
@click.pass_context
def tui(context: click.Context, /, theme: str | None, **options: Any) -> None:
    """Serve the registry with the panel, in this terminal."""
    settings = settings_from(options)
    preferences = preferences_from(context, theme)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError('the panel needs a terminal: run "brokenreg serve" without one')
    with quick_imports():
        from brokenreg.assembly.process_tuning import loop_with_fair_selector
        from brokenreg.assembly.run import panel

    _run(panel(settings, preferences), loop_with_fair_selector)


def preferences_from(context: click.Context, theme: str | None) -> Preferences:
    """Return the preferences for a panel, with the keys and filters of the configuration.

    Raise `click.UsageError`.
    """
    from brokenreg.traffic.filters import FilterError
    from brokenreg.tui.keys import KeysError, keys_from
    from brokenreg.tui.traffic.filter_memory import named_filters

    try:
        keys = keys_from(context.meta.get(KEYS, {}))
        return Preferences(theme, keys, named_filters(context.meta.get(FILTERS, {})))
    except KeysError as error:
        raise click.UsageError(f"[{KEYS}] {error}") from None
    except FilterError as error:
        raise click.UsageError(f"[{FILTERS}] {error}") from None


def settings_from(options: Mapping[str, Any]) -> Settings:
    """Return the settings, with defaults for those that are not given. Raise `click.UsageError`.

    The defaults of the options are for `--help`. Some settings must be given together with others.
    """
    from pydantic import ValidationError

    from brokenreg.config.settings import Settings
    from brokenreg.validation import describe_error, error_location

    source = click.get_current_context().get_parameter_source
    given = {name: each for name, each in options.items() if source(name) is not ParameterSource.DEFAULT}
    try:
        return Settings.model_validate({name: each for name, each in given.items() if each not in (None, ())})
    except ValidationError as error:
        location = error_location(error)
        prefix = f"--{str(location[0]).replace('_', '-')}: " if location else ""
        is_secret = bool(location) and announces_secret(str(location[0]))
        problem = describe_error(error, Settings, is_secret=is_secret)
        raise click.UsageError(f"{prefix}{problem}") from None


def _run(
    work: Coroutine[Any, Any, int], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> None:
    """Run until the end, and exit. A problem that users can solve is one line on standard error."""
    import asyncio

    from brokenreg.assembly.occupied import ListenError
    from brokenreg.rules.scenario import ScenarioError, UnreadableScenarioError
    from brokenreg.storage.errors import StorageError

    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            status = runner.run(work)
        gc.freeze()  # the collections at the end of a process would visit all objects for nothing
        sys.exit(status)
    except UnreadableScenarioError as error:
        problem = f"--scenario {error}"
    except ScenarioError as error:
        raise click.UsageError(f"--scenario {error}") from None
    except (StorageError, ListenError) as error:
        problem = str(error)
    except OSError as error:
        problem = f"{error.filename or 'system'}: {error.strerror or error}"
    print(f"brokenreg: {problem}", file=sys.stderr)
    sys.exit(COULD_NOT_RUN)
