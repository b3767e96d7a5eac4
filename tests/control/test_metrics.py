"""`/metrics`, read by Prometheus's own parser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.proxy.chain import chain
from tests.server import Brokenreg, brokenreg

DASHBOARD = Path(__file__).parents[2] / "deploy/grafana-dashboard.json"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(control: httpx.Client) -> Samples:
    response = control.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def change(before: Samples, after: Samples, name: str, **labels: str) -> float:
    key = (name, tuple(sorted(labels.items())))
    return after.get(key, 0) - before.get(key, 0)


def test_requests_faults_bytes_and_durations(registry: Brokenreg, control: httpx.Client) -> None:
    before = scraped(control)
    for _ in range(3):
        assert httpx.get(f"{registry.url}/v2/").status_code == 200
    assert httpx.get(f"{registry.url}/v2/broken/error/manifests/503").status_code == 503
    blob = httpx.get(f"{registry.url}/v2/broken/random/manifests/layers-1_size-100")
    after = scraped(control)
    requests = "brokenreg_requests_total"
    assert change(before, after, requests, endpoint="ping", status="200", ended="complete") == 3
    assert change(before, after, requests, endpoint="manifest", status="503", ended="complete") == 1
    assert change(before, after, "brokenreg_faults_applied_total", fault="error") == 1
    assert change(before, after, "brokenreg_response_body_bytes_total", endpoint="manifest") > len(
        blob.content
    )
    assert change(before, after, "brokenreg_request_duration_seconds_count") == 5
    assert change(before, after, "brokenreg_request_duration_seconds_bucket", le="+Inf") == 5
    assert change(before, after, "brokenreg_request_duration_seconds_sum") > 0
    again = scraped(control)
    assert change(after, again, requests, endpoint="ping", status="200", ended="complete") == 0, (
        "counted once"
    )


def test_a_reset_does_not_reset_counters(registry: Brokenreg, control: httpx.Client) -> None:
    before = scraped(control)
    httpx.get(f"{registry.url}/v2/")
    control.post("/v1/reset").raise_for_status()
    labels = {"endpoint": "ping", "status": "200", "ended": "complete"}
    assert change(before, scraped(control), "brokenreg_requests_total", **labels) == 1


def test_what_is_held(registry: Brokenreg, control: httpx.Client) -> None:
    samples = scraped(control)
    assert samples["brokenreg_held", ()] == 0
    assert samples["brokenreg_in_flight", ()] == 0
    assert [name for name, _ in samples if name == "brokenreg_build_info"]


def test_the_token_guards_it(tmp_path: Path) -> None:
    with brokenreg(tmp_path, "--control-token", "let-me-in") as server:
        assert httpx.get(f"{server.control}/metrics").status_code == 401
        allowed = httpx.get(f"{server.control}/metrics", headers={"authorization": "Bearer let-me-in"})
        assert allowed.status_code == 200


def test_the_dashboard_shows_metrics_that_exist(registry: Brokenreg, control: httpx.Client) -> None:
    exported = control.get("/metrics").text
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = _expressions()
    names = set(re.findall("brokenreg_[a-z_]+", " ".join(expressions)))
    types = set(re.findall("# TYPE (brokenreg_[a-z_]+) ", exported))
    assert {name.removesuffix("_bucket") for name in names} <= types
    assert len(names) > 5
    assert "alert" not in dashboard


def test_the_dashboard_groups_by_labels_that_exist(tmp_path: Path) -> None:
    with chain(tmp_path) as pair:
        control = httpx.Client(base_url=pair.proxy.control)
        scraped(control)
        pair.push_image("team/app", b"layer")
        for path in ("team/app/manifests/v1", "broken/error/manifests/503"):
            httpx.get(f"{pair.proxy.url}/v2/{path}")
        labels: dict[str, set[str]] = {}
        for name, pairs in scraped(control):
            labels.setdefault(name, {"instance"}).update(label for label, _ in pairs)
    for expression in _expressions():
        (name,) = re.findall("brokenreg_[a-z_]+", expression)
        grouped = re.findall(r"by \((\w+)\)", expression)
        selected = re.findall(r"(\w+)[!=]~?\"", expression)
        assert {*grouped, *selected} <= labels[name], expression


def _expressions() -> list[str]:
    dashboard = json.loads(DASHBOARD.read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
