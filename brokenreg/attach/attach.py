"""Attaches this terminal to a brokenreg, and attaches it again when the connection is lost."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import secrets
import signal
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from brokenreg.attach.session import Ended, Session
from brokenreg.attach.terminal import RawTerminal
from brokenreg.attach.web_socket import RefusedError, WebSocket
from brokenreg.client import AsyncClient
from brokenreg.concurrency import first_of
from brokenreg.http.dates import clock
from brokenreg.wording import printable

_PATH = "/v1/panel"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
"""Seconds between two attempts to attach again."""

_QUIT = (b"q", b"Q", b"\x03", b"\x1b[113;;113u", b"\x1b[99;5u")
"""Keys that end the wait for a lost connection: q and ctrl+c, in both encodings of keys."""

_GONE = ("silent",)
"""Reasons for which the server ends a panel that this terminal still wants."""


class PlainTokenError(Exception):
    """The token would be sent without encryption."""


class AttachError(Exception):
    """The panel cannot be shown; the message says why."""


def check_token(url: str, token: str | None) -> None:
    """Raise `PlainTokenError` if others could read the token on its way to the server."""
    parts = urlsplit(url)
    if token is not None and parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise PlainTokenError


async def attach(
    url: str, token: str | None, authority: Path | None, preferences: Mapping[str, Any] | None = None
) -> str:
    """Show the panel of the brokenreg at `url` until it is quit. Return a last sentence, or an empty text.

    `preferences` are the `theme`, `keys` and `filters` of the user.
    Raise `AttachError`, `ControlError`, or `OSError` if there is no terminal.
    """
    async with AsyncClient(url, token=token, authority=authority) as control:
        status = await control.status()  # explains most of what can be wrong
        attached = _Attached(control, token, authority, status["version"], preferences or {})
        with _until_signals() as stopped:
            return await first_of(attached.run(), stopped)


class _Attached:
    """The terminal during one call of `attach`."""

    def __init__(
        self,
        control: AsyncClient,
        token: str | None,
        authority: Path | None,
        version: str,
        preferences: Mapping[str, Any],
    ) -> None:
        self._control = control
        self._url = control.url
        self._version = version
        self._preferences = preferences
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        is_https = self._url.startswith("https:")
        self._tls = ssl.create_default_context(cafile=authority) if is_https else None
        if self._tls is not None:
            self._tls.set_alpn_protocols(["http/1.1"])
        self._client = secrets.token_hex(8)
        self._has_attached = False

    async def run(self) -> str:
        with contextlib.ExitStack() as stack:
            terminal: RawTerminal | None = None
            session: Session | None = None
            pause = _FIRST_PAUSE
            while True:
                try:
                    async with WebSocket.connected(self._url, _PATH, self._headers, self._tls) as socket:
                        terminal = terminal or stack.enter_context(RawTerminal.opened())
                        self._has_attached, pause = True, _FIRST_PAUSE
                        session = Session(terminal, socket, self._client, self._preferences)
                        ended = await session.run()
                except RefusedError as error:
                    problem = _problem(error, self._url, self._version)
                    if terminal is None or error.status != 503:
                        raise problem from None
                except (OSError, TimeoutError) as error:
                    if terminal is None:
                        raise AttachError(f"cannot attach to {self._url}: {_reason(error)}") from None
                else:
                    if ended.reason not in _GONE:
                        return _last_sentence(ended, self._url)
                assert session is not None  # noqa: S101 - otherwise, an error was raised
                if not await self._waited(terminal, session.last_message, pause):
                    return ""
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _waited(self, terminal: RawTerminal, last: float, pause: float) -> bool:
        """Say that the connection is lost since `last`, and wait. Return False if the user quits."""
        said = f" connection to {self._url} lost; trying again in {pause:g} s (q quits) "
        await _say(terminal, said, last)
        try:
            async with asyncio.timeout(pause):
                while data := await terminal.read():
                    if data in _QUIT:
                        return False
        except TimeoutError:
            await _say(terminal, f" connecting to {self._url} (q quits) ", last)
            return True
        return False


async def _say(terminal: RawTerminal, text: str, last: float) -> None:
    """Show a line at the bottom of the panel, and at its top that it still shows what was received `last`."""
    columns, rows = terminal.size
    top = f" NOT CONNECTED  this screen is from {clock(last)}"
    lines = ((1, top), (rows, text))
    shown = "".join(f"\x1b[{row};1H\x1b[0;7m{line[:columns]:{columns}}\x1b[0m" for row, line in lines)
    await terminal.write(f"\x1b[?2026l{shown}".encode())


def _problem(error: RefusedError, url: str, version: str) -> Exception:
    """Return the error for a WebSocket that was refused."""
    if error.media_type == "application/problem+json":
        try:
            detail = str(json.loads(error.body)["detail"])
        except (ValueError, KeyError, TypeError):
            detail = ""
        if detail and error.status != 404:
            return AttachError(printable(detail))
    return AttachError(
        printable(f"the brokenreg at {url} has version {version}, which has no panel to attach to: update it")
    )


def _last_sentence(ended: Ended, url: str) -> str:
    """Return what to print. Raise `AttachError` if the panel did not end as it should."""
    match ended.reason:
        case "quit":
            return ""
        case "stopped":
            return printable(f"the brokenreg at {url} has stopped")
    raise AttachError(printable(f"{url}: {ended.message}"))


def _reason(error: BaseException) -> str:
    return "timed out" if isinstance(error, TimeoutError) else str(getattr(error, "strerror", "") or error)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _end(stopped: asyncio.Future[str]) -> None:
    if not stopped.done():
        stopped.set_result("")


@contextlib.contextmanager
def _until_signals() -> Iterator[asyncio.Future[str]]:
    """Yield a future that is done when this process is to end."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[str] = loop.create_future()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, _end, stopped)
    try:
        yield stopped
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
