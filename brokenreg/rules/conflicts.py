"""Detects rules that can never be applied, and says why."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from brokenreg.faults.catalogue import CATALOGUE, Fault
from brokenreg.oci.digests import Digest, is_digest
from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import is_tag
from brokenreg.oci.resolution import IN, PREFIXES
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.matching import BLOBS, OR, WILD, Match, any_of
from brokenreg.wording import quoted

_BY_DIGEST = frozenset({*BLOBS, Endpoint.REFERRERS})
_WITHOUT_REPOSITORY = frozenset({Endpoint.PING, Endpoint.CATALOG})
_WITHOUT_REFERENCE = _WITHOUT_REPOSITORY | {Endpoint.TOKEN, Endpoint.TAGS}


def rule_conflict(faults: Sequence[Fault], match: Match, endpoint: str) -> str | None:
    """Return why a rule with these faults can never be applied at that endpoint, in one line, or None."""
    for fault in faults:
        if (endpoint == Endpoint.CONNECT) != (fault.default_endpoint == Endpoint.CONNECT):
            return _wrong_endpoint(fault, endpoint)
    if endpoint == Endpoint.CONNECT and (problem := _connection_conflict(faults, match)):
        return problem
    endpoints = match.endpoints(endpoint)
    if problem := _match_conflict(match, endpoints):
        return problem
    for place, fault in enumerate(faults):
        if problem := fault.conflict_reason(match, endpoints):
            return problem
        if inner := next((each for each in faults[place + 1 :] if fault.shadows(each)), None):
            return (
                f"{fault.name} responds itself, so {inner.name} after it is never applied: "
                f"put {inner.name} before {fault.name}"
            )
    return None


def _wrong_endpoint(fault: Fault, endpoint: str) -> str:
    if endpoint != Endpoint.CONNECT:
        return f"{fault.name} is only for endpoint connect, not for {endpoint}: remove the endpoint"
    others = [name for name, kind in CATALOGUE.items() if kind.default_endpoint == Endpoint.CONNECT]
    return f"fault {fault.name} needs a request, and endpoint connect has none: use {' or '.join(others)}"


def _connection_conflict(faults: Sequence[Fault], match: Match) -> str | None:
    if len(faults) > 1:
        return "only one fault can be applied to a connection"
    if beyond := match.beyond_connections():
        return (
            f"match.{beyond[0]} is for requests: to match a connection, use attempt, or client with an "
            "address or a network"
        )
    return None


def _match_conflict(match: Match, endpoints: Collection[Endpoint]) -> str | None:
    """Return why a match can never match at these endpoints, in one line, or None."""
    if match.layer is not None and Endpoint.LAYER not in endpoints:
        return f"a layer number needs endpoint layer, not {_spelled(endpoints)}: set the endpoint to layer"
    if match.repository is not None:
        if not set(endpoints) - _WITHOUT_REPOSITORY and not any_of(match.repository)(""):
            return f"requests at endpoint {_spelled(endpoints)} have no repository: remove match.repository"
        for glob in match.repository.split(OR):
            if problem := _repository_problem(glob):
                return f"match.repository {quoted(glob)} {problem}"
    if match.reference is not None:
        if not set(endpoints) - _WITHOUT_REFERENCE and not any_of(match.reference)(""):
            return f"requests at endpoint {_spelled(endpoints)} have no tag or digest: remove match.reference"
        for glob in match.reference.split(OR):
            if WILD.search(glob):
                continue
            if not _is_reference(glob):
                return (
                    f"match.reference {quoted(glob)} is neither a tag nor a digest: for the beginning of "
                    "one, use a glob such as sha256:0123*"
                )
            if not set(endpoints) - _BY_DIGEST and not is_digest(glob):
                return (
                    f"match.reference {quoted(glob)} is not a digest, and endpoint "
                    f"{_spelled(endpoints)} is requested by digest: use one, or a glob such as sha256:0123*"
                )
    return None


def _is_reference(text: str) -> bool:
    """Return whether the text is a tag, a digest or an upload ID."""
    try:
        return is_tag(text) or bool(Digest.parse(text))
    except OCIError:
        return False


def _repository_problem(glob: str) -> str:
    """Return why no repository can have that name, or an empty string."""
    if glob.startswith("/") or (glob.endswith("/") and len(glob) > 1):
        return "begins or ends with a slash, which a name cannot: remove it"
    if glob != glob.lower():
        return f"has capital letters, which a name cannot: use {glob.lower()}"
    if ":" in glob.rpartition("/")[2] and not WILD.search(glob):
        return "has a tag: put the tag into match.reference, which is --reference on the command line"
    return _prefix_problem(WILD.split(glob)[0], glob)


def _prefix_problem(beginning: str, glob: str) -> str:
    """Return why a name cannot begin like that, or an empty string: rules match names without prefixes."""
    kind = next((each for each in PREFIXES if beginning.startswith(each)), None)
    if kind is None:
        return ""
    value, _, rest = glob.removeprefix(kind).partition("/")
    problem = f"has a prefix, and rules match names without it: use {quoted(rest or '*')}"
    return f"{problem}, and add the rule to namespace {quoted(value)}" if kind == IN else problem


def _spelled(endpoints: Collection[Endpoint]) -> str:
    return "blob" if set(endpoints) == set(BLOBS) else next(iter(endpoints))
