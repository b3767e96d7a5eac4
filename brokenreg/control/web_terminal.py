"""A terminal in a browser: translates the messages of its script into those of `/v1/panel`."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from brokenreg.control.panel_messages import PROTOCOL
from brokenreg.http.asgi import Message, Receive, Send

_ENVIRONMENT = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
_FOCUS = {"focus": b"\x1b[I", "blur": b"\x1b[O"}
_LONGEST = 128 * 1024
"""Maximum length of a message of the script, in characters: input in JSON is longer than the input."""

_CLEARED = "\x1b[?1049l\x1b[H\x1b[2J\x1b[?25l"


class WebTerminal:
    """The `receive` and `send` of the WebSocket, as a terminal of `/v1/panel` would have them."""

    def __init__(self, query: bytes, receive: Receive, send: Send) -> None:
        self._size = parse_qs(query.decode("latin-1"))
        self._receive = receive
        self._send = send
        self._has_said_hello = False

    async def receive(self) -> Message:
        """Return the next message: `hello`, then what the script sends. Raise `ValueError`."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.connect" and not self._has_said_hello:
                self._has_said_hello = True
                columns, rows = (self._size.get(each, [""])[0] for each in ("width", "height"))
                return _text(
                    type="hello", protocol=PROTOCOL, columns=columns, rows=rows, environment=_ENVIRONMENT
                )
            if message["type"] != "websocket.receive":
                return message
            translated = await self._translated(message.get("text") or "")
            if translated is not None:
                return translated

    async def _translated(self, text: str) -> Message | None:
        if len(text) > _LONGEST:
            raise ValueError(f"the message is longer than {_LONGEST} characters")
        try:
            match json.loads(text):
                case ["stdin", str(data)]:
                    return _bytes(data.encode("utf-8", "replace"))
                case ["resize", {"width": columns, "height": rows}]:
                    return _text(type="resize", columns=columns, rows=rows)
                case ["focus" | "blur" as which]:
                    return _bytes(_FOCUS[which])
                case ["ping", data]:
                    await self._send_text(json.dumps(["pong", data]))
                    return None
        except RecursionError:
            pass
        raise ValueError("invalid message")

    async def send(self, message: Message) -> None:
        """Send output. What the panel says at its end is shown in place of the screen."""
        text = message.get("text")
        if message["type"] != "websocket.send" or text is None:
            await self._send(message)
            return
        said = json.loads(text)
        if said["type"] == "end":
            await self._send(_output(f"{_CLEARED}{said['message']}\r\n".encode()))

    async def _send_text(self, text: str) -> None:
        await self._send({"type": "websocket.send", "bytes": None, "text": text})


def _output(data: bytes) -> Message:
    return {"type": "websocket.send", "bytes": data, "text": None}


def _bytes(data: bytes) -> Message:
    return {"type": "websocket.receive", "bytes": data, "text": None}


def _text(**message: Any) -> Message:
    return {"type": "websocket.receive", "bytes": None, "text": json.dumps(message)}
