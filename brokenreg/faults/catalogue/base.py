"""What a fault is, and what it is given when it strikes."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict

from brokenreg.oci.errors import OCIError
from brokenreg.oci.params import join_params
from brokenreg.oci.target import Endpoint
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

    async def respond_error(self, error: OCIError) -> None:
        """Answer in the registry's stead."""
        await respond_error(self._send, error)

    async def wait(self, seconds: float) -> None:
        """Let that time pass; the request's body, if it has one, is read meanwhile and forgotten.

        Raise `ClientLeftError` as soon as the client leaves.
        """
        gone = asyncio.ensure_future(self._scope["extensions"][STREAM].connection.gone.wait())
        # On HTTP/2 a client may leave one stream of a living connection: only `receive` tells. And behind a
        # body that nobody reads, nobody would see the client leave.
        left = asyncio.ensure_future(self._disconnected())
        try:
            done, _ = await asyncio.wait([gone, left], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if done:
                raise ClientLeftError
        finally:
            gone.cancel()
            left.cancel()

    async def _disconnected(self) -> None:
        message: Message = {}
        while message.get("type") != "http.disconnect":
            message = await self._receive()


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
