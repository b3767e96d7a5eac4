"""Measures what a hundred rules that do not match cost per request."""

from __future__ import annotations

import http.client
import json
import statistics
from collections.abc import Iterator

from bench.processes import cpu_seconds
from bench.transfers import put_manifest

RULES = 100
_REQUESTS = 4000
_PATH = "/v2/bench/manifests/latest"
_MATCHES = (
    {"repository": "library/*"},
    {"repository": "team/*", "method": "GET"},
    {"client": "docker/*"},
    {"reference": "v*"},
    {"header": {"x-request-id": "*"}},
)
"""Matches at the requested endpoint, so that each rule must be evaluated."""


def measure(host: str, control: str, process: int, pairs: int) -> list[float]:
    """Return the CPU microseconds that the rules add to a request, for each pair of measurements."""
    put_manifest(host)
    added = []
    for number in range(pairs):
        costs = {}
        for has_rules in (False, True) if number % 2 == 0 else (True, False):
            put_scenario(control, unmatched_rules() if has_rules else [])
            costs[has_rules] = _cost(host, process)
        added.append(costs[True] - costs[False])
    return added


def report(added: list[float]) -> Iterator[tuple[str, str, str]]:
    """Yield a row of (what, median, maximum)."""
    yield f"{RULES} rules that do not match", f"{statistics.median(added):.1f} µs", f"{max(added):.1f} µs"


def unmatched_rules() -> list[dict[str, object]]:
    """Return a hundred rules that do not match a GET of the manifest bench:latest by containerd."""
    return [
        {"fault": {"type": "error"}, "match": {"endpoint": "manifest", **_MATCHES[place % len(_MATCHES)]}}
        for place in range(RULES)
    ]


def put_scenario(control: str, rules: list[dict[str, object]]) -> None:
    """Replace all rules."""
    connection = http.client.HTTPConnection(control)
    body = json.dumps({"rules": rules})
    connection.request("PUT", "/v1/scenario", body, {"Content-Type": "application/json"})
    if connection.getresponse().status != 200:
        raise RuntimeError("the scenario was refused")
    connection.close()


def _cost(host: str, process: int) -> float:
    """Return the CPU microseconds of all threads of the server per request."""
    connection = http.client.HTTPConnection(host)
    before = cpu_seconds(process)
    for _ in range(_REQUESTS):
        connection.request("GET", _PATH)
        connection.getresponse().read()
    cost = (cpu_seconds(process) - before) * 1e6 / _REQUESTS
    connection.close()
    return cost
