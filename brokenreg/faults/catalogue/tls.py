"""Faults of TLS: a flawed certificate, or a handshake that fails."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from brokenreg.faults.catalogue.base import ConnectFault
from brokenreg.faults.catalogue.parameters import Duration
from brokenreg.faults.registry_view import RegistryView
from brokenreg.http.asgi import End
from brokenreg.listening.inbound_connection import AcceptDecision, Reject, UseCertificate
from brokenreg.traffic.exchange import Exchange

_HANDSHAKE_FAILURE = 40
_PROTOCOL_VERSION = 70


def _alert(description: int) -> bytes:
    """Return a record with a fatal alert, as sent before the key exchange (RFC 8446, sections 5.1 and 6)."""
    return bytes((21, 3, 3, 0, 2, 2, description))


class TLS(ConnectFault):
    """Breaks the TLS handshake of a connection.

    `form`: the certificate is `expired`, for another host (`wrong-host`), or signed by an unknown authority
    (`untrusted`), and otherwise correct; a client that does not verify it is served as usual. Or
    `handshake-fails` (fatal alert handshake_failure), `old-protocol` (fatal alert protocol_version, as from
    a server without TLS 1.2) and `handshake-stalls` (the hello is read and gets no response, for `dur` and
    then FIN, or until the client disconnects).

    `expired` and `wrong-host` are signed by the CA of `--tls self-signed`. Beside `--cert` and `--key` an
    authority of brokenreg signs them (`tls/given/ca.pem` in the data folder, made when first needed); a
    client that does not trust it reports that first. On a plain HTTP listener it has no effect.
    """

    name = "tls"
    clients = (
        "containerd tries its next host, skopeo dials twice; Go gives a handshake 10 s (moby#50035); "
        "skopeo told not to verify takes a bad certificate, and tries plain HTTP when the handshake fails"
    )
    example = "form-expired"

    form: Literal[
        "expired", "wrong-host", "untrusted", "handshake-fails", "handshake-stalls", "old-protocol"
    ] = Field("expired", description="what is wrong")
    dur: Duration | None = Field(
        None, description="how long `handshake-stalls` lasts; absent: until the client disconnects"
    )

    def inapplicable_reason(self, exchange: Exchange) -> str | None:
        if exchange.scheme != "https":
            return "plain HTTP has no handshake"
        return super().inapplicable_reason(exchange)

    def decision(self, registry_view: RegistryView) -> AcceptDecision:
        match self.form:
            case "expired" | "wrong-host" | "untrusted":
                return UseCertificate(registry_view.flawed(self.form))
            case "handshake-stalls":
                return Reject(End.FIN, silence=self.dur)
            case "handshake-fails":
                return Reject(End.FIN, reply=_alert(_HANDSHAKE_FAILURE))
        return Reject(End.FIN, reply=_alert(_PROTOCOL_VERSION))
