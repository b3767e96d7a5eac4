"""Constructors of the faults of the family tls. `make reference` writes this module."""

from __future__ import annotations

from typing import Literal

from brokenreg.client.faults.fault import ConnectFault, Fault, with_parameters


@with_parameters
def tls(
    *,
    form: Literal[
        "expired", "wrong-host", "untrusted", "handshake-fails", "handshake-stalls", "old-protocol"
    ] = "expired",
    dur: float | str | None = None,
) -> Fault:
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

    The default endpoint is `connect`.

    Parameters:

    - `form`: what is wrong
    - `dur`: how long `handshake-stalls` lasts; by default until the client disconnects
    """
    return ConnectFault(type="tls")
