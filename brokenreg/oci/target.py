"""What a request path means, parsed once: (namespace, path faults, repository, endpoint, reference).

Everything in a `Target` was checked against its grammar, so nothing after this needs to check again; what
failed the check is in `Target.error`, to be answered by the registry and seen in the log like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from urllib.parse import parse_qs, urlencode

from brokenreg.oci.digests import Digest, is_digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.names import check_tag, check_upload_id
from brokenreg.oci.resolution import PREPARED, RESERVED, Base
from brokenreg.oci.scopes import Scope, parse_scopes
from brokenreg.oci.upstreams import check_upstream, spellings

_NO_BASE = Base()
_CACHED = 1024
"""Targets that are kept: clients repeat the same few paths."""

_LONGEST_CACHED = 512
"""Maximum length of what such a target is parsed from, in characters."""

TOKEN_PATH = "/token"  # noqa: S105 - a path, not a password
"""Where the token service stands."""


class Endpoint(StrEnum):
    """What an exchange addresses; the vocabulary of matches and filters."""

    CONNECT = "connect"
    PING = "ping"
    TOKEN = "token"  # noqa: S105 - an endpoint, not a password
    MANIFEST = "manifest"
    CONFIG = "config"
    LAYER = "layer"
    UPLOAD = "upload"
    TAGS = "tags"
    REFERRERS = "referrers"
    CATALOG = "catalog"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed request path.

    `name` is the repository as the client spelled it; `Location`, `Link` and `name` keep it. What it means
    is in `namespace`, `faults` (outermost first), `upstream` and `repository`, as `Resolved` has them;
    `base` is what another name in the same request is resolved against. `reference` is a tag, a digest or an
    upload id. A blob is `LAYER` until `refine` is told better. `root` is what stood before `/v2/`, and
    `query` what a link must repeat to lead back here.
    """

    endpoint: Endpoint
    namespace: str = ""
    faults: tuple[str, ...] = ()
    repository: str = ""
    reference: str = ""
    name: str = ""
    upstream: str = ""
    base: Base = _NO_BASE
    root: str = ""
    query: str = ""
    error: OCIError | None = None

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name) of what was pushed."""
        return self.namespace, self.repository

    @property
    def remote(self) -> str:
        """The repository without its upstream: what it is called there."""
        return self.repository.removeprefix(f"{self.upstream}/") if self.upstream else self.repository

    @property
    def names(self) -> tuple[str, ...]:
        """All by which a glob may mean the repository, however it was asked for."""
        return spellings(self.upstream, self.remote) if self.upstream else (self.repository,)

    @property
    def digest(self) -> Digest:
        """The reference, where it is known to be a digest."""
        return Digest(self.reference)

    @property
    def is_reserved(self) -> bool:
        """Whether brokenreg itself provides the repository, so that nobody can push to it."""
        return (
            f"{self.repository}/".startswith(RESERVED)
            and not f"{self.repository}/".startswith(f"{PREPARED}/")
        )  # fmt: skip

    def heard_at(self, listener: str) -> Target:
        """The same request as a listener has it that stands for that registry."""
        if self.error is not None or listener == self.base.listener:
            return self
        base = replace(self.base, listener=listener)
        found = base.resolve(self.name) if self.name else None
        if found is None:
            return replace(self, base=base)
        return replace(self, upstream=found.upstream, repository=found.repository, base=base)

    def beside(self, name: str) -> Target:
        """Another repository that the same request names, read as its own. Raise `OCIError` 400."""
        other = _named(self.endpoint, name, self.base)
        if other.error is not None:
            raise other.error
        return other

    def refine(self, *, is_config: bool) -> Target:
        """Tell config from layer, once somebody has looked the digest up."""
        return replace(self, endpoint=Endpoint.CONFIG) if is_config else self


def parse_target(path: str, query: str = "", own: Collection[str] = (), base: Base = _NO_BASE) -> Target:
    """Parse the decoded path of a request. Never raises: a bad path gives a target with an `error`.

    Of the query, `ns` names an upstream (containerd), unless it is one of our `own` names; and a request for
    a token is about what its `scope` names. `base` is what the listener knows of names.
    """
    if path == TOKEN_PATH:
        return token_target(parse_scopes(parse_qs(query).get("scope", ())), base)
    asked = parse_qs(query).get("ns", [""])[0] if "ns=" in query else ""
    asked = "" if asked.lower() in own else asked
    is_long = len(path) + len(asked) > _LONGEST_CACHED
    return _parse(path, asked, base) if is_long else _parse_cached(path, asked, base)


def _parse(path: str, asked: str, base: Base) -> Target:
    """Parse a path; `asked` is the upstream that the query names, if it names one."""
    root, rest = _split_root(path, base)
    if not (asked or root):
        return _parse_path(path, base)
    try:
        base = replace(base, told=check_upstream(asked or root))
    except OCIError as error:
        target = _parse_path(rest, base)
        return target if target.error is not None else replace(target, error=error)
    told = urlencode({"ns": asked}, safe=":") if asked else ""
    return replace(_parse_path(rest, base), root=f"/{root}" if root else "", query=told)


_parse_cached = lru_cache(_CACHED)(_parse)


def _split_root(path: str, base: Base) -> tuple[str, str]:
    """The registry before `/v2/`, where newer dockers put it, and the path from there."""
    host, slash, rest = path.removeprefix("/").partition("/")
    if slash and base.is_upstream(host.lower()) and (rest == "v2" or rest.startswith("v2/")):
        return host, f"/{rest}"
    return "", path


def _parse_path(path: str, base: Base) -> Target:
    if path in ("/v2", "/v2/"):
        return Target(Endpoint.PING)
    if path == "/v2/_catalog":
        return Target(Endpoint.CATALOG)
    endpoint, name, reference = _split(path)
    if endpoint is Endpoint.OTHER:
        error = OCIError(404, ErrorCode.UNSUPPORTED, f"no such endpoint: {path[:200]!r}; see /v2/")
        return Target(Endpoint.OTHER, error=error)
    target = _named(endpoint, name, base, reference)
    if target.error is not None:
        return target
    try:
        _check_reference(endpoint, reference)
    except OCIError as error:
        return replace(target, error=error)
    return target


def token_target(scopes: Sequence[Scope], base: Base = _NO_BASE) -> Target:
    """What a request for a token with these scopes is about: the first repository that they name."""
    names = [scope.name for scope in scopes if scope.kind == "repository"]
    return _named(Endpoint.TOKEN, names[0], base) if names else Target(Endpoint.TOKEN, base=base)


def _named(endpoint: Endpoint, name: str, base: Base, reference: str = "") -> Target:
    try:
        found = base.resolve(name)
    except OCIError as error:
        return Target(endpoint, repository=name, reference=reference, name=name, base=base, error=error)
    return Target(
        endpoint,
        namespace=found.namespace,
        faults=found.faults,
        repository=found.repository,
        reference=reference,
        name=name,
        upstream=found.upstream,
        base=base,
    )


def _split(path: str) -> tuple[Endpoint, str, str]:
    """Endpoint, name and reference, found from the right: a name may contain `blobs` or `manifests`."""
    if not path.startswith("/v2/"):
        return Endpoint.OTHER, "", ""
    parts = path.removeprefix("/v2/").split("/")
    match parts:
        case [*name, "blobs", "uploads", upload_id] if name:
            return Endpoint.UPLOAD, "/".join(name), upload_id
        case [*name, "blobs", "uploads"] if name:
            return Endpoint.UPLOAD, "/".join(name), ""
        case [*name, "manifests", reference] if name:
            return Endpoint.MANIFEST, "/".join(name), reference
        case [*name, "blobs", digest] if name:
            return Endpoint.LAYER, "/".join(name), digest
        case [*name, "tags", "list"] if name:
            return Endpoint.TAGS, "/".join(name), ""
        case [*name, "referrers", digest] if name:
            return Endpoint.REFERRERS, "/".join(name), digest
    return Endpoint.OTHER, "", ""


def _check_reference(endpoint: Endpoint, reference: str) -> None:
    if endpoint is Endpoint.MANIFEST and not is_digest(reference):
        check_tag(reference)
    elif endpoint in (Endpoint.MANIFEST, Endpoint.LAYER, Endpoint.REFERRERS):
        Digest.parse(reference)
    elif endpoint is Endpoint.UPLOAD and reference:
        check_upload_id(reference)
