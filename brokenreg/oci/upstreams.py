"""Names of upstream registries: `host[:port]`, or a name that `--upstream` defines."""

from __future__ import annotations

import re

from brokenreg.oci.errors import ErrorCode, OCIError

DOCKER_HUB = "docker.io"
"""The name of Docker Hub in image references. Files and connections use other names."""

_LIBRARY = "library/"
_DOCKER_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_LABEL = r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?"
_FORM = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{{0,4}})?", re.IGNORECASE)
_MAX = 255


def check_upstream(text: str) -> str:
    """Return the normalised name of an upstream: in lower case, and `docker.io` for Docker Hub.

    Raise `OCIError` 400 NAME_INVALID unless `text` is host[:port], without user, path or scheme.
    """
    port = int(text.rpartition(":")[2]) if re.search(r":[0-9]{1,5}$", text) else 0
    if len(text) > _MAX or not _FORM.fullmatch(text) or port > 65535:
        raise OCIError(
            400,
            ErrorCode.NAME_INVALID,
            f"invalid upstream {text[:100]!r}: write host or host:port, for example quay.io",
        )
    name = text.lower()
    return DOCKER_HUB if name in _DOCKER_HUB_HOSTS else name


def name_at(upstream: str, name: str) -> str:
    """Return a repository's name at an upstream: Docker Hub adds `library/` to a single component."""
    return f"{_LIBRARY}{name}" if upstream == DOCKER_HUB and "/" not in name else name


def one_name(repository: str) -> str:
    """Return the normalised name of a repository: `docker.io/library/nginx` for `docker.io/nginx`."""
    host, slash, name = repository.partition("/")
    if slash and host in _DOCKER_HUB_HOSTS:
        return f"{DOCKER_HUB}/{name_at(DOCKER_HUB, name)}"
    return repository


def spellings(upstream: str, name: str) -> tuple[str, ...]:
    """Return all spellings of a repository: with and without the upstream, and without `library/`."""
    short = name.removeprefix(_LIBRARY)
    if upstream == DOCKER_HUB and name_at(upstream, short) == name:
        return f"{upstream}/{name}", name, f"{upstream}/{short}", short
    return f"{upstream}/{name}", name


def is_upstream(text: str) -> bool:
    """Return whether `text` is the normalised name of an upstream."""
    try:
        return check_upstream(text) == text
    except OCIError:
        return False


def looks_like_host(component: str) -> bool:
    """Return whether clients interpret the first component of a name as a host (reference grammar)."""
    return "." in component or ":" in component or component == "localhost"
