"""Resolves repository names: removes prefixes, finds the upstream, and normalises the rest."""

from __future__ import annotations

from dataclasses import dataclass

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.names import check_name
from brokenreg.oci.upstreams import check_upstream, looks_like_host, name_at
from brokenreg.wording import quoted

RESERVED = "broken/"
"""The prefix of all repositories that brokenreg itself provides."""

PREPARED = "broken/prepared"
"""The only repository under `RESERVED` that accepts pushes, together with everything below it."""

IN = "broken/in/"
"""The prefix of a namespace, which is followed by a repository in it."""

_WITH = "broken/with/"
_AS = "broken/as/"

PREFIXES = (IN, _WITH, _AS)
"""What `_strip` removes, together with the component that follows."""

PROFILE = "@"
"""Before the name of a profile among the faults of a path. No component of a name contains it."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The parts of a name. `upstream` is the registry that the request names in some way, or empty.

    `repository` is the normalised name for pushes, rules and the log: `docker.io/library/nginx` for `nginx`
    at Docker Hub. Without an upstream, it contains no registry.
    """

    namespace: str
    faults: tuple[str, ...]
    upstream: str
    repository: str


@dataclass(frozen=True, slots=True)
class Base:
    """The context in which the names of a request are resolved.

    `aliases` are the names that `--upstream` defines, `named` is the registry in `?ns=` or `/{host}/v2/`, and
    `listener` is the registry that the listener serves.
    """

    aliases: frozenset[str] = frozenset()
    named: str = ""
    listener: str = ""

    def is_upstream(self, component: str) -> bool:
        """Return whether the first component of a name or path is a registry."""
        return component in self.aliases or looks_like_host(component)

    def resolve(self, name: str) -> Resolved:
        """Return the parts of a name. Raise `OCIError` 400 NAME_INVALID if it is invalid."""
        namespace, faults, image = _strip(check_name(name))
        if f"{image}/".startswith(RESERVED):
            return Resolved(namespace, faults, "", image)
        upstream, there = self._split(image)
        repository = f"{upstream}/{name_at(upstream, there)}" if upstream else there
        return Resolved(namespace, faults, upstream, repository)

    def _split(self, image: str) -> tuple[str, str]:
        """Return the registry and the repository in it. The name may repeat the registry of the request."""
        first, slash, rest = image.partition("/")
        upstream = check_upstream(first) if slash and self.is_upstream(first) else ""
        if self.named:
            return self.named, rest if slash and self.named in (upstream, first) else image
        return (upstream, rest) if upstream else (self.listener, image)


def _strip(name: str) -> tuple[str, tuple[str, ...], str]:
    """Return the namespace, the path faults and profiles (outermost first) and the image."""
    rest = name
    namespace = ""
    faults: list[str] = []
    if rest.startswith(IN):
        namespace, _, rest = rest.removeprefix(IN).partition("/")
    while rest.startswith((_WITH, _AS)):
        kind = _WITH if rest.startswith(_WITH) else _AS
        fault, _, rest = rest.removeprefix(kind).partition("/")
        faults.append(fault if kind is _WITH else f"{PROFILE}{fault}")
    if rest.startswith(IN):
        raise OCIError(
            400, ErrorCode.NAME_INVALID, f"invalid repository name {quoted(name)}: put {IN}<namespace>/ first"
        )
    if not rest or f"{rest}/" in (RESERVED, IN, _WITH, _AS):
        raise OCIError(
            400,
            ErrorCode.NAME_INVALID,
            f"{quoted(name)} names no image: "
            f"use {IN}<namespace>/<image>, {_WITH}<fault>_<key>-<value>/<image> or {_AS}<profile>/<image>",
        )
    return namespace, tuple(faults), rest
