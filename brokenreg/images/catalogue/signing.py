"""Signatures with the example key of RFC 6979, section A.2.5. They prove nothing, because the key is public.

They are deterministic, because the digests of an image must not change.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

_EXAMPLE_KEY = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
_SIGNED_AT = "1970-01-01T00:00:00Z"
_GROUP, _GROUPED = 4, 30
_COORDINATE = 32
_INDENT = 3


def sign(data: bytes) -> bytes:
    """Return an ECDSA signature on the curve P-256 with SHA-256, as DER."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    key = ec.derive_private_key(_EXAMPLE_KEY, ec.SECP256R1())
    return key.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True))


def pretty_jws(document: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return a signed document as registries serve schema 1 (libtrust, "prettyjws"), and its payload.

    The payload is the same document before it was signed. The digest of a manifest covers only that.
    """
    payload = json.dumps(document, indent=_INDENT).encode()
    content = payload[:-2]  # without the line break and the closing bracket, which are the "tail"
    protected = _base64(
        json.dumps(
            {"formatLength": len(content), "formatTail": _base64(payload[-2:]), "time": _SIGNED_AT},
            separators=(",", ":"),
        ).encode()
    )
    block = {
        "header": {"jwk": _public_jwk(), "alg": "ES256"},
        "signature": _base64(_fixed(sign(f"{protected}.{_base64(payload)}".encode()))),
        "protected": protected,
    }
    margin = " " * _INDENT
    blocks = json.dumps([block], indent=_INDENT).replace("\n", f"\n{margin}")
    return content + f',\n{margin}"signatures": {blocks}\n}}'.encode(), payload


def _public_jwk() -> dict[str, str]:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = ec.derive_private_key(_EXAMPLE_KEY, ec.SECP256R1()).public_key()
    point = key.public_numbers()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    letters = base64.b32encode(hashlib.sha256(der).digest()[:_GROUPED]).decode()
    groups = [letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP)]
    x, y = (_base64(value.to_bytes(_COORDINATE)) for value in (point.x, point.y))
    return {"crv": "P-256", "kid": ":".join(groups), "kty": "EC", "x": x, "y": y}


def _fixed(der: bytes) -> bytes:
    """Return a signature as JWS has it: two numbers of 32 bytes."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    return b"".join(number.to_bytes(_COORDINATE) for number in decode_dss_signature(der))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
