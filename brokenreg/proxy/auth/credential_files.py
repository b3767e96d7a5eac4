"""Reads the credential files of podman (containers-auth.json(5)) and Docker (config.json)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brokenreg.oci.errors import OCIError
from brokenreg.oci.upstreams import check_upstream
from brokenreg.proxy.auth.tokens import Login

_MAX_SIZE = 1024 * 1024


class CredentialFileError(Exception):
    """A file cannot be used. The message does not quote its content."""


@dataclass(frozen=True)
class CredentialFile:
    """The content of one file. Keys are normalised: a host, or a host and the beginning of a path."""

    logins: Mapping[str, Login] = field(default_factory=dict)
    helpers: Mapping[str, str] = field(default_factory=dict)
    """The names of credential helpers by host."""
    store: str | None = None
    """The name of the helper for all other hosts, or None."""
    malformed: int = 0
    """Number of entries that cannot be read."""

    def login(self, upstream: str, repository: str) -> Login | None:
        """Return the login with the longest key that `upstream/repository` begins with, or None."""
        parts = [upstream, *repository.split("/")]
        keys = ("/".join(parts[:length]) for length in range(len(parts), 0, -1))
        return next((self.logins[key] for key in keys if key in self.logins), None)


def credential_paths(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Return the paths of credential files, in the order in which they are read."""
    found = []
    if chosen := environ.get("REGISTRY_AUTH_FILE"):
        found.append(Path(chosen))
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(runtime, "containers", "auth.json"))
    found.append(Path(environ.get("XDG_CONFIG_HOME") or home / ".config", "containers", "auth.json"))
    found.append(Path(environ.get("DOCKER_CONFIG") or home / ".docker", "config.json"))
    return found


def read_credentials(path: Path) -> CredentialFile:
    """Read a file. Raise `CredentialFileError`, or `OSError` if it cannot be read. Blocks."""
    with path.open("rb") as file:
        content = file.read(_MAX_SIZE + 1)
    if len(content) > _MAX_SIZE:
        raise CredentialFileError(f"has more than {_MAX_SIZE} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise CredentialFileError("is not JSON") from None
    if not isinstance(document, dict):
        raise CredentialFileError("is not a JSON object")
    entries = [(key, entry) for key, entry in _pairs(document, "auths") if entry]
    logins = {
        key: login for key, login in ((key, _login(entry)) for key, entry in entries) if login is not None
    }
    helpers = [(key, name) for key, name in _pairs(document, "credHelpers") if isinstance(name, str) and name]
    store = document.get("credsStore")
    return CredentialFile(
        dict(_normalised(logins)),
        dict(_normalised(dict(helpers))),
        store if isinstance(store, str) and store else None,
        malformed=len(entries) - len(logins),
    )


def normalise_key(key: str) -> str | None:
    """Return the normalised key, or None if it does not name a registry.

    A URL (`https://index.docker.io/v1/`) means its host. Other keys may contain the beginning of a path
    (`quay.io/org`).
    """
    scheme, is_url, rest = key.partition("://")
    if is_url and scheme.lower() not in ("http", "https"):
        return None
    host, _, path = (rest if is_url else key).partition("/")
    try:
        upstream = check_upstream(host)
    except OCIError:
        return None
    path = path.strip("/")
    return upstream if is_url or path in ("", "v1", "v2") else f"{upstream}/{path}"


def _normalised(entries: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield entries by normalised key. Entries whose key was already normalised come last, and so win."""
    named = [(normalise_key(key), key, value) for key, value in entries.items()]
    for name, _, value in sorted(named, key=lambda each: each[0] == each[1]):
        if name is not None:
            yield name, value


def _pairs(document: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    member = document.get(name) or {}
    if not isinstance(member, dict):
        raise CredentialFileError(f'has "{name}", which is not a JSON object')
    return list(member.items())


def _login(entry: Any) -> Login | None:
    """Return the login of an entry, or None if it cannot be read."""
    if not isinstance(entry, dict):
        return None
    identity, encoded = entry.get("identitytoken"), entry.get("auth")
    if isinstance(identity, str) and identity:
        return Login(identity=identity)
    if isinstance(encoded, str) and encoded:
        try:
            name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        return Login(name, password.rstrip("\0")) if colon else None
    user, word = entry.get("username"), entry.get("password")
    return Login(user, word) if isinstance(user, str) and user and isinstance(word, str) else None
