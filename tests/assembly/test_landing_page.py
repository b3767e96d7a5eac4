"""What people see who open the address of the registry or of the control API in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from brokenreg import __version__
from tests.server import Brokenreg, brokenreg


def test_the_page_names_the_version_a_first_pull_and_the_control_api(own_registry: Brokenreg) -> None:
    response = httpx.get(f"{own_registry.url}/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert __version__ in response.text
    assert f"docker pull {own_registry.host}/broken/random:layers-3_size-1024" in response.text
    assert f"{own_registry.control}/docs" in response.text
    head = httpx.head(f"{own_registry.url}/")
    assert (head.status_code, head.text) == (200, "")
    assert head.headers["content-length"] == str(len(response.content))


def test_it_loads_nothing_and_runs_nothing(own_registry: Brokenreg) -> None:
    response = httpx.get(f"{own_registry.url}/")
    assert not re.search(r"src=|href=|<script|url\(|@import", response.text)
    policies = response.headers.get_list("content-security-policy")
    assert any(each.startswith("default-src 'none'") for each in policies)
    assert "sandbox" in policies


def test_it_is_not_recorded_and_no_rule_matches_it(own_registry: Brokenreg) -> None:
    httpx.post(f"{own_registry.control}/v1/rules", json={"fault": "error", "match": {"endpoint": "any"}})
    assert httpx.get(f"{own_registry.url}/").status_code == 200
    assert httpx.post(f"{own_registry.url}/").status_code == 404, "other methods are requests like any other"
    exchanges = httpx.get(f"{own_registry.control}/v1/exchanges").json()
    assert [each["method"] for each in exchanges] == ["POST"]


def test_clients_see_no_difference(own_registry: Brokenreg) -> None:
    response = httpx.get(f"{own_registry.url}/v2/")
    assert (response.status_code, response.json()) == (200, {})
    assert httpx.get(f"{own_registry.url}/v1").status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "rebound.example"}, 421),
        ({"host": "<script>"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
    ],
)
def test_it_passes_the_guard(own_registry: Brokenreg, headers: dict[str, str], status: int) -> None:
    response = httpx.get(f"{own_registry.url}/", headers=headers)
    assert response.status_code == status
    assert "docker pull" not in response.text


def test_the_name_of_the_request_is_the_one_in_the_command(own_registry: Brokenreg) -> None:
    port = own_registry.url.rpartition(":")[2]
    response = httpx.get(f"{own_registry.url}/", headers={"host": f"localhost:{port}"})
    assert f"docker pull localhost:{port}/broken/error:404" in response.text


def test_without_a_control_api_it_says_so(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data", "--control", "off", "--auth", "basic") as running:
        response = httpx.get(f"{running.url}/")
        assert response.status_code == 200, "it needs no login"
        assert "The control API is off." in response.text


def test_the_control_api_leads_to_its_page(own_registry: Brokenreg) -> None:
    response = httpx.get(f"{own_registry.control}/")
    assert (response.status_code, response.headers["location"]) == (307, "/docs")
    page = httpx.get(f"{own_registry.control}/", follow_redirects=True)
    assert "brokenreg control API" in page.text
    assert httpx.get(f"{own_registry.control}/", headers={"host": "rebound.example"}).status_code == 421


def test_it_leads_nobody_without_the_token(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data", "--control-token", "s3cret") as running:
        assert httpx.get(f"{running.control}/").status_code == 401
