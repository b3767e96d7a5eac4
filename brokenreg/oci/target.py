"""What a request path means, parsed once: (namespace, path faults, repository, endpoint, reference).

Everything in a `Target` was checked against its grammar, so nothing after this needs to check again; what
failed the check is in `Target.error`, to be answered by the registry and seen in the log like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import parse_qs, urlencode

from brokenreg.oci.digests import Digest, is_digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.names import check_name, check_tag, check_upload_id
from brokenreg.oci.scopes import Scope, parse_scopes
from brokenreg.oci.upstreams import check_upstream, looks_like_host

TOKEN_PATH = "/token"  # noqa: S105 - a path, not a password
"""Where the token service stands."""

RESERVED = "broken/"
"""First component of everything that brokenreg itself provides."""

PREPARED = "broken/prepared"
"""The one repository (and all below it) under `RESERVED` that takes pushes."""

_IN = "broken/in/"
_WITH = "broken/with/"


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

    `prefix` is what was stripped from the name (`broken/in/a/`, `broken/with/error_status-503/`), `faults`
    the faults spelled in it, outermost first. `upstream` is the registry that `?ns=` or `/{host}/v2/` names;
    one that stands in the name itself stays in `repository`, for pushes may go there. `default` is the one
    that the listener stands for. `reference` is a tag, a
    digest or an upload id. A blob is `LAYER` until `refine` is told better. `root` is what stood before
    `/v2/`, and `query` what a link must repeat to lead back here.
    """

    endpoint: Endpoint
    namespace: str = ""
    faults: tuple[str, ...] = ()
    repository: str = ""
    reference: str = ""
    prefix: str = ""
    upstream: str = ""
    default: str | None = None
    root: str = ""
    query: str = ""
    error: OCIError | None = None

    @property
    def name(self) -> str:
        """The repository as the client spelled it; `Location`, `Link` and `name` keep it."""
        return self.prefix + self.repository

    @property
    def local_name(self) -> str:
        """Under what a push is stored: with the upstream that the client named elsewhere."""
        return f"{self.upstream}/{self.repository}" if self.upstream else self.repository

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name) of what was pushed."""
        return self.namespace, self.local_name

    @property
    def names(self) -> tuple[str, ...]:
        """All by which a glob may mean the repository: as asked for, with its host, and without."""
        host, slash, rest = self.repository.partition("/")
        if self.upstream:
            return self.repository, self.local_name
        if slash and looks_like_host(host):
            return self.repository, rest
        return (self.repository,)

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

    def refine(self, *, is_config: bool) -> Target:
        """Tell config from layer, once somebody has looked the digest up."""
        return replace(self, endpoint=Endpoint.CONFIG) if is_config else self


def parse_target(path: str, query: str = "", own: Collection[str] = ()) -> Target:
    """Parse the decoded path of a request. Never raises: a bad path gives a target with an `error`.

    Of the query, `ns` names an upstream (containerd), unless it is one of our `own` names; and a request for
    a token is about what its `scope` names.
    """
    if path == TOKEN_PATH:
        return token_target(parse_scopes(parse_qs(query).get("scope", ())))
    asked = parse_qs(query).get("ns", [""])[0] if "ns=" in query else ""
    asked = "" if asked.lower() in own else asked
    root, rest = _split_root(path)
    target = _parse(rest if root else path)
    is_ours = f"{target.repository}/".startswith(RESERVED)
    if not (asked or root) or target.error is not None or is_ours:
        return target
    told = urlencode({"ns": asked}, safe=":") if asked else ""
    return _of_upstream(replace(target, root=f"/{root}" if root else "", query=told), asked or root)


def _split_root(path: str) -> tuple[str, str]:
    """The host before `/v2/`, where newer dockers put it, and the path from there."""
    host, slash, rest = path.removeprefix("/").partition("/")
    if slash and host != "v2" and looks_like_host(host) and (rest == "v2" or rest.startswith("v2/")):
        return host, f"/{rest}"
    return "", path


def _of_upstream(target: Target, asked: str) -> Target:
    """The target as a request for that upstream, which its name need not repeat."""
    try:
        upstream = check_upstream(asked)
    except OCIError as error:
        return replace(target, error=error)
    target = replace(target, upstream=upstream)
    host, slash, rest = target.repository.partition("/")
    if slash and host in (asked, upstream):
        return replace(target, repository=rest, prefix=f"{target.prefix}{host}/")
    return target


def _parse(path: str) -> Target:
    if path in ("/v2", "/v2/"):
        return Target(Endpoint.PING)
    if path == "/v2/_catalog":
        return Target(Endpoint.CATALOG)
    endpoint, name, reference = _split(path)
    if endpoint is Endpoint.OTHER:
        error = OCIError(404, ErrorCode.UNSUPPORTED, f"no such endpoint: {path[:200]!r}; see /v2/")
        return Target(Endpoint.OTHER, error=error)
    target = Target(endpoint, repository=name, reference=reference)
    try:
        check_name(name)
        target = _strip(target)
        return replace(target, reference=_check_reference(endpoint, reference))
    except OCIError as error:
        return replace(target, error=error)


def token_target(scopes: Sequence[Scope]) -> Target:
    """What a request for a token with these scopes is about: the first repository that they name."""
    names = [scope.name for scope in scopes if scope.kind == "repository"]
    if not names:
        return Target(Endpoint.TOKEN)
    target = Target(Endpoint.TOKEN, repository=names[0])
    try:
        check_name(names[0])
        return _strip(target)
    except OCIError as error:
        return replace(target, error=error)


def strip_name(name: str) -> tuple[str, str]:
    """(namespace, repository) of a repository named outside a path (a mount's `from`), checked.

    Raise `OCIError` 400 NAME_INVALID.
    """
    target = _strip(Target(Endpoint.UPLOAD, repository=check_name(name)))
    return target.namespace, target.repository


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


def _check_reference(endpoint: Endpoint, reference: str) -> str:
    if endpoint is Endpoint.MANIFEST:
        return Digest.parse(reference) if is_digest(reference) else check_tag(reference)
    if endpoint in (Endpoint.LAYER, Endpoint.REFERRERS):
        return Digest.parse(reference)
    if endpoint is Endpoint.UPLOAD and reference:
        return check_upload_id(reference)
    return reference


def _strip(target: Target) -> Target:
    """Take namespace and path faults off the name, outermost first."""
    rest = target.repository
    namespace = ""
    faults: list[str] = []
    if f"{rest}/".startswith(_IN):
        namespace, _, rest = rest.removeprefix(_IN).partition("/")
    while f"{rest}/".startswith(_WITH):
        fault, _, rest = rest.removeprefix(_WITH).partition("/")
        faults.append(fault)
    if f"{rest}/".startswith(_IN):
        raise OCIError(
            400,
            ErrorCode.NAME_INVALID,
            f"{target.repository!r}: a namespace comes first, {_IN}<namespace>/<image>",
        )
    if not rest or rest == "broken":
        raise OCIError(
            400,
            ErrorCode.NAME_INVALID,
            f"{target.repository!r} names no image; write {_IN}<namespace>/<image> or "
            f"{_WITH}<fault>_<key>-<value>/<image>",
        )
    prefix = target.repository.removesuffix(rest)
    return replace(target, namespace=namespace, faults=tuple(faults), repository=rest, prefix=prefix)
