"""`/metrics`: the counts of the server for Prometheus, computed when they are requested."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import accumulate
from typing import TYPE_CHECKING

from quart import Response

from brokenreg.control.routes import APIRequest, Route
from brokenreg.runtime.runtime import Runtime
from brokenreg.runtime.status import Status
from brokenreg.traffic.tally import BOUNDS, Tally

if TYPE_CHECKING:
    from prometheus_client import Metric

_EXPOSITION = "text/plain"


async def get_metrics(runtime: Runtime, request: APIRequest) -> Response:
    """Return metrics for Prometheus, of all namespaces. Counters of requests start at the first scrape."""
    del request
    # In a thread, because the import takes too long for the event loop.
    await asyncio.to_thread(import_module, "prometheus_client")
    return _exposition(runtime)


def _exposition(runtime: Runtime) -> Response:
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
    from prometheus_client.registry import Collector

    tally = runtime.log.tally
    tally.bring_up_to_date(runtime.log)
    status = runtime.status()

    class Counts(Collector):
        def collect(self) -> Iterator[Metric]:
            yield from _counters(tally)
            yield _histogram(tally)
            yield from _gauges(status)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Counts())
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _counters(tally: Tally) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    requests = CounterMetricFamily(
        "brokenreg_requests", "Exchanges that have ended.", labels=("endpoint", "status", "ended")
    )
    for (endpoint, code, how), number in sorted(tally.requests.items(), key=str):
        requests.add_metric((str(endpoint), "none" if code is None else str(code), str(how)), number)
    yield requests
    for name, text, label, counts in (
        ("faults_applied", "Exchanges to which a fault was applied.", "fault", tally.faults),
        ("cache_uses", "Exchanges by how the proxy's cache was used.", "result", tally.cache),
        ("request_body_bytes", "Bytes of request bodies.", "endpoint", tally.request_bytes),
        ("response_body_bytes", "Bytes of response bodies.", "endpoint", tally.response_bytes),
    ):
        yield _counter(f"brokenreg_{name}", text, label, counts)


def _counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, text, labels=(label,))
    for value, number in sorted(counts.items()):
        family.add_metric((str(value),), number)
    return family


def _histogram(tally: Tally) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    reached = accumulate(tally.durations)
    buckets = [(bound, float(next(reached))) for bound in map(str, BOUNDS)]
    buckets.append(("+Inf", float(next(reached))))
    family = HistogramMetricFamily(
        "brokenreg_request_duration_seconds", "Time from a request to the end of its response."
    )
    family.add_metric((), buckets, tally.seconds)
    return family


def _gauges(status: Status) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

    yield InfoMetricFamily("brokenreg_build", "The version of brokenreg.", value={"version": status.version})
    for name, text, value in (
        ("uptime_seconds", "Time since the start.", status.uptime),
        ("in_flight", "Exchanges that have not ended.", status.in_flight),
        ("held", "Responses that are held.", status.held),
        ("connections", "Open connections of clients.", status.connections),
        ("rules", "Rules in all namespaces.", status.rules),
        ("log_bytes", "Memory that the exchange log uses.", status.log_size),
        ("repositories", "Repositories in all namespaces.", status.repositories),
        ("manifests", "Manifests in all repositories.", status.manifests),
        ("blobs", "Blobs in the data folder.", status.blobs),
    ):
        yield GaugeMetricFamily(f"brokenreg_{name}", text, value=value)


ROUTES = (Route("GET", "/metrics", get_metrics, answer=str, answer_types=(_EXPOSITION,)),)
