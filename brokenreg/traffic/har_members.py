"""What our HAR files have in addition to HAR 1.2, so that reading a file gives the exchanges completely.

The names of these members begin with `_`, as HAR requires. Members that follow from the others are omitted.
"""

from __future__ import annotations

import base64
from dataclasses import fields
from typing import Any
from urllib.parse import unquote

from brokenreg.oci.target import Target, parse_target
from brokenreg.traffic.bodies import Body
from brokenreg.traffic.exchange import Exchange, Origin
from brokenreg.traffic.explained_rule import ExplainedRule, ExplainedRules
from brokenreg.traffic.timeline_events import data_of
from brokenreg.traffic.timeline_text import point_as_json

_DERIVED = ("error", "key", "base", "is_reserved")
"""Fields of a target that follow from others, or that only its server needs."""


def split_url(url: str) -> tuple[str, str, str, str]:
    """Return scheme, authority, decoded path and query of an absolute URL; "" for missing parts."""
    scheme, separator, rest = url.partition("#")[0].partition("://")
    if not separator:
        return "", "", "", ""
    before, _, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    return scheme.lower(), authority.rpartition("@")[2], unquote(slash + path, errors="replace"), query


def own_members(exchange: Exchange, url: str, explained: ExplainedRules | None) -> dict[str, Any]:
    """Return the additional members of an entry. `url` is the URL in it, or empty."""
    scheme, _, path, query = split_url(url)
    more: dict[str, Any] = {
        "_faults": exchange.faults,
        "_rule": exchange.rule,
        "_ended": exchange.ended,
        "_origin": None if exchange.origin is Origin.REGISTRY else exchange.origin,
        "_scheme": None if exchange.scheme == scheme else exchange.scheme,
        "_path": None if exchange.path == path else exchange.path,
        "_query": None if exchange.query == query else exchange.query,
        "_target": _target(exchange.target, parse_target(exchange.path, exchange.query)),
        "_cache": exchange.cache,
        "_replay_of": exchange.replay_of,
        "_held_since": exchange.held_since,
        "_held_by": exchange.held_by,
        "_edited": exchange.edited,
        "_progress": _progress(exchange),
        "_wrong_bytes": exchange.has_wrong_bytes or None,
    }
    return {
        "_id": exchange.id,
        "_started": exchange.started,
        "_endpoint": str(exchange.endpoint),
        "_timeline": [point_as_json(point, round(point.at * 1000, 12)) for point in exchange.timeline],
        **{name: value for name, value in more.items() if value is not None and value != ()},
        **_rules(explained),
    }


def body_members(body: Body, size: int, *, is_exact: bool = False) -> dict[str, Any]:
    """Return the additional members of a body whose message has `size` bytes in total.

    `is_exact` says that the text of the body keeps all bytes. Otherwise, invalid UTF-8 is added in base64.
    """
    more: dict[str, Any] = {}
    if body.is_redacted:
        more["_redacted"] = True
    if body.size != size:
        more["_size"] = body.size
    if not is_exact and body.data.decode(errors="replace").encode() != body.data:
        more["_base64"] = base64.b64encode(body.data).decode()
    return more


def _target(target: Target, parsed: Target) -> dict[str, Any] | None:
    """Return what is known about a target beyond `parsed`, which is what its path says."""
    more = {
        field.name: getattr(target, field.name)
        for field in fields(Target)
        if field.name not in _DERIVED and getattr(target, field.name) != getattr(parsed, field.name)
    }
    error, other = target.error, parsed.error
    if str(error) == str(other) and not more:
        return None
    if error is not None:
        more["error"] = {"status": error.status, "code": error.code, "message": error.message}
    return more or {"endpoint": target.endpoint}


def _progress(exchange: Exchange) -> dict[str, Any] | None:
    progress = exchange.progress
    return None if progress is None else {"kind": progress.kind, "data": data_of(progress)}


def _rules(explained: ExplainedRules | None) -> dict[str, Any]:
    if explained is None:
        return {}
    more = {"_rules_omitted": explained.omitted} if explained.omitted else {}
    return {"_rules": [_rule(each) for each in explained.rules], **more}


def _rule(rule: ExplainedRule) -> dict[str, Any]:
    said: dict[str, Any] = {
        "id": rule.id, "rule": rule.label, "source": rule.source, "outcome": rule.outcome,
        "reason": rule.reason,
    }  # fmt: skip
    if rule.is_final:
        said |= {"final": True, "faults": rule.faults, "matched": rule.matched, "applied": rule.applied}
    return said
