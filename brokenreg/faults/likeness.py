"""A rule that would strike exactly such requests as one that has passed."""

from __future__ import annotations

import glob
import ipaddress

from brokenreg.faults.catalogue import Fault
from brokenreg.faults.rules import FieldError, Rule, fault_of, rule_of
from brokenreg.faults.scenario import Scenario, write_scenario
from brokenreg.faults.verdict import Outcome, verdicts_of
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange

_LONGEST = 100
"""Characters of a client's product that are matched."""


def faults_of(exchange: Exchange) -> tuple[Fault, ...]:
    """The faults that struck it; `error` with status 503 if none did."""
    struck = [each.active.rule.fault for each in verdicts_of(exchange) if each.outcome is Outcome.STRUCK]
    return struck[0] if struck else (fault_of({"type": "error", "status": 503}),)


def rule_like(exchange: Exchange, faults: tuple[Fault, ...]) -> Rule:
    """Matches endpoint, repository, reference, method and the client's product, in any version.

    Raise `FieldError` if no rule can match that, or the faults cannot strike it.
    """
    target = exchange.target
    if target.endpoint is Endpoint.OTHER or target.error is not None:
        raise FieldError((), "no rule can be told to match this one; its path addresses nothing")
    match = {"endpoint": str(target.endpoint)}
    if target.endpoint is not Endpoint.CONNECT:
        match |= {
            "repository": glob.escape(target.repository),
            # That of an upload is made up anew each time.
            "reference": "" if target.endpoint is Endpoint.UPLOAD else glob.escape(target.reference),
            "method": glob.escape(exchange.method),
            "client": _client(exchange),
        }
    rule = rule_of({"match": {name: each for name, each in match.items() if each}, "fault": list(faults)})
    if not rule.takes(exchange.method) and target.endpoint is not Endpoint.CONNECT:
        raise FieldError((), f"{faults[0].name} strikes no {exchange.method[:20]}")
    return rule


def scenario_like(exchange: Exchange) -> str:
    """A scenario file with a rule that strikes such requests as this one was struck. Raise `FieldError`."""
    return write_scenario(Scenario(rules=(rule_like(exchange, faults_of(exchange)),)))


def _client(exchange: Exchange) -> str:
    """A glob for all versions of its client's product; empty, if it does not say."""
    product, slash, _ = exchange.user_agent.partition(" ")[0].partition("/")
    if not product or _is_address(product):
        return ""
    return glob.escape(product[:_LONGEST]) + ("/*" if slash and len(product) <= _LONGEST else "*")


def _is_address(text: str) -> bool:
    """Whether a match would take it for an address."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
