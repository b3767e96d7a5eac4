"""How often rules are applied in a real registry: counters, draws, order and namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.registry.pushing import digest_of, image, push_blob, push_manifest
from tests.server import Brokenreg, brokenreg

ERROR = {"type": "error", "status": 418}


@pytest.fixture
def control(registry: Brokenreg) -> Iterator[httpx.Client]:
    """The control API of a registry without rules and counts."""
    with httpx.Client(base_url=registry.control, timeout=30) as client:
        for namespace in ("", "a", "b"):
            client.post("/v1/reset", params={"namespace": namespace} if namespace else {})
        yield client


def add(control: httpx.Client, rule: dict[str, Any], namespace: str = "") -> str:
    """Add a rule, and return its URL."""
    query = {"namespace": namespace} if namespace else {}
    answer = control.post("/v1/rules", json={"fault": ERROR, **rule}, params=query)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def statuses(running: Brokenreg, count: int, name: str = "counts/app", tag: str = "v1") -> list[int]:
    with httpx.Client(base_url=running.url) as http:
        return [http.get(f"/v2/{name}/manifests/{tag}").status_code for _ in range(count)]


def counts(control: httpx.Client, rule: str, namespace: str = "") -> tuple[int, int]:
    state = control.get(rule, params={"namespace": namespace} if namespace else {}).json()
    return state["matched"], state["applied"]


@pytest.mark.parametrize(
    ("rule", "expected", "matched"),
    [
        ({"times": 2}, [418, 418, 404, 404, 404], 5),
        ({"skip": 2}, [404, 404, 418, 418, 418], 5),
        ({"skip": 1, "times": 2}, [404, 418, 418, 404, 404], 5),
        ({"match": {"attempt": 3}}, [404, 404, 418, 404, 404], 1),
        ({"probability": 1e-9}, [404] * 5, 5),
        ({"enabled": False}, [404] * 5, 0),
    ],
)
def test_counts(
    registry: Brokenreg, control: httpx.Client, rule: dict[str, Any], expected: list[int], matched: int
) -> None:
    made = add(control, rule)
    assert statuses(registry, 5) == expected
    assert counts(control, made) == (matched, expected.count(418))


@pytest.mark.parametrize(
    ("per", "applied"), [("rule", 1), ("repository", 2), ("reference", 4), ("client", 1)]
)
def test_what_times_counts_by(registry: Brokenreg, control: httpx.Client, per: str, applied: int) -> None:
    made = add(control, {"times": 1, "per": per})
    for name in ("counts/one", "counts/two"):
        for tag in ("v1", "v2"):
            statuses(registry, 2, name, tag)
    assert counts(control, made) == (8, applied)


def test_after_a_rule_that_is_not_applied_the_next_is_evaluated(
    registry: Brokenreg, control: httpx.Client
) -> None:
    override = add(control, {"fault": {"type": "error", "status": 599}, "override": True})
    first = add(control, {"times": 1})
    second = add(control, {"fault": {"type": "error", "status": 503}, "times": 1})
    path = "broken/with/error_status-400_times-1/counts/app"
    assert statuses(registry, 4, path) == [400, 418, 503, 599]
    assert [counts(control, each) for each in (first, second, override)] == [(3, 1), (2, 1), (1, 1)]


def test_equal_prefixes_count_apart(registry: Brokenreg, control: httpx.Client) -> None:
    assert control.get("/v1/rules").json() == []
    twice = "broken/with/error_status-418_times-1/" * 2
    assert statuses(registry, 3, f"{twice}counts/app") == [418, 418, 404]


def _drawn(data: Path, seed: int, *, is_parallel: bool) -> set[str]:
    """Return those of 300 repositories to which a rule with probability 1/3 is applied."""
    rules = data.with_name(f"{data.name}.yaml")
    rules.write_text(f"seed: {seed}\nrules:\n- fault: {{type: error, status: 418}}\n  probability: 0.3333\n")
    with brokenreg(data, "--scenario", str(rules)) as running, httpx.Client(base_url=running.url) as http:

        def is_applied(name: str) -> bool:
            return http.get(f"/v2/{name}/manifests/v1").status_code == 418

        names = [f"drawn/n{number}" for number in range(300)]
        if not is_parallel:
            return {name for name in names if is_applied(name)}
        names.reverse()
        with ThreadPoolExecutor(8) as pool:
            return {name for name, applied in zip(names, pool.map(is_applied, names), strict=True) if applied}


def test_one_seed_applies_to_the_same_requests_in_any_order(tmp_path: Path) -> None:
    drawn = _drawn(tmp_path / "one", 7, is_parallel=False)
    assert 60 <= len(drawn) <= 140  # five standard deviations around 100; the seed is fixed
    assert _drawn(tmp_path / "two", 7, is_parallel=True) == drawn
    assert _drawn(tmp_path / "three", 8, is_parallel=False) != drawn


def test_draws_of_uploads_repeat_though_their_ids_are_made_up(
    registry: Brokenreg, control: httpx.Client
) -> None:
    runs = []
    for _ in range(2):
        control.post("/v1/reset")
        add(control, {"match": {"endpoint": "upload", "method": "PATCH"}, "probability": 0.5})
        with httpx.Client(base_url=registry.url) as http:
            begun = [http.post("/v2/counts/uploads/blobs/uploads/") for _ in range(24)]
            runs.append([http.patch(each.headers["location"], content=b"x").status_code for each in begun])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {202, 418}


def test_an_exchange_keeps_the_rule_that_it_began_with(registry: Brokenreg, control: httpx.Client) -> None:
    made = add(control, {"fault": [{"type": "hold"}, ERROR]})
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(statuses, registry, 1, "counts/held")
        while not control.get("/v1/exchanges", params={"filter": "held:true"}).json():
            assert not asked.done()
        assert control.delete(made).status_code == 204
        control.post("/v1/resume")
        assert asked.result(30) == [418]
    assert statuses(registry, 1, "counts/held") == [404]


def test_namespaces_do_not_touch(registry: Brokenreg, control: httpx.Client) -> None:
    one = add(control, {"times": 1}, "a")
    two = add(control, {"times": 2}, "b")
    assert statuses(registry, 3, "broken/in/a/counts/app") == [418, 404, 404]
    assert statuses(registry, 3, "broken/in/b/counts/app") == [418, 418, 404]
    assert statuses(registry, 1) == [404]
    assert counts(control, one, "a") == (3, 1)
    assert counts(control, two, "b") == (3, 2)
    assert len(control.get("/v1/exchanges", params={"namespace": "a"}).json()) == 3
    assert control.delete("/v1/rules", params={"namespace": "a"}).status_code == 204
    assert len(control.get("/v1/rules", params={"namespace": "b"}).json()) == 1
    begun = httpx.post(f"{registry.url}/v2/broken/in/a/counts/app/blobs/uploads/")
    assert begun.headers["location"].startswith(("/v2/broken/in/a/", f"{registry.url}/v2/broken/in/a/"))
    elsewhere = httpx.URL(registry.url).join(begun.headers["location"].replace("/in/a/", "/in/b/"))
    assert httpx.patch(elsewhere, content=b"x").status_code == 404


@pytest.mark.parametrize(
    ("match", "is_applied"),
    [
        ({"repository": "counts/*"}, True),
        ({"repository": "counts"}, False),
        ({"repository": "*/deep"}, True),
        ({"method": "get"}, True),
        ({"method": "P*"}, False),
        ({"client": "python-httpx/*"}, True),
        ({"client": "docker/*"}, False),
        ({"client": "127.0.0.0/8"}, True),
        ({"client": "10.0.0.0/8"}, False),
        ({"header": {"User-Agent": "*httpx*"}}, True),
        ({"header": {"x-absent": "*"}}, False),
        ({"protocol": "h2"}, False),
        ({"reference": "v[0-9]"}, True),
        ({"reference": "V1"}, False),
        ({"endpoint": "any", "layer": 1}, False),
    ],
)
def test_matches(registry: Brokenreg, control: httpx.Client, match: dict[str, Any], is_applied: bool) -> None:
    add(control, {"match": match})
    assert statuses(registry, 1, "counts/very/deep") == [418 if is_applied else 404]


def test_the_second_layer_of_its_manifest(registry: Brokenreg, control: httpx.Client) -> None:
    add(control, {"match": {"endpoint": "layer", "layer": 2}})
    with httpx.Client(base_url=f"{registry.url}/v2/broken/random") as http:
        layers = http.get("manifests/layers-3_size-10_seed-77").json()["layers"]
        assert [http.get(f"blobs/{each['digest']}").status_code for each in layers] == [200, 418, 200]


async def test_the_second_layer_of_a_pushed_manifest(
    registry: Brokenreg, http: httpx.AsyncClient, control: httpx.Client
) -> None:
    """The position of a blob is that in its own repository; it may differ in others."""
    first, second = b"counts: one", b"counts: two"
    for name, layers in (("counts/pushed", (first, second)), ("counts/turned", (second, first))):
        for content in (b"{}", *layers):
            await push_blob(http, name, content)
        await push_manifest(http, name, "v1", image(b"{}", *layers))
    add(control, {"match": {"endpoint": "layer", "layer": 2}})
    for name, expected in (("counts/pushed", [200, 418]), ("counts/turned", [418, 200])):
        urls = [f"/v2/{name}/blobs/{digest_of(content)}" for content in (first, second)]
        assert [(await http.get(url)).status_code for url in urls] == expected


def test_the_protocol(secure: Brokenreg) -> None:
    with httpx.Client(base_url=secure.control) as control:
        add(control, {"match": {"protocol": "h2"}})
    url = f"{secure.url}/v2/counts/app/manifests/v1"
    for is_http2, status in ((False, 404), (True, 418)):
        with httpx.Client(verify=False, http1=not is_http2, http2=is_http2) as http:
            assert http.get(url).status_code == status
