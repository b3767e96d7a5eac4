"""`/openapi.json`, `/docs` and `/v1/faults`: how the control API describes itself."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import httpx
import pytest

from brokenreg.control.app import ROUTES
from brokenreg.control.routes import Route
from brokenreg.faults.catalogue import CATALOGUE
from tests.control.problem import problem_of
from tests.server import Brokenreg


def test_the_document_tells_of_every_route(control: httpx.Client) -> None:
    document = control.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1.")
    told = {(method.upper(), path) for path, each in document["paths"].items() for method in each}
    assert told == {(route.method, route.template) for route in ROUTES}
    names = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(names) == len(set(names))
    faults = {
        each["properties"]["type"]["const"] for each in document["components"]["schemas"]["Fault"]["oneOf"]
    }
    assert faults == set(CATALOGUE)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.example], ids=lambda route: route.name)
def test_each_example_of_the_document_is_accepted(control: httpx.Client, route: Route) -> None:
    example = control.get("/openapi.json").json()["paths"][route.template][route.method.lower()]
    body = example["requestBody"]["content"]["application/json"]["example"]
    path = route.template.replace("{id}", "999999").replace("{name}", "none").replace("{tag}", "v1")
    response = control.request(route.method, path, json=body)
    assert response.status_code in ((404,) if "{" in route.template else (200, 201)), response.text


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_nothing_but_itself(control: httpx.Client) -> None:
    response = control.get("/docs")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    (style,) = re.findall(r"<style>(.*?)</style>", response.text, re.DOTALL)
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
    assert "url(" not in style
    page = _Page()
    page.feed(response.text)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "form", "object", "base"}
    assert not [
        attrs for _, attrs in page.tags if any(key == "style" or key.startswith("on") for key in attrs)
    ]
    hrefs = {attrs["href"] for tag, attrs in page.tags if tag == "a"}
    assert {href for href in hrefs if href and not href.startswith("#")} == {"openapi.json", "v1/faults"}
    assert {f"#{attrs['id']}" for tag, attrs in page.tags if tag == "section"} <= hrefs
    for route in ROUTES:
        assert f"http://127.0.0.1:8081{route.template}" in response.text


def test_the_catalogue(control: httpx.Client) -> None:
    faults = control.get("/v1/faults").json()
    assert [fault["name"] for fault in faults] == list(CATALOGUE)
    assert control.get("/v1/faults/truncate").json() == next(f for f in faults if f["name"] == "truncate")
    assert "did you mean truncate?" in problem_of(control.get("/v1/faults/truncat"), 404)


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_example_of_the_catalogue_is_a_rule(control: httpx.Client, name: str) -> None:
    example = control.get(f"/v1/faults/{name}").json()["examples"]["rule"]
    assert control.post("/v1/rules", json=example).status_code == 201


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/v1/events", "/v1/exchanges"])
@pytest.mark.parametrize(
    "headers", [{"host": "evil.example"}, {"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}]
)
def test_all_of_it_is_guarded(control: httpx.Client, path: str, headers: dict[str, str]) -> None:
    problem_of(control.get(path, headers=headers), 421 if "host" in headers else 403)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},  # from a page, though it sends no Origin
        {"sec-fetch-site": "same-site"},
        {"host": "evil.example"},
    ],
)
def test_a_form_of_another_page_drives_nothing(
    registry: Brokenreg, control: httpx.Client, kind: str, headers: dict[str, str]
) -> None:
    sent = {**headers, "content-type": kind}
    refused = control.post("/v1/rules", content=b'{"fault": "error"}', headers=sent)
    problem_of(refused, 421 if "host" in headers else 403)
    assert control.get("/v1/rules").json() == []
    if headers != {"sec-fetch-site": "same-site"}:
        pushed = httpx.post(f"{registry.url}/v2/x/blobs/uploads/", content=b"x", headers=sent)
        assert pushed.status_code == (421 if "host" in headers else 403)
