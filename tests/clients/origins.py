"""Real upstreams with images, and the options with which brokenreg proxies them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.layouts import Image, Index, write_layout
from tests.clients.private import Client
from tests.proxy import upstreams
from tests.proxy.upstreams import Upstream

KINDS: dict[str, Callable[[Path], AbstractContextManager[Upstream]]] = {
    "plain": upstreams.plain,
    "htpasswd": upstreams.htpasswd,
    "token": upstreams.token,
    "tls": lambda folder: upstreams.tls(folder, "quay.io"),
}


@dataclass
class Origin:
    """An upstream that brokenreg knows by `name`."""

    name: str
    upstream: Upstream
    folder: Path
    options: list[str] = field(default_factory=list)
    """For brokenreg."""
    environment: dict[str, str] = field(default_factory=dict)
    """For brokenreg: homes with the credentials of docker and podman."""

    def push(self, skopeo: Client, repository: str, top: Image | Index, tag: str = "v1") -> None:
        """Push all platforms with skopeo."""
        layout = write_layout(self.folder / "layouts" / repository, top)
        creds = [] if self.upstream.login is None else [f"--dest-creds={':'.join(self.upstream.login)}"]
        copy = ("copy", "--all", "--dest-tls-verify=false", *creds)
        skopeo(*copy, f"oci:{layout}:v1", f"docker://{self.upstream.host}/{repository}:{tag}")

    def blobs_asked(self) -> list[str]:
        """Return the paths of all GETs of blobs so far, in order."""
        asked = [each.target for each in self.upstream.requests() if each.method == "GET"]
        return sorted(target for target in asked if "/blobs/" in target)


@contextmanager
def origin(name: str, kind: str, folder: Path) -> Iterator[Origin]:
    """Run an upstream. Its credentials, if any, are where docker and podman store them."""
    with KINDS[kind](folder / "upstream") as upstream:
        found = Origin(name, upstream, folder, ["--upstream", f"{name}={upstream.url}"])
        if upstream.ca is not None:
            found.options += ["--upstream-ca", str(upstream.ca)]
        found.environment = homes(folder / "home")
        if kind == "htpasswd":
            _write_logins(Path(found.environment["DOCKER_CONFIG"]) / "config.json", {name: upstream.login})
        elif kind == "token":
            path = folder / "auth.json"
            _write_logins(path, {f"{name}/org": upstream.login, name: ("other", "wrong")})
            found.environment["REGISTRY_AUTH_FILE"] = str(path)
            assert upstream.tokens is not None
            realm = upstream.tokens.realm.removesuffix("/token")
            found.options += ["--upstream-realm", f"{name}={realm}"]
        yield found


def homes(folder: Path) -> dict[str, str]:
    """Return an environment with only the given credentials."""
    (folder / ".docker").mkdir(parents=True)
    return {
        "HOME": str(folder),
        "DOCKER_CONFIG": str(folder / ".docker"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "XDG_CONFIG_HOME": str(folder / ".config"),
    }


def _write_logins(path: Path, logins: Mapping[str, tuple[str, str] | None]) -> None:
    """Write credentials like `docker login` and `podman login`."""
    auths = {
        host: {"auth": base64.b64encode(":".join(login).encode()).decode()}
        for host, login in logins.items()
        if login is not None
    }
    path.write_text(json.dumps({"auths": auths}))
