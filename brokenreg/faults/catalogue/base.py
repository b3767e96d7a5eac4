"""What a fault is, and what it is given when it strikes."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict

from brokenreg.oci.errors import OCIError
from brokenreg.oci.params import join_params
from brokenreg.oci.target import Endpoint
from brokenreg.registry.body import Body
from brokenreg.registry.responses import respond_error
from brokenreg.traffic.exchange import Exchange
from brokenreg.wire.asgi import ClientLeftError, Message, Receive, Scope, Send
from brokenreg.wire.seam import EXTENSION as STREAM


class Strike:
    """One exchange in the hands of a fault."""

    def __init__(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        self.exchange = exchange
        self._scope = scope
        self._receive = receive
        self._send = send
        self._has_body = scope["method"] not in ("GET", "HEAD", "DELETE")

    async def respond_error(self, error: OCIError) -> None:
        """Answer in the registry's stead."""
        if self._has_body:
            await Body(self._scope, self._receive).discard()
        await respond_error(self._send, error)

    async def wait(self, seconds: float) -> None:
        """Let that time pass. Raise `ClientLeftError` as soon as the client leaves."""
        left = asyncio.ensure_future(self._client_left())
        try:
            await asyncio.wait([left], timeout=seconds)
            if left.done():
                raise ClientLeftError
        finally:
            left.cancel()

    async def _client_left(self) -> None:
        """Return once nobody waits for the response.

        On HTTP/2 a client may leave one stream of a living connection: only `receive` tells. It is asked
        where the request has no body, for a body belongs to whoever reads it.
        """
        gone = asyncio.ensure_future(self._scope["extensions"][STREAM].connection.gone.wait())
        waiting = [gone]
        if not self._has_body:
            waiting.append(asyncio.ensure_future(self._disconnected()))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def _disconnected(self) -> bool:
        message: Message = {}
        while message.get("type") != "http.disconnect":
            message = await self._receive()
        return True


class Fault(BaseModel, ABC):
    """One kind of failure with its parameters.

    A subclass is one entry of the catalogue. Its docstring says what goes over the wire.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    endpoint: ClassVar[Endpoint]
    """Where it strikes unless a rule says otherwise."""

    tag_example: ClassVar[str]
    """A tag of `broken/<name>` that works."""

    @abstractmethod
    async def strike(self, strike: Strike) -> None:
        """Spoil one exchange."""

    @classmethod
    def from_text(cls, values: dict[str, str]) -> Self:
        """Make one of parameters as a path spells them. Raise `pydantic.ValidationError`."""
        return cls.model_validate(values)

    @classmethod
    def short_form(cls, tag: str) -> dict[str, str] | None:
        """Parameters of a tag in the predecessor's form; None if the tag is not in it."""
        del tag
        return None

    @classmethod
    def tag_problem(cls, tag: str, problem: str) -> str:
        """What a client is told of a tag that cannot be read."""
        return f"broken/{cls.name}:{tag}: {problem}; for instance broken/{cls.name}:{cls.tag_example}"

    def spelled(self) -> str:
        """The parameters that were given, in one canonical spelling (`key-value` joined by `_`)."""
        given = self.model_dump(mode="json", exclude_unset=True)
        return join_params({name: str(given[name]) for name in sorted(given)})
