"""`--tls self-signed`: a certificate authority for our names alone, whose key is thrown away.

Whoever trusts the CA trusts it for nothing else: it is constrained to the names (RFC 5280, 4.2.1.10), and
nobody can sign with it any more. Certificate and key are kept in the data folder and used again while they
are good, so that a client need not be told twice.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from brokenreg.server.listeners import Certificate

_LIFETIME = datetime.timedelta(days=365)
_RENEW_BEFORE = datetime.timedelta(days=30)
_NETWORK_OF_ONE = {4: 32, 6: 128}


def self_signed(folder: Path, hosts: Iterable[str]) -> tuple[Certificate, Path]:
    """A certificate for `hosts`, localhost and this machine's name, and the CA file to trust."""
    everywhere = {"0.0.0.0", "::"}  # noqa: S104 - no name that a client could ask for
    own = {"localhost", "127.0.0.1", "::1", socket.gethostname().lower()}
    names = sorted((own | set(hosts)) - everywhere)
    certificate = Certificate(folder / "server.pem", folder / "server.key")
    authority = folder / "ca.pem"
    if not _is_good(certificate.chain, names):
        folder.mkdir(mode=0o700, exist_ok=True)
        _make(certificate, authority, names)
    return certificate, authority


def _is_good(chain: Path, names: list[str]) -> bool:
    try:
        found = x509.load_pem_x509_certificate(chain.read_bytes())
    except (OSError, ValueError):
        return False
    alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = {str(name.value) for name in alternative}
    until = found.not_valid_after_utc - _RENEW_BEFORE
    return set(names) <= known and datetime.datetime.now(datetime.UTC) < until


def _make(certificate: Certificate, authority: Path, names: list[str]) -> None:
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "brokenreg, for this machine alone")])
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.NameConstraints([_constraint(name) for name in names], None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "brokenreg")])
    leaf = (
        _builder(name, ca_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(certificate.key, secret, 0o600)
    _write(authority, ca.public_bytes(pem), 0o644)
    _write(certificate.chain, leaf.public_bytes(pem) + ca.public_bytes(pem), 0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _constraint(name: str) -> x509.GeneralName:
    """A subtree of exactly that name; an address needs its mask."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return x509.DNSName(name)
    return x509.IPAddress(ipaddress.ip_network(f"{name}/{_NETWORK_OF_ONE[address.version]}"))


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and never readable for others in between."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    temporary.replace(path)
