"""Signed manifests in version 2, schema 1 of Docker's image manifests (distribution, manifest-v2-1).

The signature is a JSON Web Signature (RFC 7515, ES256) that is woven into the pretty-printed document, as in
Docker's libtrust. Its key is new for each run, so only the signed document is the same in two runs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

_TAIL = "\n}"
_COORDINATE = 32
"""Bytes of a coordinate, and of each half of a signature, on the curve P-256."""

_FINGERPRINT = 30


def schema1_payload(name: str, tag: str, layers: Sequence[str]) -> bytes:
    """Return the unsigned document of an image with these layers, the lowest first. It decides the digest."""
    identifiers: list[str] = []
    for layer in layers:
        parent = identifiers[-1] if identifiers else ""
        identifiers.append(hashlib.sha256(f"{parent} {layer}".encode()).hexdigest())
    history = []
    for place, identifier in enumerate(identifiers):
        image: dict[str, Any] = {"id": identifier, "created": "1970-01-01T00:00:00Z"}
        if place:
            image["parent"] = identifiers[place - 1]
        if place == len(identifiers) - 1:
            image |= {"architecture": "amd64", "os": "linux", "config": {}}
        history.append({"v1Compatibility": json.dumps(image, separators=(",", ":"))})
    document = {
        "schemaVersion": 1,
        "name": name,
        "tag": tag,
        "architecture": "amd64",
        "fsLayers": [{"blobSum": layer} for layer in reversed(layers)],
        "history": history[::-1],
    }
    return json.dumps(document, indent=3).encode()


def sign_schema1(payload: bytes) -> bytes:
    """Return the document with its signature. The length does not depend on the signature."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    length = len(payload) - len(_TAIL)
    protected = _encoded(
        json.dumps(
            {
                "formatLength": length,
                "formatTail": _encoded(_TAIL.encode()),
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            },
            separators=(",", ":"),
        ).encode()
    )
    signature = _key().sign(f"{protected}.{_encoded(payload)}".encode(), ec.ECDSA(hashes.SHA256()))
    halves = b"".join(half.to_bytes(_COORDINATE, "big") for half in decode_dss_signature(signature))
    entry = {
        "header": {"jwk": _public_key(), "alg": "ES256"},
        "signature": _encoded(halves),
        "protected": protected,
    }
    woven = json.dumps({"signatures": [entry]}, indent=3)
    return payload[:length] + b"," + woven.removeprefix("{").encode()


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


@cache
def _public_key() -> dict[str, str]:
    """Return the public key as a JSON Web Key; `kid` is its fingerprint as in libtrust."""
    from cryptography.hazmat.primitives import serialization

    public = _key().public_key()
    encoded = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    fingerprint = base64.b32encode(hashlib.sha256(encoded).digest()[:_FINGERPRINT]).decode()
    numbers = public.public_numbers()
    return {
        "crv": "P-256",
        "kid": ":".join(fingerprint[place : place + 4] for place in range(0, len(fingerprint), 4)),
        "kty": "EC",
        "x": _encoded(numbers.x.to_bytes(_COORDINATE, "big")),
        "y": _encoded(numbers.y.to_bytes(_COORDINATE, "big")),
    }


def _encoded(data: bytes) -> str:
    """Return base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
