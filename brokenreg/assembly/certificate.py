"""The certificate of a listener, and its TLS context."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from hypercorn.config import Config

from brokenreg.listening.handshake import ListenerContext


@dataclass(frozen=True, slots=True)
class Certificate:
    """Certificate chain and key, as PEM files."""

    chain: Path
    key: Path


def tls_context(certificate: Certificate) -> ListenerContext:
    """Return the TLS context of a listener with that certificate. Raise `OSError` or `ssl.SSLError`."""
    context = ListenerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # required by HTTP/2 (RFC 9113, section 9.2)
    context.options |= ssl.OP_NO_COMPRESSION
    context.set_ciphers(Config.ciphers)
    context.set_alpn_protocols(Config.alpn_protocols)
    context.load_cert_chain(certificate.chain, certificate.key, password=_no_passphrase)
    return context


def _no_passphrase() -> str:
    """Raise an error instead of OpenSSL's prompt for a passphrase, which would wait at the terminal."""
    raise OSError(
        "the key is encrypted, and brokenreg does not prompt for a passphrase; store the key decrypted"
    )
