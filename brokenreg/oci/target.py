"""What a request path means, parsed once: (namespace, path faults, repository, endpoint, reference).

Everything in a `Target` was checked against its grammar, so nothing after this needs to check again; what
failed the check is in `Target.error`, to be answered by the registry and seen in the log like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import parse_qs

from brokenreg.oci.digests import Digest, is_digest
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.names import check_name, check_tag, check_upload_id
from brokenreg.oci.scopes import Scope, parse_scopes

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
    the faults spelled in it, outermost first. `reference` is a tag, a digest or an upload id. A blob is
    `LAYER` until `refine` is told better.
    """

    endpoint: Endpoint
    namespace: str = ""
    faults: tuple[str, ...] = ()
    repository: str = ""
    reference: str = ""
    prefix: str = ""
    error: OCIError | None = None

    @property
    def name(self) -> str:
        """The repository as the client spelled it; `Location`, `Link` and `name` keep it."""
        return self.prefix + self.repository

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


def parse_target(path: str, query: str = "") -> Target:
    """Parse the decoded path of a request. Never raises: a bad path gives a target with an `error`.

    The query matters to the token service alone: a request for a token is about what its scopes name.
    """
    if path == TOKEN_PATH:
        return token_target(parse_scopes(parse_qs(query).get("scope", ())))
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
