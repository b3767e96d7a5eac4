"""The command line. Heavy libraries are imported inside the commands that need them."""

from __future__ import annotations

import click

from brokenreg import __version__
from brokenreg.cli.breakpoints import breakpoints
from brokenreg.cli.check import check
from brokenreg.cli.commands import HelpfulGroup
from brokenreg.cli.config_file import CONFIG_OPTION
from brokenreg.cli.faults import faults
from brokenreg.cli.hold import abort, hold, resume, step
from brokenreg.cli.images import images
from brokenreg.cli.log import log
from brokenreg.cli.options import option
from brokenreg.cli.profiles import profiles
from brokenreg.cli.rules import rules
from brokenreg.cli.run import run
from brokenreg.cli.scenario import scenario
from brokenreg.cli.serve import EXAMPLES, serve, tui
from brokenreg.cli.server_state import reset, status, wait


@click.group(cls=HelpfulGroup, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="brokenreg")
@option("--config", **CONFIG_OPTION)
def main() -> None:
    """A container-image registry that works until you break it, and then fails exactly as you specify."""


_COMMANDS = (
    *(serve, tui, run, faults, images, profiles, rules, scenario, check),
    *(status, wait, reset, log, breakpoints, hold, resume, step, abort),
)
for _command in _COMMANDS:
    main.add_command(_command)
