"""The summary of an exchange as JSON, for output that gets a line for each one."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as _quoted

from brokenreg.traffic.exchange import Exchange


def summary_json(exchange: Exchange) -> str:
    """Return `exchange.summary()` as JSON without spaces.

    This takes a third of the time that `json.dumps` takes. A test compares both.
    """
    if not _is_common(exchange):
        return json.dumps(exchange.summary(), separators=(",", ":"))
    target, status, duration = exchange.target, exchange.status, exchange.duration
    cache, ended, version = exchange.cache, exchange.ended, exchange.http_version
    return (
        f'{{"id":{exchange.id},"origin":{_quoted(exchange.origin)},"time":{exchange.started!r},'
        f'"client":{_quoted(exchange.client)},"user_agent":{_quoted(exchange.user_agent)},'
        f'"protocol":{_quoted(f"HTTP/{version}" if version else "")},"method":{_quoted(exchange.method)},'
        f'"path":{_quoted(exchange.path)},"query":{_quoted(exchange.query)},'
        f'"endpoint":{_quoted(target.endpoint)},"namespace":{_quoted(target.namespace)},'
        f'"repository":{_quoted(target.repository)},"reference":{_quoted(target.reference)},'
        f'"status":{"null" if status is None else status},"request_bytes":{exchange.request_bytes},'
        f'"response_bytes":{exchange.response_bytes},'
        f'"duration":{"null" if duration is None else repr(round(duration, 6))},'
        f'"cache":{"null" if cache is None else _quoted(cache)},"faults":[],"rule":null,"replay_of":null,'
        f'"held":false,"held_by":null,"edited":null,"progress":null,'
        f'"ended":{"null" if ended is None else _quoted(ended)}}}'
    )


def _is_common(exchange: Exchange) -> bool:
    """Return whether the fields are unset that few exchanges have."""
    return not exchange.faults and (
        exchange.rule is None
        and exchange.replay_of is None
        and exchange.held_since is None
        and exchange.held_by is None
        and exchange.edited is None
        and exchange.progress is None
    )
