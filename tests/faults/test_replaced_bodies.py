"""Bodies that are replaced, changed or encoded, and manifests that Accept does not name."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import httpx
import pytest
import zstandard

from tests.registry.pushing import OCI_INDEX, OCI_MANIFEST, digest_of
from tests.running_registry import Registry

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def body(**parameters: Any) -> dict[str, Any]:
    return {"type": "body", **parameters}


@pytest.mark.parametrize(
    ("name", "content_type", "words"),
    [
        ("sign-in", "text/html; charset=utf-8", b"Sign in"),
        ("blocked", "text/html; charset=utf-8", b"403 ERROR"),
        ("captcha", "text/html; charset=utf-8", b"confirm that you are a person"),
        ("not-allowed", "text/html; charset=utf-8", b"<center>nginx</center>"),
        ("access-denied", "application/xml", b"<Code>AccessDenied</Code>"),
        ("empty", "text/plain; charset=utf-8", b""),
    ],
)
def test_a_body_by_name(each: Registry, name: str, content_type: str, words: bytes) -> None:
    pushed = each.push(40_000)
    answer = each.ask(f"/v2/broken/with/body_named-{name}/{pushed.repository}/manifests/v1")
    assert (answer.status, answer.header("content-type")) == (200, content_type)
    assert words in answer.body
    assert answer.header("content-length") == str(len(answer.body))


@pytest.mark.parametrize(
    ("parameters", "sent"),
    [
        ({"text": "é"}, "é".encode()),
        ({"base64": base64.b64encode(bytes(range(256))).decode()}, bytes(range(256))),
        ({"text": ""}, b""),
    ],
)
def test_a_body_of_ones_own(each: Registry, parameters: dict[str, str], sent: bytes) -> None:
    pushed = each.push(2_000_000)
    with each.rule(fault=body(**parameters, content_type="x/y"), match={"endpoint": "layer"}):
        answer = each.ask(pushed.layer_path())
        assert each.ask(pushed.layer_path(), "HEAD").header("content-length") == "2000000"
    assert (answer.body, answer.header("content-type")) == (sent, "x/y")
    assert each.exchange(pushed.layer_path())["faults"] == ["body"]


def test_members_of_the_true_document(each: Registry) -> None:
    pushed = each.push(10, 20)
    members = {"layers.1.size": "many", "config": None, "new": [1], "layers.7.size": 3, "config.size": 4}
    with each.rule(fault=body(members=members, remove=["mediaType", "layers.0", "absent.x"])):
        answer = each.ask(pushed.manifest_path())
    wanted = json.loads(pushed.manifest)
    wanted.pop("mediaType", None)
    wanted["layers"][1]["size"] = "many"
    del wanted["layers"][0]
    wanted |= {"config": None, "new": [1]}
    assert json.loads(answer.body) == wanted
    assert answer.header("content-length") == str(len(answer.body))


@pytest.mark.parametrize("parameters", [{"remove": ["absent"]}, {"members": {"schemaVersion": 2}}])
def test_a_document_that_stays_the_same(http1: Registry, parameters: dict[str, Any]) -> None:
    pushed = http1.push(10)
    with http1.rule(fault=body(**parameters), match={"endpoint": "manifest"}) as rule:
        assert http1.ask(pushed.manifest_path()).body == pushed.manifest
        assert http1.rule_state(rule)["applied"] == 0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"file": "/etc/passwd"}, "file is only for scenario files"),
        ({"text": "x", "named": "empty"}, "exclude each other; keep one"),
        ({"named": "other"}, "use empty, sign-in, blocked, captcha, not-allowed or access-denied"),
        ({"base64": "?"}, "use base64, as in RFC 4648"),
        ({"members": {}}, "members"),
    ],
)
def test_a_wrong_parameter(http1: Registry, parameters: dict[str, Any], words: str) -> None:
    with http1.control() as control:
        refused = control.post("/v1/rules", json={"fault": body(**parameters)})
    assert refused.status_code == 400
    assert words in refused.json()["detail"]


def decoded(coding: str, data: bytes) -> bytes:
    match coding:
        case "gzip":
            return gzip.decompress(data)
        case "deflate":
            return zlib.decompress(data)
    with zstandard.ZstdDecompressor().stream_reader(data) as reader:
        return reader.read()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("size", [1, 100_000, 1_500_000])
def test_an_encoded_body(each: Registry, coding: str, size: int) -> None:
    pushed = each.push(size)
    path = pushed.layer_path(f"broken/with/encode_coding-{coding}/")
    answer = each.ask(path)
    assert answer.header("content-encoding") == coding
    assert decoded(coding, answer.body) == pushed.layers[0]
    length = str(len(answer.body)) if size <= 256 * 1024 else None
    assert answer.header("content-length") == length
    without = each.ask(pushed.layer_path(f"broken/with/encode_coding-{coding}_header-false/"))
    assert without.header("content-encoding") is None
    assert decoded(coding, without.body) == pushed.layers[0]


def test_a_client_that_decodes_gets_the_layer(http1: Registry) -> None:
    pushed = http1.push(300_000)
    url = f"{http1.running.url}{pushed.layer_path('broken/with/encode/')}"
    assert httpx.get(url, headers={"accept-encoding": "gzip"}, verify=False).content == pushed.layers[0]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (OCI_MANIFEST, 200),
        (f"{DOCKER_MANIFEST}, {OCI_MANIFEST};q=0.5", 200),
        ("*/*", 200),
        (DOCKER_MANIFEST, 404),
        (OCI_INDEX, 404),
        (None, 404),
    ],
)
def test_accept_must_name_the_type(each: Registry, accept: str | None, status: int) -> None:
    pushed = each.push(10)
    headers = [] if accept is None else [("accept", accept)]
    path = pushed.manifest_path("broken/with/negotiate/")
    for method in ("HEAD", "GET"):
        answer = each.ask(path, method, headers)
        assert answer.status == status
        assert answer.body == (pushed.manifest if (method, status) == ("GET", 200) else answer.body)
    refused = pushed.manifest_path("broken/with/negotiate_form-not-acceptable/")
    assert each.ask(refused, headers=headers).status == (406 if status == 404 else 200)


def test_another_representation(each: Registry) -> None:
    pushed = each.push(10)
    path = pushed.manifest_path("broken/with/negotiate_form-convert/")
    answer = each.ask(path, headers=[("accept", DOCKER_MANIFEST)])
    assert answer.header("content-type") == DOCKER_MANIFEST
    assert answer.header("docker-content-digest") == digest_of(answer.body) != digest_of(pushed.manifest)
    got, stored = json.loads(answer.body), json.loads(pushed.manifest)
    assert [each["digest"] for each in got["layers"]] == [each["digest"] for each in stored["layers"]]
    assert got["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    head = each.ask(path, "HEAD", [("accept", DOCKER_MANIFEST)])
    assert head.header("docker-content-digest") == answer.header("docker-content-digest")
    assert each.ask(path, headers=[("accept", OCI_INDEX)]).status == 404
