"""The values that a command line and an environment get, and the files that they name."""

from __future__ import annotations

import base64
import difflib
import json
import os
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

NAMES = (
    *("registry", "registry_url", "control_url", "image", "repository", "tag", "digest"),
    *("workdir", "username", "password", "auth_file", "ca_file", "layout", "archive"),
)
"""The placeholders, without braces."""

_CA_VARIABLES = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
"""The variables that name a file of CAs: for OpenSSL and Go, curl, Python's requests, and Node."""

_PLACEHOLDER = re.compile(rf"\{{({'|'.join(NAMES)})\}}")

_LIKE_PLACEHOLDER = re.compile(r"(?<!\{)\{([a-z_]{3,40})\}(?!\})")
_CLOSE = 0.75
"""How close a name must be, as `difflib` measures it: scripts have other names in braces."""


def misspelt(command: Sequence[str]) -> dict[str, str]:
    """Return names in braces that are almost a placeholder, each with that placeholder."""
    names = dict.fromkeys(name for each in command for name in _LIKE_PLACEHOLDER.findall(each))
    found = {name: difflib.get_close_matches(name, NAMES, 1, _CLOSE) for name in names if name not in NAMES}
    return {name: close[0] for name, close in found.items() if close}


@dataclass(frozen=True, slots=True)
class Values:
    """The values of the placeholders of one run."""

    registry: str
    registry_url: str
    control_url: str
    image: str
    repository: str
    tag: str
    digest: str
    workdir: str
    username: str
    password: str
    auth_file: str
    ca_file: str
    layout: str = ""
    archive: str = ""
    """Where an image to push is: an OCI layout, and an archive; both empty if none is needed."""

    def fill(self, command: Sequence[str]) -> list[str]:
        """Return the arguments with each placeholder replaced. Other text in braces stays."""
        return [_PLACEHOLDER.sub(lambda match: str(getattr(self, match[1])), each) for each in command]

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return an environment with the values, and with the paths that clients look for."""
        own = {f"BROKENREG_{each.name.upper()}": str(getattr(self, each.name)) for each in fields(self)}
        paths = {
            "DOCKER_CONFIG": str(Path(self.auth_file).parent),
            "REGISTRY_AUTH_FILE": self.auth_file,
            **dict.fromkeys(_CA_VARIABLES, self.ca_file),
        }
        # A CI often has a proxy for the internet, which cannot reach this registry.
        direct = {name: _listed(base.get(name, ""), self.registry) for name in ("NO_PROXY", "no_proxy")}
        return {**base, **own, "BROKENREG_URL": self.control_url, **paths, **direct}


def _listed(hosts: str, registry: str) -> str:
    """Return a list of hosts without a proxy, with that of the registry and that of the second origin."""
    host = registry.rpartition(":")[0].strip("[]") or registry
    return ",".join(filter(None, (hosts, host, "localhost")))


def uses(command: Sequence[str], name: str) -> bool:
    """Return whether a command has a placeholder."""
    return any(f"{{{name}}}" in each for each in command)


def write_auth_file(folder: Path, registry: str, username: str, password: str) -> Path:
    """Write the credentials in the form of Docker's config.json, and return its path."""
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    path = folder / "config.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"auths": {registry: {"auth": auth}}}))
    return path


def write_ca_file(folder: Path, authority: Path | None) -> Path:
    """Write the CAs that this machine trusts, and that of the registry, and return the path."""
    trusted = [ssl.get_default_verify_paths().cafile, *map(os.environ.get, _CA_VARIABLES)]
    files = dict.fromkeys(Path(each) for each in [*trusted, authority] if each)
    path = folder / "ca.pem"
    path.write_bytes(b"\n".join(each.read_bytes() for each in files if each.is_file()))
    return path
