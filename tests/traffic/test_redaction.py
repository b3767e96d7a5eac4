"""Secrets in headers and query parameters do not reach any log."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import httpx
import pytest

from brokenreg.diagnostics import Diagnostics
from brokenreg.proxy.errors import UpstreamContentError
from brokenreg.traffic.bodies import Body
from brokenreg.traffic.redaction import redact_headers, redact_query
from brokenreg.traffic.replay import ReplayError, curl, replay_of
from brokenreg.traffic.timeline_text import text_of
from brokenreg.traffic.upstream_events import UpstreamResponded
from tests.process import brokenreg_process
from tests.server import Brokenreg
from tests.traffic.making import exchange

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
    """The parameters of token services and of storage services, in any spelling."""
    redacted = redact_query(f"service=a.b&{name}={SECRET}&scope=repository:x/y:pull&{name}={SECRET}")
    assert SECRET not in redacted
    assert "service=a.b" in redacted
    assert "scope=repository:x/y:pull" in redacted


@pytest.mark.parametrize(
    "query", ["", "n=2&last=a%2Fb", "digest=sha256:0&tag=1&tag=", "mount=x&from=y/z", "%ff"]
)
def test_other_queries_stay_unchanged(query: str) -> None:
    assert redact_query(query) == query


@pytest.mark.slow
def test_no_secret_is_shown(tmp_path: Path) -> None:
    """The secret is really sent, but no output, log file, control API, HAR or event shows it."""
    file = tmp_path / "exchanges.jsonl"
    parameters = ("token", "password", "client_secret", "X-Amz-Signature", "%74oken", "key", "jwt", "apikey",
                  "code", "assertion", "pass", "session", "AWSAccessKeyId")  # fmt: skip
    headers = {
        "authorization": f"Bearer {SECRET}",
        "proxy-authorization": f"Basic {SECRET}",
        "cookie": f"session={SECRET}",
        **dict.fromkeys(("x-registry-auth", "x-auth-token", "private-token", "x-jfrog-art-api"), SECRET),
        **dict.fromkeys(("x-amz-security-token", "x-vault-token", "job-token"), SECRET),
        "x-forwarded-authorization": f"Basic {SECRET}",
        "referer": f"http://casey:{SECRET}@h/?x=1",
    }
    paths = (f"/v2/a/b/blobs/casey:{SECRET}@x", f"/v2/?service=x%23access_token={SECRET}")
    with brokenreg_process(tmp_path / "data", "--log", str(file)) as running, httpx.Client() as http:
        with http.stream("GET", f"{running.control}/v1/events", params={"namespace": "*"}) as events:
            for name, value in headers.items():
                assert http.get(f"{running.url}/v2/", headers={name: value}).status_code == 200
            for parameter in parameters:
                assert http.get(f"{running.url}/v2/?service=x&{parameter}={SECRET}").status_code == 200
            for path in paths:
                http.get(running.url + path)
            reported = _until(events, len(headers) + len(parameters) + len(paths))
        listed = http.get(f"{running.control}/v1/exchanges", params={"limit": 1000}).json()
        shown = [http.get(f"{running.control}/v1/exchanges/{each['id']}").text for each in listed]
        shown += [http.get(f"{running.control}/v1/exchanges.har").text, json.dumps(listed), reported]
        running.stop()
    printed = [line for line in running.lines if line["event"] == "exchange"]
    assert len(printed) == len(headers) + len(parameters) + len(paths) == len(listed)
    assert SECRET not in json.dumps(printed)
    assert not [text for text in shown if SECRET in text]
    assert {line["query"].partition("&")[0] for line in printed[len(headers) : -2]} == {"service=x"}
    assert SECRET not in file.read_text()
    assert [json.loads(line) for line in file.read_text().splitlines()] == printed
    assert file.stat().st_mode & 0o777 == 0o600


def _until(events: httpx.Response, count: int) -> str:
    """Return the stream of events until that many exchanges have ended."""
    text = ""
    for line in events.iter_lines():
        text += f"{line}\n"
        if text.count("event: ended") >= count:
            break
    return text


def test_a_manifest_with_a_token_in_it(registry: Brokenreg) -> None:
    """It is shown without the token, and is not used in that form for a replay or curl."""
    manifest = json.dumps({"schemaVersion": 2, "annotations": {"a": "ghp_0123456789abcdefABCDEF0123"}})
    url = f"{registry.url}/v2/a/b/manifests/v1"
    httpx.put(url, content=manifest, headers={"content-type": "application/vnd.oci.image.manifest.v1+json"})
    (listed,) = httpx.get(f"{registry.control}/v1/exchanges", params={"filter": "repo:a/b"}).json()
    har = httpx.get(f"{registry.control}/v1/exchanges.har", params={"filter": "repo:a/b"})
    (entry,) = har.json()["log"]["entries"]
    assert "ghp_" not in har.text
    assert entry["request"]["postData"]["text"] == manifest.replace("ghp_0123456789abcdefABCDEF0123", "***")
    assert entry["request"]["postData"]["comment"] == "secrets were replaced by ***"
    assert listed["request_bytes"] == len(manifest)


def test_a_body_whose_secrets_were_replaced_is_not_sent_again() -> None:
    put = exchange("/v2/a/b/manifests/v1", "PUT", headers=(("content-type", "x/y"),), request_bytes=20)
    body = Body.of(b"x ghp_0123456789abcdefABCDEF0123", 32, is_document=True)
    with pytest.raises(ReplayError, match="its body contained a secret, which was not recorded"):
        replay_of(put, ["http://127.0.0.1:1"], body)
    assert "***" not in curl(put, "http://h", body)
    assert "# omitted, because it was not recorded: the body" in curl(put, "http://h", body)


def test_a_path_that_cannot_be_read_is_not_sent_again_either() -> None:
    get = exchange("/v2/a/b/blobs/casey:***@x")
    with pytest.raises(ReplayError, match="its URL contained a secret"):
        replay_of(get, ["http://127.0.0.1:1"], None)


def test_the_timeline_and_our_own_log_have_no_secret() -> None:
    seen = exchange()
    seen.add(UpstreamResponded("GET", f"https://casey:{SECRET}@h/token?key={SECRET}", 401))
    assert seen.timeline[-1].event == UpstreamResponded("GET", "https://***@h/token?key=***", 401)
    assert text_of(seen.timeline[-1].event) == "upstream GET https://***@h/token?key=***: 401"
    diagnostics = Diagnostics()
    record = logging.makeLogRecord({"msg": "cannot reach %s", "args": (f"https://h/?sig={SECRET}",)})
    diagnostics.emit(record)
    assert diagnostics.lines()[0].text == "cannot reach https://h/?sig=***"


def test_messages_of_upstreams_reach_clients_without_secrets() -> None:
    error = UpstreamContentError(f"quay.io redirects to https://casey:{SECRET}@h/b?X-Amz-Signature={SECRET}")
    assert error.message == "quay.io redirects to https://***@h/b?X-Amz-Signature=***"
