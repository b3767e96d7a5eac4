"""What Quay, GitHub, Amazon, Artifactory and others were seen to send, in the profiles of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx

from tests import raw_http
from tests.profiles.conftest import Served
from tests.registry.pushing import digest_of

Serve = Callable[[str], Served]

EXPIRED = "Your authorization token has expired. Reauthenticate and try again."


def _error(answer: raw_http.Answer) -> tuple[int | None, str, str]:
    """Return the status, the code and the message."""
    (error,) = json.loads(answer.body)["errors"]
    return answer.status, error["code"], error["message"]


def test_quay_flapping(serve: Serve) -> None:
    served = serve("quay-flapping")
    for path in (served.manifest(), served.manifest("index"), served.layer, served.config, served.token):
        assert [served.ask(path).status for _ in range(4)] == [500, 502, 200, 200]
    pings = [served.ask("/v2/") for _ in range(2)]
    if served.is_path:
        assert [each.status for each in pings] == [200, 200]
    else:
        assert [(each.raw, each.ended) for each in pings[:1]] == [(b"", "fin")]
        assert pings[1].status == 200
        assert served.ask("/v2/", client="127.0.0.2").raw == b""


def test_ghcr_hangs(serve: Serve) -> None:
    served = serve("ghcr-hangs")
    for path in [served.token] + ([] if served.is_path else ["/v2/", "/token"]):
        answer = served.ask(path, timeout=1)
        assert (answer.raw, answer.ended) == (b"", "timeout")
    assert served.ask(served.manifest()).body == served.content.image.manifest
    assert served.ask(served.layer).body == served.content.image.layers[0]


def test_ghcr_no_referrers(serve: Serve) -> None:
    served = serve("ghcr-no-referrers")
    path = f"{served.root}/referrers/{served.manifest_digest}"
    assert _error(served.ask(path))[:2] == (404, "MANIFEST_UNKNOWN")
    moved = served.ask(path)
    assert moved.status == 303
    assert served.manifest_digest.removeprefix("sha256:") not in (moved.header("location") or "")
    assert served.follow(moved).status_code == 429
    assert served.ask(served.manifest()).status == 200


def test_ecr_token_expired(serve: Serve) -> None:
    served = serve("ecr-token-expired")
    body = json.dumps({"errors": [{"code": "DENIED", "message": EXPIRED}]}, separators=(",", ":")).encode()
    login = [("Authorization", "Basic QVdTOnRva2Vu")]
    for path in [served.manifest(), served.layer, f"{served.root}/tags/list"] + [
        path for path in ("/v2/",) if not served.is_path
    ]:
        assert served.ask(path, "HEAD", login).status == 403
        first, second = served.ask(path, headers=login), served.ask(path, headers=login)
        assert (first.status, first.body, first.header("www-authenticate")) == (403, body, None)
        assert (second.status, second.header("content-type")) == (403, "text/plain")
        assert second.body == EXPIRED.encode()


def test_ecr_public_throttled(serve: Serve) -> None:
    served = serve("ecr-public-throttled")
    pulls = [served.ask(served.manifest(), client="127.0.0.3") for _ in range(2)]
    assert pulls[0].status == 200
    assert _error(pulls[1]) == (429, "TOOMANYREQUESTS", "Rate exceeded")
    blobs = [served.ask(served.layer) for _ in range(11)]
    assert [each.status for each in blobs] == [200] * 10 + [429]
    assert _error(blobs[-1]) == (429, "TOOMANYREQUESTS", "Data limit exceeded")
    assert pulls[1].header("retry-after") is blobs[-1].header("retry-after") is None
    login = [("Authorization", "Bearer token")]
    assert [served.ask(served.layer, headers=login).status for _ in range(2)] == [200, 200]


def test_ecr_max_results(serve: Serve) -> None:
    served = serve("ecr-max-results")
    assert served.ask(f"{served.root}/tags/list?n=1000").status == 200
    status, code, message = _error(served.ask(f"{served.root}/tags/list?n=1001"))
    assert (status, code) == (405, "UNSUPPORTED")
    assert "maxResults" in message


def test_artifactory_html_login(serve: Serve) -> None:
    served = serve("artifactory-html-login")
    for path in [served.manifest(), served.layer, served.token] + ([] if served.is_path else ["/v2/"]):
        moved = served.ask(path)
        assert moved.status_line == b"HTTP/1.1 302 Found"
        page = served.follow(moved)
        assert (page.status_code, len(page.content)) == (200, 11_500)
        assert page.headers["content-type"].startswith("text/html")
        assert page.text.startswith("<!DOCTYPE html>")


def test_nexus_hyphen_digest(serve: Serve) -> None:
    served = serve("nexus-hyphen-digest")
    by_digest = served.manifest(served.manifest_digest)
    heads = [served.ask(by_digest, "HEAD") for _ in range(2)]
    assert [each.status for each in heads] == [304, 200]
    attestation = served.manifest(digest_of(served.content.attestation))
    assert [served.ask(attestation, "HEAD").status for _ in range(2)] == [304, 200]
    assert _error(served.ask(attestation))[:2] == (404, "MANIFEST_UNKNOWN")
    assert served.ask(by_digest).body == served.content.image.manifest
    assert served.ask(served.manifest("index")).body == served.content.index
    assert served.ask(served.manifest(), "HEAD").status == 200


def test_artifactory_anonymous(serve: Serve) -> None:
    served = serve("artifactory-anonymous")
    realm = f'Bearer realm="{served.running.url}/token",service="brokenreg"'
    for path in [served.manifest(), served.layer] + ([] if served.is_path else ["/v2/"]):
        challenged = served.ask(path)
        assert (challenged.status, challenged.header("www-authenticate")) == (401, realm)
    for path, content in (
        (served.manifest(), served.content.image.manifest),
        (served.layer, served.content.image.layers[0]),
        (served.config, served.content.image.config),
    ):
        moved = served.ask(path, headers=[("Authorization", "Bearer token")])
        assert moved.status_line == b"HTTP/1.1 302 Found"
        there = urlsplit(moved.header("location") or "")
        assert there.path == f"/artifactory/api/docker{path}"
        again = served.follow(moved)
        assert again.status_code == 401
        token_service = f"{there.scheme}://{there.netloc}/token"
        assert again.headers["www-authenticate"] == f'Bearer realm="{token_service}",service="brokenreg"'
        token = httpx.get(token_service).json()["token"]
        assert served.follow(moved, {"authorization": f"Bearer {token}"}).content == content
