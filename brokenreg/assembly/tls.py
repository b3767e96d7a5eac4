"""The certificates of TLS listeners: the correct one, given or created, and flawed ones for faults.

`--tls self-signed` creates a certificate authority (CA) for the names of the listeners and discards its key.
So a client that trusts the CA trusts it for nothing else, and nobody can sign with it later. For that reason,
the flawed certificates (expired, or for another host) are signed at the same time; each has only that flaw.
All are kept in the data folder and reused while they are valid, so that clients need to trust only one CA.

For a given certificate, whose CA is foreign, the flawed ones are signed by a CA of our own
(`tls/given/ca.pem`) when they are first needed. Clients that do not trust this CA report that first.
"""

from __future__ import annotations

import datetime
import os
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from brokenreg.assembly.certificate import Certificate, tls_context
from brokenreg.assembly.certificate_authority import Authority, alternative_names, pem
from brokenreg.config.settings import Settings
from brokenreg.faults.registry_view import FLAWS, Flaw

_RENEW_BEFORE = datetime.timedelta(days=30)
_EXPIRED = datetime.timedelta(days=-1)

_LOCALHOST = "localhost"
_WRONG_HOST = "wrong-host.localhost"
"""A host that no client uses, and for which a CA that is limited to localhost may sign."""


class Identity:
    """A certificate, and TLS contexts with flawed ones, which are in `folder` with their CA."""

    def __init__(self, certificate: Certificate, folder: Path, *, is_given: bool) -> None:
        self.certificate = certificate
        self.authority = folder / "ca.pem"
        self._folder = folder
        self._is_given = is_given
        self._contexts: dict[Flaw, ssl.SSLContext] = {}

    def flawed(self, flaw: Flaw) -> ssl.SSLContext:
        """Return a TLS context whose certificate has that flaw. Raise `OSError` if it cannot be created."""
        if flaw not in self._contexts:
            if self._is_given:
                self._make_flawed()
            chain = _path(self._folder, flaw)
            self._contexts[flaw] = tls_context(Certificate(chain, self.certificate.key))
        return self._contexts[flaw]

    def _make_flawed(self) -> None:
        """Create the flawed certificates, unless they exist for this certificate."""
        given = x509.load_pem_x509_certificate(self.certificate.chain.read_bytes())
        names, key = alternative_names(given) or {_LOCALHOST}, given.public_key()
        if not _are_good(self._folder, names, key):
            _make_flawed(self._folder, names, key)


def identity_of(settings: Settings, folder: Path) -> Identity | None:
    """Return the identity of TLS listeners, or None for plain HTTP. New certificates are put in `folder`."""
    if settings.cert is not None and settings.key is not None:
        return given(folder, Certificate(settings.cert, settings.key))
    if settings.tls is None:
        return None
    control = [] if settings.control is None or settings.control_tls is None else [settings.control.host]
    return self_signed(folder, [*(each.host for each in settings.listen), *control, *settings.allow_host])


def control_identity(settings: Settings, folder: Path, registry: Identity | None) -> Identity | None:
    """Return the identity of the control API, which may be that of the registry; None for plain HTTP."""
    if settings.control is None or settings.control_tls is None:
        return None
    if settings.control_tls == "registry" or settings.tls is not None:
        return registry
    return self_signed(folder, [settings.control.host, *settings.allow_host])


def given(folder: Path, certificate: Certificate) -> Identity:
    """Return the identity for a given certificate."""
    return Identity(certificate, folder / "given", is_given=True)


def self_signed(folder: Path, hosts: Iterable[str]) -> Identity:
    """Create or reuse a certificate for `hosts`, localhost and this machine's name. Raise `OSError`."""
    everywhere = {"0.0.0.0", "::"}  # noqa: S104 - no name that a client connects to
    own = {_LOCALHOST, "127.0.0.1", "::1", socket.gethostname().lower()}
    names = (own | set(hosts)) - everywhere
    certificate = Certificate(folder / "server.pem", folder / "server.key")
    if not _is_good(folder, certificate.chain, names):
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _make_flawed(folder, names, key.public_key())
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        leaf = authority.issue(names, key.public_key())
        _write(certificate.key, secret, 0o600)
        _write(certificate.chain, pem(leaf, authority.certificate), 0o644)
    return Identity(certificate, folder, is_given=False)


def _is_good(folder: Path, chain: Path, names: set[str]) -> bool:
    try:
        found = x509.load_pem_x509_certificate(chain.read_bytes())
    except (OSError, ValueError):
        return False
    return names <= alternative_names(found) and _are_good(folder, names, found.public_key())


def _are_good(folder: Path, names: set[str], key: CertificatePublicKeyTypes) -> bool:
    """Return whether the flawed certificates fit these names and that key, and their CA is still valid."""
    try:
        authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        flawed = {flaw: x509.load_pem_x509_certificate(_path(folder, flaw).read_bytes()) for flaw in FLAWS}
    except (OSError, ValueError):
        return False
    now = datetime.datetime.now(datetime.UTC)
    return (
        authority.not_valid_before_utc <= now < authority.not_valid_after_utc - _RENEW_BEFORE
        and names <= alternative_names(flawed["expired"])
        and all(each.public_key() == key for each in flawed.values())
    )


def _make_flawed(folder: Path, names: set[str], key: CertificatePublicKeyTypes) -> Authority:
    """Create and write flawed certificates and their CA, whose key is not kept. Return the CA."""
    authority = Authority("brokenreg CA for this machine", names | {_LOCALHOST})
    unknown = Authority("brokenreg untrusted CA", names)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(folder / "ca.pem", pem(authority.certificate), 0o644)
    expired = authority.issue(names, key, until=_EXPIRED)
    wrong_host = authority.issue({_WRONG_HOST}, key)
    _write(_path(folder, "expired"), pem(expired, authority.certificate), 0o644)
    _write(_path(folder, "wrong-host"), pem(wrong_host, authority.certificate), 0o644)
    _write(_path(folder, "untrusted"), pem(unknown.issue(names, key)), 0o644)
    return authority


def _path(folder: Path, flaw: Flaw) -> Path:
    return folder / f"{flaw}.pem"


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file atomically, so that it is never read half-written."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    temporary.replace(path)
