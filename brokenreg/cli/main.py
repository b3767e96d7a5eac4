"""The command line. Commands, and the heavy libraries that they use, are imported when they are needed."""

from __future__ import annotations

import click

from brokenreg import __version__
from brokenreg.cli.commands import HelpfulGroup
from brokenreg.cli.config_file import CONFIG_OPTION
from brokenreg.cli.examples import EXAMPLES
from brokenreg.cli.late_commands import LateCommands
from brokenreg.cli.options import option

_MODULES = {
    **dict.fromkeys(("serve", "tui"), "serve"),
    "attach": "attach",
    **{name: name for name in ("run", "exam", "faults", "images", "profiles", "rules", "scenario", "check")},
    **dict.fromkeys(("status", "wait", "reset"), "server_state"),
    **{name: name for name in ("view", "log", "breakpoints", "migrate")},
    **dict.fromkeys(("hold", "resume", "step", "abort"), "hold"),
}
"""The module of each command."""


@click.group(
    cls=HelpfulGroup,
    commands=LateCommands(_MODULES),
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="brokenreg")
@option("--config", **CONFIG_OPTION)
def main() -> None:
    """A container-image registry that works until you break it, and then fails exactly as you specify."""
