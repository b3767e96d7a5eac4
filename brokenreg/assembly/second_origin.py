"""The second origin's place: its listener, and the port at which redirects lead nowhere."""

from __future__ import annotations

import socket

from brokenreg.assembly.listeners import Certificate, Listener, ListenError
from brokenreg.config import Settings
from brokenreg.option_values import Address
from brokenreg.second_origin.origin import SecondOrigin


class SecondOriginListener(Listener):
    """Beside the registry's first listener unless told otherwise, with the same certificate."""

    def __init__(self, settings: Settings, certificate: Certificate | None, origin: SecondOrigin) -> None:
        """Bind, and tell `origin` where. Raise `ListenError`."""
        address = settings.second_origin or Address(host=settings.listen[0].host, port=0)
        super().__init__("second origin", address, certificate)
        self._dead = _dead_port(address)
        origin.scheme = self.url.partition(":")[0]
        origin.port = self.address.port
        origin.dead_port = self._dead.getsockname()[1]

    async def cut(self) -> None:
        self._dead.close()
        await super().cut()


def _dead_port(address: Address) -> socket.socket:
    """A port that refuses connections, and that nobody else gets.

    It is bound and does not listen; and as it may not be shared (no SO_REUSEADDR), no other process can bind
    it. Raise `ListenError`.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        reserved = socket.socket(family, kind, protocol)
        reserved.bind(where)
    except OSError as error:
        raise ListenError(f"cannot reserve a port at {address.host}: {error.strerror}") from None
    return reserved
