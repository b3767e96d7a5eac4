"""A registry with `--tls self-signed`, and clients that verify it or not."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.connections import dial, rules_file
from tests.server import Brokenreg, brokenreg

EXPIRED, WRONG_NAME, WRONG_ADDRESS, NO_ISSUER, SELF_SIGNED_ROOT = 10, 62, 64, 20, 19
"""Codes of OpenSSL's verification: X509_V_ERR_CERT_HAS_EXPIRED, ..."""

SERVED = "served"


@contextmanager
def tls_registry(tmp_path: Path, rules: str, *arguments: str) -> Iterator[Brokenreg]:
    scenario = rules_file(tmp_path, rules)
    with brokenreg(
        tmp_path / "data", "--tls", "self-signed", "--scenario", str(scenario), *arguments
    ) as running:
        yield running


def trusting(running: Brokenreg) -> ssl.SSLContext:
    """A client that trusts the CA of `--tls self-signed`, and nothing else."""
    context = ssl.create_default_context(cafile=running.data / "tls" / "ca.pem")
    context.set_alpn_protocols(["http/1.1"])
    return context


def insecure() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def ping(running: Brokenreg, context: ssl.SSLContext, name: str = "127.0.0.1", **options: Any) -> str | int:
    """`SERVED` if a GET is answered; else the code of what verification found, or the name of the error."""
    try:
        with (
            dial(running) as connection,
            context.wrap_socket(connection, server_hostname=name, **options) as secured,
        ):
            secured.sendall(f"GET /v2/ HTTP/1.1\r\nHost: {running.host}\r\n\r\n".encode())
            assert secured.recv(100).startswith(b"HTTP/1.1 200")
            return SERVED
    except ssl.SSLCertVerificationError as error:
        return error.verify_code
    except ssl.SSLError as error:
        return str(error.reason)
