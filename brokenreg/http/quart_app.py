"""Creates and calls Quart applications without timers, and with one error for disconnected clients."""

from __future__ import annotations

import asyncio

from quart import Quart

from brokenreg.concurrency import first_of
from brokenreg.http.asgi import ClientDisconnectedError, Message, Receive, Scope, Send

_ASGI: Scope = {"asgi": {"version": "3.0", "spec_version": "2.3"}, "root_path": "", "state": {}}
"""Entries of the scope that ASGI requires and brokenreg does not use."""


def make_quart(name: str, max_body: int) -> Quart:
    """Return an application without routes that accepts bodies of `max_body` bytes."""
    app = Quart(name, static_folder=None)
    # Quart's timers would cut held and slow responses off.
    app.config.update(
        RESPONSE_TIMEOUT=None,
        BODY_TIMEOUT=None,
        MAX_CONTENT_LENGTH=max_body,
        PROVIDE_AUTOMATIC_OPTIONS=False,
        PROPAGATE_EXCEPTIONS=True,
    )
    return app


async def call_quart(app: Quart, scope: Scope, receive: Receive, send: Send) -> None:
    """Let Quart respond. Raise `ClientDisconnectedError` if the client disconnects.

    From Python 3.13 on, Quart waits after the response until `receive` returns a disconnect, as ASGI says.
    """
    has_ended = asyncio.Event()

    async def send_and_note_end(message: Message) -> None:
        await send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            has_ended.set()

    async def receive_until_end() -> Message:
        return await first_of(receive(), _disconnect_after(has_ended))

    try:
        await app({**_ASGI, **scope}, receive_until_end, send_and_note_end)  # type: ignore[arg-type]
    except ExceptionGroup as group:  # Quart uses a task group from Python 3.13 on
        _, others = group.split(ClientDisconnectedError)
        if others is not None:
            raise others from None
        raise ClientDisconnectedError from None


async def _disconnect_after(end: asyncio.Event) -> Message:
    await end.wait()
    return {"type": "http.disconnect"}
