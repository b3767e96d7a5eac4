"""The documents that the client sends, as types: rules, what they match, and expectations.

docs/reference/rules.md explains the fields. `make reference` writes this module from the server's models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict


class Match(TypedDict, total=False):
    """The conditions of a rule. A missing field matches all exchanges."""

    endpoint: Literal[
        "any",
        "blob",
        "connect",
        "ping",
        "token",
        "manifest",
        "config",
        "layer",
        "upload",
        "tags",
        "referrers",
        "catalog",
    ]
    """what is requested; by default the default endpoint of the fault, or any in an override"""

    layer: int
    """number of the layer in its manifest"""

    repository: str
    """glob on the repository, without prefixes; `a|b` matches a or b"""

    reference: str
    """glob on the tag, digest or upload ID; `a|b` matches a or b"""

    method: str
    """glob on the method; `GET|HEAD` matches both"""

    client: str
    """an address, a network (10.0.0.0/8), or a glob on User-Agent"""

    user: str
    """glob on the user of Basic credentials, or the subject of a token (JWT)"""

    header: Mapping[str, str]
    """globs on the values of request headers. `!glob` matches if no value does. Of credentials, only the
    scheme is matched: `Basic *`"""

    attempt: int
    """number of the request among those with the same method, repository and reference"""

    protocol: Literal["http/1.1", "h2"]
    """protocol of the request"""


class RuleFields(TypedDict, total=False):
    """The fields of a rule except for its fault. Missing ones have their default values."""

    name: str
    """name of the rule, which also affects its random draws"""

    match: Match
    """what the rule matches; by default everything at the default endpoint of its fault"""

    skip: int
    """number of matches before the fault is applied"""

    times: int
    """maximum number of times the fault is applied; by default unlimited"""

    probability: float | str
    """share of the matches to which the fault is applied, more than 0; the seed decides which"""

    per: Literal["rule", "repository", "reference", "client"]
    """what `skip` and `times` are counted for"""

    after: str
    """name of another rule; this one matches only after that one was applied"""

    enabled: bool
    """whether the rule is evaluated"""

    optional: bool
    """whether `check` accepts that the rule is applied less often than `times` says"""

    override: bool
    """whether the rule is evaluated after all others, at every endpoint unless match has one"""


class NewRule(RuleFields):
    """A rule with its fault, or several faults that wrap each other."""

    fault: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    """the fault, for example `faults.truncate(after="64KiB")`"""


class Connections(TypedDict, total=False):
    """How many connections the client may use."""

    at_most: int
    """maximum number of connections"""


class Expectation(TypedDict, total=False):
    """An expectation about the exchanges of a namespace: exactly one of filter, order, leaks, connections."""

    name: str
    """name"""

    filter: str
    """filter expression, for example `endpoint:layer status:206`"""

    count: int
    """exact number"""

    at_least: int
    """minimum number"""

    at_most: int
    """maximum number"""

    each: str
    """every exchange that matches `filter` matches this, too"""

    spacing: str
    """time between the starts of exchanges that match `filter`, such as `>=2s`"""

    order: Sequence[str]
    """filters: a match of each follows a match of the one before"""

    leaks: Literal[0]
    """0: no exchange with the second origin has a credential"""

    connections: Connections
    """how many connections the client may use"""
