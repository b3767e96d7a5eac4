"""Secrets that clients send reach no log: headers and query parameters."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from brokenreg.traffic.redaction import redact_headers, redact_query
from tests.process import brokenreg

SECRET = "hunter2"
"""Free of any word that could give it away."""


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("Authorization", f"Basic {SECRET}", "Basic ***"),
        ("authorization", f"Bearer {SECRET}", "Bearer ***"),
        ("AUTHORIZATION", SECRET, "***"),
        ("Authorization", f"Basic  {SECRET} {SECRET}", "Basic ***"),
        ("Proxy-Authorization", f"Basic {SECRET}", "Basic ***"),
        ("Cookie", f"session={SECRET}; other={SECRET}", "***"),
        ("Set-Cookie", f"session={SECRET}", "***"),
        ("X-Registry-Auth", SECRET, "***"),
        ("X-Api-Key", SECRET, "***"),
        ("User-Agent", "docker/27", "docker/27"),
        ("WWW-Authenticate", 'Bearer realm="x"', 'Bearer realm="x"'),
    ],
)
def test_headers(name: str, value: str, kept: str) -> None:
    assert redact_headers([(name.encode(), value.encode())]) == ((name.lower(), kept),)


@pytest.mark.parametrize(
    "name",
    ["token", "access_token", "refresh_token", "password", "client_secret", "Signature", "X-Amz-Signature",
     "X-Amz-Security-Token", "X-Amz-Credential", "api_key", "sig", "%74oken", "pass%77ord"],
)  # fmt: skip
def test_query_parameters(name: str) -> None:
    """Those of token servers and of the storages that registries redirect to; however they are spelled."""
    redacted = redact_query(f"service=a.b&{name}={SECRET}&scope=repository:x/y:pull&{name}={SECRET}")
    assert SECRET not in redacted
    assert "service=a.b" in redacted
    assert "scope=repository:x/y:pull" in redacted


@pytest.mark.parametrize(
    "query", ["", "n=2&last=a%2Fb", "digest=sha256:0&tag=1&tag=", "mount=x&from=y/z", "%ff"]
)
def test_other_queries_stay_as_they_were_spelled(query: str) -> None:
    assert redact_query(query) == query


def test_no_secret_is_printed(tmp_path: Path) -> None:
    """Sent for real; neither standard output nor the log file has it."""
    file = tmp_path / "exchanges.jsonl"
    with brokenreg(tmp_path / "data", "--log", str(file)) as running, httpx.Client() as http:
        for headers in (
            {"authorization": f"Bearer {SECRET}"},
            {"proxy-authorization": f"Basic {SECRET}"},
            {"cookie": f"session={SECRET}"},
            {"x-registry-auth": SECRET},
        ):
            assert http.get(f"{running.url}/v2/", headers=headers).status_code == 200
        for parameter in ("token", "password", "client_secret", "X-Amz-Signature", "%74oken"):
            assert http.get(f"{running.url}/v2/?service=x&{parameter}={SECRET}").status_code == 200
        running.stop()
    printed = [line for line in running.lines if line["event"] == "exchange"]
    assert len(printed) == 9
    assert SECRET not in json.dumps(printed)
    assert [line["query"].partition("&")[0] for line in printed[4:]] == ["service=x"] * 5
    assert SECRET not in file.read_text()
    assert [json.loads(line) for line in file.read_text().splitlines()] == printed
    assert file.stat().st_mode & 0o777 == 0o600
