"""Forms of faults that imitate one registry, over every protocol."""

from __future__ import annotations

import json
import time
from urllib.parse import urlsplit

import pytest

from tests.faults.test_redirect import follow, location_of, prefix, refused
from tests.registry.pushing import OCI_LAYER, OCI_MANIFEST, descriptor, digest_of, image
from tests.running_registry import Registry

IN_TOTO = "application/vnd.in-toto+json"


def test_a_rate_limit_of_which_a_part_is_used(each: Registry) -> None:
    """HEAD that is not counted shows how many requests are left."""
    path = each.push(10).manifest_path()
    fault = {"type": "rate-limit", "quota": 3, "used": 1, "window": "1h", "count_head": False}
    with each.rule(fault=fault):
        answers = [each.ask(path, method) for method in ("HEAD", "GET", "HEAD", "GET", "GET", "HEAD")]
        assert [answer.status for answer in answers] == [200, 200, 200, 200, 429, 200]
        left = [answer.header("ratelimit-remaining") for answer in answers]
        assert left == ["2;w=3600", "1;w=3600", "1;w=3600", "0;w=3600", "0;w=3600", "0;w=3600"]


def test_a_later_window_starts_with_nothing_used(http1: Registry) -> None:
    path = http1.push(10).manifest_path()
    with http1.rule(fault={"type": "rate-limit", "quota": 1, "used": 1, "window": "500ms"}):
        assert http1.ask(path).status == 429
        deadline = time.monotonic() + 30
        while http1.ask(path).status != 200:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("wanted", [True, False])
def test_only_the_manifests_of_attestations_are_missing(each: Registry, wanted: bool) -> None:
    pushed = each.push(10)
    body = image(pushed.config, layers=[descriptor(pushed.layers[0], IN_TOTO if wanted else OCI_LAYER)])
    path = pushed.manifest_path(reference="about")
    assert each.ask(path, "PUT", [("content-type", OCI_MANIFEST)], content=body).status == 201
    fault = {"type": "not-found", "attestations": True}
    with each.rule(fault=fault, match={"endpoint": "manifest"}) as rule:
        about = [each.ask(path, method) for method in ("GET", "HEAD")]
        assert [answer.status for answer in about] == [404 if wanted else 200] * 2
        assert wanted or about[0].body == body
        assert each.rule_state(rule)["applied"] == (2 if wanted else 0)
        assert each.ask(pushed.manifest_path()).body == pushed.manifest
        assert each.ask(pushed.manifest_path(reference="none")).status == 404
        assert each.ask(path, "PUT", [("content-type", OCI_MANIFEST)], content=body).status == 201
    within = "broken/with/not-found_attestations-true_endpoint-manifest/"
    assert each.ask(pushed.manifest_path(within, "about")).status == (404 if wanted else 200)


def test_an_expired_url_of_r2(each: Registry) -> None:
    url = location_of(each.ask(each.push(1000).layer_path(prefix("form-expired-r2"))))
    refused(follow(each, url), "ExpiredRequest")
    assert follow(each, url, "HEAD").status == 403


@pytest.mark.parametrize(("form", "size"), [("landing-page", 11_500), ("captcha", None)])
def test_a_page_at_the_second_origin(each: Registry, form: str, size: int | None) -> None:
    url = location_of(each.ask(each.push(1000).layer_path(prefix(f"form-{form}"))))
    page, head = follow(each, url), follow(each, url, "HEAD")
    assert (page.status, head.status) == (200, 200)
    assert (page.header("content-type") or "").startswith("text/html")
    assert page.body.startswith(b"<!DOCTYPE html>")
    assert page.body.endswith(b"</body></html>\n")
    assert size in (None, len(page.body))
    assert head.header("content-length") == str(len(page.body))


def test_referrers_without_their_digest(each: Registry) -> None:
    pushed = each.push(10)
    root = f"/v2/broken/with/referrers_form-cut-off/{pushed.repository}/referrers/"
    moved = each.ask(f"{root}{digest_of(pushed.manifest)}")
    assert moved.status == 303
    url = moved.header("location") or ""
    assert url.partition("?")[0].endswith(root)
    assert follow(each, url).status == 429


def test_schema1(each: Registry) -> None:
    """The digest is that of the document without the signature, which differs in each response."""
    pushed = each.push(10, 20)
    path = pushed.manifest_path("broken/with/negotiate_form-schema1/")
    first, second = each.ask(path), each.ask(path)
    assert first.header("docker-content-digest") == second.header("docker-content-digest")
    document = json.loads(first.body)
    assert document.pop("signatures") != json.loads(second.body)["signatures"]
    assert digest_of(json.dumps(document, indent=3).encode()) == first.header("docker-content-digest")
    assert document["fsLayers"] == [{"blobSum": digest_of(layer)} for layer in reversed(pushed.layers)]
    upper, lower = (json.loads(each["v1Compatibility"]) for each in document["history"])
    assert upper["parent"] == lower["id"]
    assert "parent" not in lower
    assert each.ask(pushed.manifest_path("broken/with/negotiate_form-schema1/", "none")).status == 404


def test_a_second_challenge_as_at_artifactory(each: Registry) -> None:
    pushed = each.push(1000)
    for path in (pushed.layer_path(prefix("form-artifactory")), pushed.manifest_path()):
        with each.rule(fault={"type": "redirect", "form": "artifactory"}, match={"endpoint": "manifest"}):
            url = location_of(each.ask(path))
        assert urlsplit(url).path == f"/artifactory/api/docker{path}"
        for method in ("GET", "HEAD"):
            challenged = follow(each, url, method)
            assert challenged.status == 401
            assert "scope=" not in (challenged.header("www-authenticate") or "scope=")
        there = follow(each, url, headers=[("authorization", "Bearer token")])
        assert there.status == 200
        assert there.body in (pushed.layers[0], pushed.manifest)
        assert each.ask(f"/artifactory/api/docker{pushed.manifest_path()}").body == pushed.manifest
