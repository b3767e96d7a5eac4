"""`/v1/panel`: a WebSocket for each terminal that attaches. The panel itself is created elsewhere.

This is ASGI without Quart, whose queue for messages has no limit.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from typing import Any

from pydantic import ValidationError

from brokenreg.concurrency import background
from brokenreg.control.panel_connection import PanelConnection
from brokenreg.control.panel_messages import (
    MESSAGE,
    PROTOCOL,
    Alive,
    FileReply,
    Hello,
    Resize,
    Resume,
    Suspend,
)
from brokenreg.control.problems import APIError
from brokenreg.http.asgi import Message, Receive, Send
from brokenreg.listening.inbound_connection import INBOUND
from brokenreg.runtime.attaching import AttachedPanel, End, PanelFactory
from brokenreg.runtime.operations import Access
from brokenreg.validation import describe_error

logger = logging.getLogger(__name__)

PANEL_PATH = "/v1/panel"

MOST_PANELS = 16
_MOST_READ_ONLY = 12
"""Maximum number of panels that may only look. The other places are for users with full access."""

MOST_INPUT = 64 * 1024
"""Maximum size of a message, in bytes."""

_HELLO_WITHIN = 10.0
_SILENCE = 300.0
"""Seconds without a message after which a terminal is given up."""


class _DisconnectedError(Exception):
    """The terminal has disconnected."""


class PanelSocket:
    """Serves attached terminals, until `stopping` is set."""

    def __init__(self, factory: PanelFactory, stopping: asyncio.Event) -> None:
        self._factory = factory
        self._stopping = stopping
        self._open: Counter[Access] = Counter()
        self._panels: dict[str, AttachedPanel] = {}
        """The panels of terminals that may attach again, by what they call themselves."""

    def refusal_reason(self, access: Access) -> APIError | None:
        """Return why no other terminal with that access can attach now, or None."""
        if self._open.total() >= MOST_PANELS:
            return APIError(503, f"{MOST_PANELS} panels are attached, which is the maximum: quit one of them")
        if access is Access.READ and self._open[access] >= _MOST_READ_ONLY:
            return APIError(
                503,
                f"{_MOST_READ_ONLY} read-only panels are attached, which is the maximum: quit one "
                "of them, or attach with the token for full access",
            )
        return None

    async def __call__(
        self, access: Access, host: str, receive: Receive, send: Send, *, silence: float | None = _SILENCE
    ) -> None:
        """Serve one terminal until its panel ends, or until it has sent nothing for `silence` seconds.

        `host` is the one by which it reached the control API.
        """
        self._open[access] += 1
        try:
            await send({"type": "websocket.accept"})
            await self._serve(access, host, receive, PanelConnection(send), silence)
        except _DisconnectedError:
            return
        except TimeoutError:
            INBOUND.get().cut()  # it does not even read why the panel ended
        finally:
            self._open[access] -= 1

    async def _serve(
        self, access: Access, host: str, receive: Receive, connection: PanelConnection, silence: float | None
    ) -> None:
        try:
            async with asyncio.timeout(_HELLO_WITHIN):
                hello = _hello(await _next(receive))
        except TimeoutError:
            await connection.end(End.SILENT)
            return
        except ValueError as error:
            await connection.end(End.INVALID, str(error))
            return
        panel = await self._factory(access, hello.terminal(host), connection)
        if hello.client is not None:
            if hello.client in self._panels:
                self._panels[hello.client].end(End.REPLACED)
            self._panels[hello.client] = panel
        reader = _Reader(receive, connection, panel, silence)
        try:
            async with background(reader.run(), self._end_when_stopping(panel)):
                reason = await panel.run()
        finally:
            if hello.client is not None and self._panels.get(hello.client) is panel:
                del self._panels[hello.client]
        if not reader.is_disconnected:
            await connection.end(reason, reader.problem)

    async def _end_when_stopping(self, panel: AttachedPanel) -> None:
        await self._stopping.wait()
        panel.end(End.STOPPED)


class _Reader:
    """Passes the messages of a terminal to its panel, and ends the panel if there will be no more."""

    def __init__(
        self, receive: Receive, connection: PanelConnection, panel: AttachedPanel, silence: float | None
    ) -> None:
        self._receive = receive
        self._silence = silence
        self._connection = connection
        self._panel = panel
        self.is_disconnected = False
        self.problem = ""

    async def run(self) -> None:
        """Pass messages until the terminal disconnects, is silent, or sends what is not valid."""
        try:
            while True:
                async with asyncio.timeout(self._silence):
                    message = await _next(self._receive)
                await self._handle(message)
        except _DisconnectedError:
            self.is_disconnected = True
            self._panel.end(End.QUIT)
        except TimeoutError:
            self._panel.end(End.SILENT)
        except ValueError as error:
            self.problem = str(error)
            self._panel.end(End.INVALID)
        except Exception:
            logger.exception("the input of an attached terminal failed")
            self._panel.end(End.FAILED)

    async def _handle(self, message: Message) -> None:
        if message.get("bytes") is not None:
            await self._panel.feed(message["bytes"])
            return
        match _parsed(MESSAGE.validate_python, message["text"], "message"):
            case Resize(columns=columns, rows=rows):
                self._panel.resize(columns, rows)
            case Suspend():
                self._panel.suspend()
            case Resume(columns=columns, rows=rows):
                self._panel.resize(columns, rows)
                self._panel.resume()
            case FileReply() as reply:
                self._connection.replied(reply)
            case Alive():
                await self._connection.alive()


async def _next(receive: Receive) -> Message:
    """Return the next message. Raise `_DisconnectedError`, or `ValueError` if it is too long."""
    message = await receive()
    while message["type"] == "websocket.connect":
        message = await receive()
    if message["type"] != "websocket.receive":
        raise _DisconnectedError
    data = message.get("bytes")
    if len(data if data is not None else message["text"].encode("utf-8", "replace")) > MOST_INPUT:
        raise ValueError(f"the message is longer than {MOST_INPUT} bytes")
    return message


def _hello(message: Message) -> Hello:
    """Return the first message. Raise `ValueError`."""
    if message.get("text") is None:
        raise ValueError('the first message must be a "hello" in JSON')
    hello: Hello = _parsed(Hello.model_validate, message["text"], "hello")
    if hello.protocol != PROTOCOL:
        raise ValueError(f"invalid protocol {hello.protocol}: this server has version {PROTOCOL}")
    return hello


def _parsed(validate: Any, text: str, what: str) -> Any:
    """Return a message that is valid. Raise `ValueError`."""
    try:
        return validate(json.loads(text))
    except ValidationError as error:
        raise ValueError(f"invalid {what}: {describe_error(error, Hello)}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the {what} is not JSON: {error}") from None
