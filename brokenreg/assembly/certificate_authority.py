"""A certificate authority for a few names, whose key is never stored."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Collection

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from brokenreg.http.authority import ip_address_of

LIFETIME = datetime.timedelta(days=365)
_SINCE = datetime.timedelta(hours=1)
"""How long ago new certificates start to be valid, because clocks differ."""

_NETWORK_OF_ONE = {4: 32, 6: 128}


class Authority:
    """Signs certificates only for `names` and their subdomains (RFC 5280, section 4.2.1.10)."""

    def __init__(self, common_name: str, names: Collection[str]) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name(common_name)
        now = datetime.datetime.now(datetime.UTC)
        self.certificate = (
            _builder(self._name, self._name, self._key.public_key())
            .not_valid_before(now - _SINCE)
            .not_valid_after(now + LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .add_extension(x509.NameConstraints([_constraint(name) for name in names], None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def issue(
        self,
        names: Collection[str],
        key: CertificatePublicKeyTypes,
        *,
        until: datetime.timedelta = LIFETIME,
    ) -> x509.Certificate:
        """Return a server certificate that is valid for `until` from now; if negative, it has expired."""
        now = datetime.datetime.now(datetime.UTC)
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            _builder(_common_name("brokenreg"), self._name, key)
            .not_valid_before(now + min(until - LIFETIME, -_SINCE))
            .not_valid_after(now + until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
            )
            .add_extension(authority_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def pem(*certificates: x509.Certificate) -> bytes:
    """Return a certificate chain in PEM form, with the leaf first."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def alternative_names(certificate: x509.Certificate) -> set[str]:
    """Return the hosts of a certificate; none if it lacks the extension (RFC 6125)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    kinds = (x509.DNSName, x509.IPAddress)
    return {str(name.value) for name in found if isinstance(name, kinds)}


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


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
    address = ip_address_of(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)


def _constraint(name: str) -> x509.GeneralName:
    """Return the name constraint for a host; an address gets a full mask."""
    address = ip_address_of(name)
    if address is None:
        return x509.DNSName(name.removeprefix("*."))
    return x509.IPAddress(ipaddress.ip_network(f"{name}/{_NETWORK_OF_ONE[address.version]}"))
