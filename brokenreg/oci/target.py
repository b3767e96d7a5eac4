"""Parses the path of a request: namespace, path faults, repository, endpoint and reference.

Everything in a `Target` has been checked against its grammar, so no other code has to check it again. If a
check failed, `Target.error` has the error. The registry responds with it, and the log shows the request.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import parse_qs, urlencode

from brokenreg.oci.digests import Digest, is_digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.names import check_tag, check_upload_id
from brokenreg.oci.resolution import PREPARED, RESERVED, Base
from brokenreg.oci.scopes import Scope, parse_scopes
from brokenreg.oci.upstreams import check_upstream, spellings
from brokenreg.wording import quoted

_NO_BASE = Base()
TOKEN_PATH = "/token"  # noqa: S105 - a path, not a password
"""The path of the token service."""

ARTIFACTORY = "/artifactory/api/docker"
"""A path below which Artifactory has the same API again."""


class Endpoint(StrEnum):
    """The endpoints, with their names in rules and filters."""

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

    `name` is the repository as the client spelled it, and as responses spell it. Its parts are in
    `namespace`, `faults` (outermost first), `upstream` and `repository`, as in `Resolved`. Other names in the
    same request are resolved against `base`. `reference` is a tag, a digest or an upload ID. A blob is
    `LAYER` until `refine` finds that it is a configuration. `root` is the part of the path before `/v2/`, and
    `query` is the part of the query that a link to the same resource must repeat.
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
    key: tuple[str, str] = field(init=False, compare=False)
    """Namespace and name of the pushed repository."""
    is_reserved: bool = field(init=False, compare=False)
    """True if brokenreg itself provides the repository, so that it cannot be changed."""

    def __post_init__(self) -> None:
        path = f"{self.repository}/"
        is_reserved = path.startswith(RESERVED) and not path.startswith(f"{PREPARED}/")
        object.__setattr__(self, "is_reserved", is_reserved)
        object.__setattr__(self, "key", (self.namespace, self.repository))

    @property
    def remote(self) -> str:
        """Return the name of the repository at its upstream."""
        return self.repository.removeprefix(f"{self.upstream}/") if self.upstream else self.repository

    @property
    def names(self) -> tuple[str, ...]:
        """Return all spellings of the repository's name that a glob can match."""
        return spellings(self.upstream, self.remote) if self.upstream else (self.repository,)

    @property
    def digest(self) -> Digest:
        """Return the reference if it is a digest, or None."""
        return Digest(self.reference)

    def at_listener(self, upstream: str) -> Target:
        """Return the target of the same request at a listener that represents `upstream`."""
        if self.error is not None or upstream == self.base.listener:
            return self
        base = replace(self.base, listener=upstream)
        found = base.resolve(self.name) if self.name else None
        if found is None:
            return replace(self, base=base)
        return replace(self, upstream=found.upstream, repository=found.repository, base=base)

    def with_name(self, name: str) -> Target:
        """Return the target for another name in the same request. Raise `OCIError` 400."""
        other = _named(self.endpoint, name, self.base)
        if other.error is not None:
            raise other.error
        return other

    def refine(self, *, is_config: bool) -> Target:
        """Return the target of a blob that is known to be a configuration or a layer."""
        return replace(self, endpoint=Endpoint.CONFIG) if is_config else self


def parse_target(path: str, query: str = "", own: Collection[str] = (), base: Base = _NO_BASE) -> Target:
    """Return the target of a decoded path. An invalid path results in a target with an `error`.

    In the query, `ns` is an upstream (as containerd sends it), unless it is one of our `own` names; the
    `scope` of a token request contains its repository. Names are resolved against the `base` of the listener.
    """
    if path == TOKEN_PATH:
        return token_target(parse_scopes(parse_qs(query).get("scope", ())), base)
    upstream = parse_qs(query).get("ns", [""])[0] if "ns=" in query else ""
    upstream = "" if upstream.lower() in own else upstream
    return _parse(path, upstream, base)


def _parse(path: str, upstream: str, base: Base) -> Target:
    """Return the target of a path; `upstream` is the one in the query, or empty."""
    if path.startswith(f"{ARTIFACTORY}/v2/"):
        return replace(_parse(path.removeprefix(ARTIFACTORY), upstream, base), root=ARTIFACTORY)
    root, rest = _split_root(path, base)
    if not (upstream or root):
        return _parse_path(path, base)
    try:
        base = replace(base, named=check_upstream(upstream or root))
    except OCIError as error:
        target = _parse_path(rest, base)
        return target if target.error is not None else replace(target, error=error)
    query = urlencode({"ns": upstream}, safe=":") if upstream else ""
    return replace(_parse_path(rest, base), root=f"/{root}" if root else "", query=query)


def _split_root(path: str, base: Base) -> tuple[str, str]:
    """Return the registry before `/v2/`, where newer Docker versions put it, and the rest of the path."""
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
        error = OCIError(404, ErrorCode.UNSUPPORTED, _unknown_path(path))
        return Target(Endpoint.OTHER, error=error)
    target = _named(endpoint, name, base, reference)
    if target.error is not None:
        return target
    try:
        check_reference(endpoint, reference)
    except OCIError as error:
        return replace(target, error=error)
    return target


def _unknown_path(path: str) -> str:
    """Return what is probably meant by a path that is no endpoint's."""
    if path.startswith("/v1/"):
        return (
            f'no endpoint {quoted(path)}: the control API has another address, which "brokenreg serve" prints'
        )
    return f"no endpoint {quoted(path)}: use one such as /v2/<repository>/manifests/<tag>"


def token_target(scopes: Sequence[Scope], base: Base = _NO_BASE) -> Target:
    """Return the target of a token request with these scopes: the first repository in them."""
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
    """Return endpoint, name and reference. They are parsed from the right, as a name may contain `blobs`."""
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


def check_reference(endpoint: Endpoint, reference: str) -> None:
    """Raise `OCIError` if the reference of a request to `endpoint` is invalid."""
    if endpoint is Endpoint.MANIFEST and not is_digest(reference):
        check_tag(reference)
    elif endpoint in (Endpoint.MANIFEST, Endpoint.LAYER, Endpoint.REFERRERS):
        Digest.parse(reference)
    elif endpoint is Endpoint.UPLOAD and reference:
        check_upload_id(reference)
