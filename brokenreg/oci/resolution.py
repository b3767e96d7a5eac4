"""What a repository's name means: prefixes off, its upstream told apart, one spelling for all."""

from __future__ import annotations

from dataclasses import dataclass

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.names import check_name
from brokenreg.oci.upstreams import check_upstream, looks_like_host, name_at

RESERVED = "broken/"
"""First component of everything that brokenreg itself provides."""

PREPARED = "broken/prepared"
"""The one repository (and all below it) under `RESERVED` that takes pushes."""

IN = "broken/in/"
"""Before a namespace and the name of a repository in it."""

_WITH = "broken/with/"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A name, taken apart. `upstream` is the registry that was named, by whatever way; empty if none was.

    `repository` is the one name by which pushes, rules and the log know it: `docker.io/library/nginx`
    whoever asked for `nginx` there. Without an upstream it is a name of our own.
    """

    namespace: str
    faults: tuple[str, ...]
    upstream: str
    repository: str


@dataclass(frozen=True, slots=True)
class Base:
    """What a request says of its names besides the names; they are resolved against it.

    `aliases` are the names that `--upstream` gives, `told` is the registry that `?ns=` or `/{host}/v2/`
    names, `listener` the one that the listener stands for.
    """

    aliases: frozenset[str] = frozenset()
    told: str = ""
    listener: str = ""

    def is_upstream(self, component: str) -> bool:
        """Whether the first component of a name or of a path names a registry."""
        return component in self.aliases or looks_like_host(component)

    def resolve(self, name: str) -> Resolved:
        """Raise `OCIError` 400 NAME_INVALID for what is no name, or names no image."""
        namespace, faults, image = _strip(check_name(name))
        if f"{image}/".startswith(RESERVED):
            return Resolved(namespace, faults, "", image)
        upstream, there = self._split(image)
        repository = f"{upstream}/{name_at(upstream, there)}" if upstream else there
        return Resolved(namespace, faults, upstream, repository)

    def _split(self, image: str) -> tuple[str, str]:
        """The registry that is named, and the repository there: who is told need not repeat it."""
        first, slash, rest = image.partition("/")
        named = check_upstream(first) if slash and self.is_upstream(first) else ""
        if self.told:
            return self.told, rest if slash and self.told in (named, first) else image
        return (named, rest) if named else (self.listener, image)


def _strip(name: str) -> tuple[str, tuple[str, ...], str]:
    """Namespace, path faults (outermost first) and the image that they are about."""
    rest = name
    namespace = ""
    faults: list[str] = []
    if f"{rest}/".startswith(IN):
        namespace, _, rest = rest.removeprefix(IN).partition("/")
    while f"{rest}/".startswith(_WITH):
        fault, _, rest = rest.removeprefix(_WITH).partition("/")
        faults.append(fault)
    if f"{rest}/".startswith(IN):
        raise OCIError(
            400, ErrorCode.NAME_INVALID, f"{name!r}: a namespace comes first, {IN}<namespace>/<image>"
        )
    if not rest or rest == "broken":
        raise OCIError(
            400,
            ErrorCode.NAME_INVALID,
            f"{name!r} names no image; write {IN}<namespace>/<image> or {_WITH}<fault>_<key>-<value>/<image>",
        )
    return namespace, tuple(faults), rest
