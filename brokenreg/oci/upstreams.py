"""Names of other registries: `host[:port]`, or a name of our own that `--upstream` gives one."""

from __future__ import annotations

import re

from brokenreg.oci.errors import ErrorCode, OCIError

DOCKER_HUB = "docker.io"
"""What its users call it; it goes by other names in files and on the wire."""

_LIBRARY = "library/"
_DOCKER_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_LABEL = r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?"
_FORM = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{{0,4}})?", re.IGNORECASE)
_MAX = 255


def check_upstream(text: str) -> str:
    """The one spelling of an upstream's name: lower case, Docker Hub under its short name.

    Raise `OCIError` 400 NAME_INVALID unless `text` is host[:port], without user, path or scheme.
    """
    port = int(text.rpartition(":")[2]) if re.search(r":[0-9]{1,5}$", text) else 0
    if len(text) > _MAX or not _FORM.fullmatch(text) or port > 65535:
        raise OCIError(
            400,
            ErrorCode.NAME_INVALID,
            f"invalid upstream {text[:100]!r}: write host or host:port, for instance quay.io",
        )
    name = text.lower()
    return DOCKER_HUB if name in _DOCKER_HUB_HOSTS else name


def name_at(upstream: str, name: str) -> str:
    """What a repository is called there: on Docker Hub, names of one component belong to `library`."""
    return f"{_LIBRARY}{name}" if upstream == DOCKER_HUB and "/" not in name else name


def one_name(repository: str) -> str:
    """The name by which we know a repository, for one that people write: `docker.io/library/nginx`."""
    host, slash, name = repository.partition("/")
    if slash and host in _DOCKER_HUB_HOSTS:
        return f"{DOCKER_HUB}/{name_at(DOCKER_HUB, name)}"
    return repository


def spellings(upstream: str, name: str) -> tuple[str, ...]:
    """All that people write for a repository there: with the upstream and without, and shorter yet."""
    short = name.removeprefix(_LIBRARY)
    if upstream == DOCKER_HUB and name_at(upstream, short) == name:
        return f"{upstream}/{name}", name, f"{upstream}/{short}", short
    return f"{upstream}/{name}", name


def is_upstream(text: str) -> bool:
    """Whether `text` is the name of an upstream, in its one spelling."""
    try:
        return check_upstream(text) == text
    except OCIError:
        return False


def looks_like_host(component: str) -> bool:
    """Whether clients take the first component of a name for a host (containers' reference grammar)."""
    return "." in component or ":" in component or component == "localhost"
