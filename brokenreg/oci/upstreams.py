"""Names of other registries: `host[:port]`, or a name of our own that `--upstream` gives one."""

from __future__ import annotations

import re

from brokenreg.oci.errors import ErrorCode, OCIError

DOCKER_HUB = "docker.io"
"""What its users call it; it goes by other names in files and on the wire."""

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


def is_upstream(text: str) -> bool:
    """Whether `text` is the name of an upstream, in its one spelling."""
    try:
        return check_upstream(text) == text
    except OCIError:
        return False


def looks_like_host(component: str) -> bool:
    """Whether clients take the first component of a name for a host (containers' reference grammar)."""
    return "." in component or ":" in component or component == "localhost"
