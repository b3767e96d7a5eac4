"""Finds out what a request in a file was for. Names are checked against their grammar, as everywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from brokenreg.oci.digests import is_digest
from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import check_name, is_component
from brokenreg.oci.target import Endpoint, Target, check_reference, parse_target
from brokenreg.oci.upstreams import check_upstream
from brokenreg.traffic.redaction import redact_target
from brokenreg.traffic.saved.members import count_in, object_in, text_in, texts_in

_LONGEST = 4096
_MOST_FAULTS = 32


def foreign_target(path: str, query: str) -> Target:
    """Return the target of a request that another tool recorded, by its path alone.

    Requests that are not for a registry are `OTHER`. They have no error, because the server decides.
    """
    target = parse_target(path, query)
    return target if target.error is None else Target(Endpoint.OTHER)


def own_target(path: str, query: str, said: Any) -> Target:
    """Return the target of a request that brokenreg recorded.

    `said` has what brokenreg found out about it beyond the path: a blob may be a configuration, and names
    depend on the options of the server. If any of that is invalid, the path decides.
    """
    parsed = parse_target(path, query)
    if not said:
        return redact_target(parsed)
    error = object_in(said, "error")
    try:
        target = _target(said, parsed)
        if error:
            message = text_in(error, "message", _LONGEST)
            status, code = count_in(error, "status") or 0, text_in(error, "code", 100)
            return redact_target(replace(target, error=OCIError(status, code, message)))
        _check(target)
    except (OCIError, ValueError):
        return redact_target(parsed)
    return redact_target(target)


def _target(said: Any, parsed: Target) -> Target:
    """Return `parsed` with what `said` says otherwise. Raise `ValueError` for an unknown endpoint."""
    texts: dict[str, Any] = {
        name: text_in(said, name, _LONGEST)
        for name in ("namespace", "repository", "reference", "name", "upstream", "root", "query")
        if isinstance(said.get(name), str)
    }
    target = replace(parsed, error=None, **texts)
    if "faults" in said:
        target = replace(target, faults=texts_in(said, "faults", _MOST_FAULTS))
    if "endpoint" in said:
        target = replace(target, endpoint=Endpoint(text_in(said, "endpoint")))
    return target


def _check(target: Target) -> None:
    """Raise `OCIError` or `ValueError` unless all names of a target are valid."""
    for name in filter(None, (target.name, target.remote)):
        check_name(name)
    if target.namespace and not is_component(target.namespace):
        raise ValueError
    if target.upstream:
        check_upstream(target.upstream)
    endpoint = target.endpoint
    if endpoint is Endpoint.CONFIG and not is_digest(target.reference):
        raise ValueError
    if target.reference:
        check_reference(endpoint, target.reference)
