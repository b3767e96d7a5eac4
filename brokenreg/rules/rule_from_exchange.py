"""Creates a rule from an exchange; the rule matches requests like that one."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from dataclasses import replace

from brokenreg.faults.catalogue import Fault
from brokenreg.faults.response_head import Head
from brokenreg.http.asgi import Message
from brokenreg.oci.digests import is_digest
from brokenreg.oci.target import Endpoint
from brokenreg.rules.rule import FieldError, Rule, fault_of, rule_of
from brokenreg.rules.scenario import Scenario
from brokenreg.rules.scenario_text import write_scenario
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.matching import network_of
from brokenreg.traffic.rule_outcome import OutcomeKind

_LONGEST = 100
"""Maximum length, in characters, of a client's product in a match."""

MAX_SEARCHED = 10_000
"""How many of the newest exchanges are searched for names of a manifest; this takes some milliseconds."""

_UNRELIABLE = (None, 206, 304, 401)
"""Statuses that say little about the next response: a part, not modified, a login, or no response."""

_READS = ("GET", "HEAD")

_MOST_NAMES = 3
"""Maximum number of names of one manifest in a match, which has a limited length."""


def faults_of(exchange: Exchange) -> tuple[Fault, ...]:
    """Return the faults that were applied to an exchange, or `error` with status 503 if there were none."""
    applied = [each.rule.faults for each in exchange.rule_outcomes if each.kind is OutcomeKind.APPLIED]
    faults = applied[0] if applied else ({"type": "error", "status": 503},)
    return tuple(map(fault_of, faults))


def rule_from_exchange(
    exchange: Exchange, faults: tuple[Fault, ...], newest: Iterable[Exchange] = ()
) -> Rule:
    """Return a rule for requests like this one, by any version of its client.

    It matches endpoint, repository, reference and method. A manifest is also matched by its other names and
    by GET and HEAD, because most clients first request the digest of a tag and then use that digest. These
    names are taken from `newest`, the exchanges with the newest first. Raise `FieldError` if no rule can
    match such requests, or if the faults cannot be applied to them.
    """
    target = exchange.target
    if target.endpoint is Endpoint.OTHER or target.error is not None:
        raise FieldError((), "no rule can match this request, because its path belongs to no endpoint")
    match = {"endpoint": str(target.endpoint)}
    methods = _READS if _reads_manifest(exchange) else (exchange.method,)
    if target.endpoint is not Endpoint.CONNECT:
        match |= {
            "repository": glob.escape(target.repository),
            "reference": "|".join(map(_literal, _references(exchange, newest))),
            "method": "|".join(map(_literal, methods)),
            "client": _client(exchange),
        }
    rule = rule_of({"match": {name: each for name, each in match.items() if each}, "fault": list(faults)})
    if not any(map(rule.applies_to, methods)) and target.endpoint is not Endpoint.CONNECT:
        raise FieldError((), f"{faults[0].name} does not apply to {exchange.method[:20]}")
    return rule


def no_effect_reason(faults: tuple[Fault, ...], exchange: Exchange) -> str | None:
    """Return why none of these faults could change an exchange like this one, or None.

    The response of the registry is known only if no fault and no edit changed it. A HEAD request for a
    manifest is treated like a GET, because `rule_from_exchange` matches both.
    """
    if _reads_manifest(exchange) and any(fault.applies_to("GET") for fault in faults):
        exchange = replace(exchange, method="GET")
    is_known = not exchange.faults and exchange.edited is None and exchange.status not in _UNRELIABLE
    why = None
    for fault in faults:
        problem = fault.inapplicable_reason(exchange)
        if problem is None and is_known and exchange.endpoint is not Endpoint.CONNECT:
            problem = fault.no_effect_reason(exchange, Head(_head_of(exchange)))
        if problem is None:
            return None
        why = why or f"{fault.name} would have no effect on such a response: {problem}"
    return why


def _head_of(exchange: Exchange) -> Message:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in exchange.response_headers]
    return {"type": "http.response.start", "status": exchange.status, "headers": headers}


def scenario_from_exchange(exchange: Exchange, newest: Iterable[Exchange] = ()) -> str:
    """Return a scenario file that applies the same faults to such requests. Raise `FieldError`."""
    return write_scenario(Scenario(rules=(rule_from_exchange(exchange, faults_of(exchange), newest),)))


def _reads_manifest(exchange: Exchange) -> bool:
    return exchange.endpoint is Endpoint.MANIFEST and exchange.method in _READS


def _references(exchange: Exchange, newest: Iterable[Exchange]) -> list[str]:
    """Return the reference, and the other tags and the digest that were recently used for the manifest."""
    reference = exchange.target.reference
    if exchange.endpoint is Endpoint.UPLOAD:
        return []  # each upload has a new one
    if not reference or not _reads_manifest(exchange):
        return [reference] if reference else []
    digests: dict[str, str] = {}
    for each in (exchange, *newest):
        digest = each.response_header("docker-content-digest")
        is_same = each.endpoint is Endpoint.MANIFEST and each.target.key == exchange.target.key
        if is_same and is_digest(digest):
            digests.setdefault(each.target.reference, digest)
    digest = reference if is_digest(reference) else digests.get(reference, "")
    others = [name for name, each in digests.items() if each == digest and name not in (reference, digest)]
    return [*filter(None, dict.fromkeys((reference, digest))), *others][:_MOST_NAMES]


def _literal(text: str) -> str:
    """Return a glob that matches the text; `?` replaces `|`, which would separate alternatives."""
    return glob.escape(text).replace("|", "?")


def _client(exchange: Exchange) -> str:
    """Return a glob for all versions of the client's product; empty if the client names no product."""
    product, slash, _ = exchange.user_agent.partition(" ")[0].partition("/")
    if not product or network_of(product) is not None:  # a match would read it as an address
        return ""
    return glob.escape(product[:_LONGEST]) + ("/*" if slash and len(product) <= _LONGEST else "*")
