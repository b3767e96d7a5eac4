"""TLS handshakes: chooses the context of each connection, and records how its handshake ends."""

from __future__ import annotations

import re
import ssl

from brokenreg.listening.connection_events import (
    ClosedInTLSHandshake,
    TLSHandshakeCompleted,
    TLSHandshakeFailed,
)
from brokenreg.listening.inbound_connection import INBOUND

_ALERT = re.compile(r"(?:TLSV1|TLSV13|SSLV3)_ALERT_(?P<name>[A-Z_]+)", re.ASCII)


class _Handshake(ssl.SSLObject):
    """The TLS object of one connection. It records how the handshake ends."""

    outgoing: ssl.MemoryBIO
    """The bytes to send. asyncio sends them, except after the handshake has failed."""
    _is_begun = False

    def do_handshake(self) -> None:
        """Continue with the bytes that the client has sent. Raise `ssl.SSLError`, also if more are needed."""
        inbound = INBOUND.get()
        try:
            super().do_handshake()
        except ssl.SSLWantReadError:
            if self._is_begun:
                inbound.unfinished = ClosedInTLSHandshake()
            self._is_begun = True
            raise
        except ssl.SSLError as error:
            inbound.unfinished = None
            failure = _failure(error)
            inbound.is_cut = not failure.by_client
            inbound.add(failure)
            if alert := self.outgoing.read():
                inbound.send_last(alert)
            raise
        inbound.unfinished = None
        inbound.add(TLSHandshakeCompleted(self.version() or "TLS"))


def _failure(error: ssl.SSLError) -> TLSHandshakeFailed:
    """Return the event for a failed handshake: the reason, and whether the client sent it."""
    reason = error.reason or "UNKNOWN"
    if alert := _ALERT.fullmatch(reason):
        return TLSHandshakeFailed(alert["name"].lower(), by_client=True)
    return TLSHandshakeFailed(reason.replace("_", " ").lower(), by_client=False)


class ListenerContext(ssl.SSLContext):
    """The TLS context of a listener. The accept policy may have chosen another one for a connection."""

    sslobject_class = _Handshake

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Wrap as `ssl.SSLContext.wrap_bio` does, with the chosen context.

        The whole context is used, not only its certificate. Otherwise a session of the listener could be
        resumed, and no certificate would be sent.
        """
        chosen = INBOUND.get().context or self
        made = ssl.SSLContext.wrap_bio(chosen, incoming, outgoing, server_side, server_hostname, session)
        if isinstance(made, _Handshake):
            made.outgoing = outgoing
        return made
