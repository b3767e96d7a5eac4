"""`brokenreg attach`: the panel of a running registry in this terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from brokenreg.cli.commands import HelpfulCommand, Word
from brokenreg.cli.config_file import CONFIG_OPTION, FILTERS, KEYS
from brokenreg.cli.control_options import CREDENTIALS, check_encoding, serves_at, token_of
from brokenreg.cli.exit_status import CouldNotRunError
from brokenreg.cli.options import option
from brokenreg.tui.preferences import THEMES

_EPILOG = """
\b
Examples:
  brokenreg attach                                  the registry on this machine
  brokenreg attach https://brokenreg.example:8081 --token-file token --ca ca.pem
"""


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.argument("url", envvar="BROKENREG_URL", default=serves_at)
@CREDENTIALS[0]
@CREDENTIALS[1]
@CREDENTIALS[2]
@option("--theme", type=Word(THEMES), help="The colours of the panel, as for tui.")
@click.option("--config", **CONFIG_OPTION)
@click.pass_context
def attach(
    context: click.Context,
    /,
    url: str,
    token: str | None,
    token_file: Path | None,
    ca: Path | None,
    theme: str | None,
) -> None:
    """Show the panel of a running registry in this terminal. Quitting does not stop the registry.

    URL is its control API: a URL, or HOST:PORT. The default is BROKENREG_URL, BROKENREG_CONTROL, or
    http://127.0.0.1:8081.
    """
    check_encoding([url, token])
    token = token_of(token, token_file)
    from brokenreg.client.address import checked_token, checked_url
    from brokenreg.client.errors import ControlError

    try:
        url, token = checked_url(url), token and checked_token(token)
        said = _attached(url, token, ca, _preferences(context, theme))
    except ControlError as error:
        from brokenreg.cli.control_errors import explained

        raise explained(error) from None
    if said:
        click.echo(f"brokenreg: {said}", err=True)


def _preferences(context: click.Context, theme: str | None) -> dict[str, Any]:
    """Return the theme, keys and filters to send, after validating them. Raise `click.UsageError`."""
    if not context.meta.get(KEYS) and not context.meta.get(FILTERS):
        return {"theme": theme}
    from brokenreg.cli.serve import preferences_from

    found = preferences_from(context, theme)
    return {"theme": theme, "keys": dict(found.keys), "filters": dict(found.filters)}


def _attached(url: str, token: str | None, ca: Path | None, preferences: dict[str, Any]) -> str:
    """Attach until the user quits. Return a last sentence."""
    import asyncio

    from brokenreg.attach.attach import AttachError, PlainTokenError, attach, check_token
    from brokenreg.attach.terminal import is_terminal

    try:
        check_token(url, token)
    except PlainTokenError:
        raise click.UsageError(
            f"{url} is not encrypted, and others could read the token: use an https URL (start the server "
            "with --control-tls), or forward its port and attach to http://127.0.0.1:PORT"
        ) from None
    if not is_terminal():
        raise click.UsageError('attach needs a terminal: use "brokenreg log --follow" without one')
    try:
        return asyncio.run(attach(url, token, ca, preferences))
    except AttachError as error:
        raise CouldNotRunError(str(error)) from None
    except OSError as error:
        raise CouldNotRunError(f"cannot use this terminal: {error.strerror or error}") from None
