"""Finds a rule, the rules that corrupt a blob, and the head of a held response."""

from __future__ import annotations

from collections.abc import Iterable

from brokenreg.gate.edits import EditableHead
from brokenreg.oci.digests import Digest
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.runtime.errors import Kind, NotFoundError, operation_errors
from brokenreg.runtime.runtime import Runtime
from brokenreg.runtime.traffic_source import TrafficSource


def find_rule(runtime: Runtime, namespace: str, rule_id: int) -> ActiveRule:
    """Return a rule. Raise `NotFoundError`."""
    with operation_errors():
        active = runtime.rules.book(namespace).get(rule_id)
    if active is None:
        raise NotFoundError(Kind.RULE, rule_id)
    return active


async def refresh_counts(runtime: Runtime, rules: Iterable[ActiveRule]) -> None:
    """In a fleet, let rules whose counts decide show those of all replicas. Raise `OperationError`."""
    if runtime.shared_rules is not None:
        with operation_errors():
            await runtime.shared_rules.evaluation.refresh(rules)


def corrupting_rules(runtime: Runtime, digest: Digest) -> list[tuple[str, ActiveRule]]:
    """Return the rules that `Operations.corrupt` added for a blob or manifest, with their namespaces."""
    name = name_of_corruption(digest)
    books = [(namespace, runtime.rules.book(namespace)) for namespace in runtime.rules.namespaces()]
    return [(namespace, each) for namespace, book in books for each in book if each.rule.name == name]


def name_of_corruption(digest: Digest) -> str:
    """Return the name of the rules that corrupt a blob or manifest."""
    return f"corrupt {digest.encoded[:12]}"


def waiting_head(traffic: TrafficSource, exchange_id: int) -> EditableHead:
    """Return the status and headers of an exchange that is held before they are sent."""
    with operation_errors():
        return traffic.gate.head(exchange_id)
