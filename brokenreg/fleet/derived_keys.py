"""Derives the keys with which a replica signs what clients bring back, perhaps to another replica."""

from __future__ import annotations

import hmac
import json
import secrets

_SALT = bytes(32)


class DerivedKeys:
    """Derives a key for each purpose from the key of the fleet, so that all replicas have the same keys.

    Without a fleet, the keys are different in each run. Source: HKDF with SHA-256, RFC 5869.
    """

    def __init__(self, fleet_key: str | None) -> None:
        secret = secrets.token_bytes(32) if fleet_key is None else fleet_key.encode()
        self._key = hmac.digest(_SALT, secret, "sha256")

    def key(self, *purpose: str) -> bytes:
        """Return a key of 32 bytes. Different purposes have independent keys."""
        return hmac.digest(self._key, json.dumps(purpose).encode() + b"\x01", "sha256")
