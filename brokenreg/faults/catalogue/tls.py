"""TLS faults: flawed certificates, and handshakes that fail."""

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

    On a plain HTTP listener the fault has no effect. Three forms use a certificate with one flaw:

    - `expired`: the certificate has expired
    - `wrong-host`: the certificate is for another host
    - `untrusted`: the certificate is signed by an unknown CA

    A client that does not verify certificates is served as usual. Three other forms end or stall the
    handshake:

    - `handshake-fails`: the fatal alert handshake_failure
    - `old-protocol`: the fatal alert protocol_version, as from a server without TLS 1.2
    - `handshake-stalls`: no response to the ClientHello; after `dur` the connection is closed (FIN), or it
      stays open until the client disconnects

    The certificates of `expired` and `wrong-host` are signed by the CA of `--tls self-signed`. With `--cert`
    and `--key`, they are signed by a CA that brokenreg creates when first needed (`tls/given/ca.pem` in the
    data folder). A client that does not trust this CA reports that first.
    """

    name = "tls"
    clients = (
        "containerd tries its next host. skopeo connects twice. Go allows 10 s for a handshake "
        "(moby#50035). With verification turned off, skopeo accepts a flawed certificate, and tries plain "
        "HTTP if the handshake fails."
    )
    example = "form-expired"

    form: Literal[
        "expired", "wrong-host", "untrusted", "handshake-fails", "handshake-stalls", "old-protocol"
    ] = Field("expired", description="what is wrong")
    dur: Duration | None = Field(
        None, description="how long `handshake-stalls` lasts; by default until the client disconnects"
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
