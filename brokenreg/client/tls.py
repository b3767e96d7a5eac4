"""TLS between a client and the control API: which certificates it trusts, and what went wrong."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from brokenreg.client.errors import AddressError

_PATIENCE = 2.0
"""Seconds to wait for the first message of a TLS handshake."""


def certificates(authority: Path | None) -> ssl.SSLContext | bool:
    """Return the TLS context that trusts that CA alone; True for those of the system.

    Raise `AddressError` if the file cannot be read.
    """
    if authority is None:
        return True
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise AddressError("ca", f"cannot read {authority}: {error.strerror or error}") from None


def no_certificates() -> ssl.SSLContext:
    """Return a TLS context that trusts nobody, for plain HTTP: to load certificates takes 30 ms."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """Return the error of the TLS handshake that caused an error, if any."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def requires_tls(url: str) -> bool:
    """Return whether the server at an http URL responds to a TLS handshake, within two seconds.

    Nothing is sent through the connection, so its certificate does not matter.
    """
    parts = urlsplit(url)
    context = no_certificates()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 80), _PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname),
        ):
            return True
    except (OSError, ValueError):  # a ValueError for a name that TLS cannot have
        return False
