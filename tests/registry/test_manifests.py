"""Manifests: GET, HEAD, PUT and DELETE by tag and by digest. Their bytes are kept unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.registry.pushing import (
    OCI_INDEX,
    OCI_MANIFEST,
    digest_of,
    error_of,
    image,
    push_manifest,
    put_manifest,
    raw_request,
    stored,
)
from tests.server import Brokenreg, brokenreg

LIMIT = 4 * 1024 * 1024
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


async def test_push_and_pull_by_tag_and_digest(http: httpx.AsyncClient) -> None:
    body = image(b"config", b"layer")
    digest = digest_of(body)
    pushed = await put_manifest(http, "manifests/push", "v1", body)
    assert pushed.status_code == 201
    assert pushed.headers["docker-content-digest"] == digest
    assert pushed.headers["location"].endswith(f"/v2/manifests/push/manifests/{digest}")
    for url in ("/v2/manifests/push/manifests/v1", pushed.headers["location"]):
        pulled = await http.get(url)
        assert (pulled.status_code, pulled.content) == (200, body)
        assert pulled.headers["content-type"] == OCI_MANIFEST
        assert pulled.headers["docker-content-digest"] == digest
        assert pulled.headers["docker-distribution-api-version"] == "registry/2.0"
        assert pulled.headers["etag"] == f'"{digest}"'
        head = await http.head(url)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-type", "content-length", "docker-content-digest", "etag"):
            assert head.headers[name] == pulled.headers[name]


async def test_push_by_tag_with_a_digest(http: httpx.AsyncClient) -> None:
    """It is verified, and may use another algorithm. An empty one is ignored."""
    body = image(b"by tag and digest")
    url = "/v2/manifests/tag-digest/manifests"
    for digest in (digest_of(body), digest_of(body, "sha512")):
        pushed = await http.put(f"{url}/v1", params={"digest": digest}, content=body)
        assert (pushed.status_code, pushed.headers["docker-content-digest"]) == (201, digest)
        for reference in ("v1", digest):
            pulled = await http.get(f"{url}/{reference}")
            assert (pulled.content, pulled.headers["docker-content-digest"]) == (body, digest)
    pushed = await http.put(f"{url}/v1?digest=&tag=", content=body)
    assert (pushed.status_code, pushed.headers["docker-content-digest"]) == (201, digest_of(body))


@pytest.mark.parametrize("reference", ["v1", digest_of(image(b"another"))])
@pytest.mark.parametrize("digest", [digest_of(b"other"), digest_of(b"other", "sha512"), "sha256:00", "x"])
async def test_a_wrong_digest_parameter(http: httpx.AsyncClient, reference: str, digest: str) -> None:
    url = f"/v2/manifests/wrong-digest/manifests/{reference}"
    pushed = await http.put(url, params={"digest": digest}, content=image(b"another"))
    assert error_of(pushed, 400)["code"] == "DIGEST_INVALID"
    assert (await http.get(url)).status_code == 404


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_push_by_digest(http: httpx.AsyncClient, algorithm: str) -> None:
    body = image(b"config", algorithm.encode())
    digest = digest_of(body, algorithm)
    assert await push_manifest(http, "manifests/by-digest", digest, body) == digest
    pulled = await http.get(f"/v2/manifests/by-digest/manifests/{digest}")
    assert (pulled.content, pulled.headers["docker-content-digest"]) == (body, digest)
    assert digest not in (await http.get("/v2/manifests/by-digest/tags/list")).json()["tags"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_push_by_digest_with_tags(http: httpx.AsyncClient, algorithm: str) -> None:
    body = image(b"tags", algorithm.encode())
    digest = digest_of(body, algorithm)
    url = f"/v2/manifests/tags-{algorithm}/manifests/{digest}?tag=1.2.3&tag=1&tag=latest"
    pushed = await http.put(url, content=body)
    assert pushed.status_code == 201
    assert pushed.headers.get_list("oci-tag", split_commas=True) == ["1.2.3", "1", "latest"]
    for tag in ("1.2.3", "1", "latest"):
        pulled = await http.get(f"/v2/manifests/tags-{algorithm}/manifests/{tag}")
        assert (pulled.content, pulled.headers["docker-content-digest"]) == (body, digest)


async def test_one_bad_tag_of_many_and_nothing_is_stored(http: httpx.AsyncClient) -> None:
    body = image(b"bad tag")
    response = await http.put(
        f"/v2/manifests/bad-tag/manifests/{digest_of(body)}?tag=good&tag=.bad", content=body
    )
    assert error_of(response, 400)["code"] == "TAG_INVALID"
    for reference in ("good", digest_of(body)):
        assert (await http.get(f"/v2/manifests/bad-tag/manifests/{reference}")).status_code == 404


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (DOCKER_LIST, b'{"schemaVersion":2,"manifests":[]}'),
        (OCI_INDEX, b'{"schemaVersion":2,"manifests":[]}'),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", b'{"schemaVersion":1}'),
        ("application/vnd.example.thing.v9", b"\x00\x01 no JSON at all \xff"),
        ("text/html", b"<script>alert(1)</script>"),
    ],
)
async def test_any_media_type_and_any_bytes(
    http: httpx.AsyncClient, registry: Brokenreg, media_type: str, body: bytes
) -> None:
    digest = await push_manifest(http, "broken/prepared", "odd", body, media_type)
    pulled = await http.get("/v2/broken/prepared/manifests/odd")
    assert (pulled.content, pulled.headers["content-type"]) == (body, media_type)
    assert pulled.headers["docker-content-digest"] == digest == digest_of(body)
    assert pulled.headers["content-security-policy"] == "sandbox"


@pytest.mark.parametrize(
    "document",
    [
        {"annotations": {"key": "\ud800"}},
        {"mediaType": "application/\ud800"},
        {"mediaType": "application/\u20ac"},
        {"mediaType": "text/plain\r\nx-injected: yes"},
        {"artifactType": "\ud800", "subject": {"digest": digest_of(b"odd")}},
        {"annotations": {"key": None}, "config": [], "layers": {"digest": 5}},
        [],
        "text",
    ],
)
async def test_unusual_documents_are_stored_unchanged(http: httpx.AsyncClient, document: object) -> None:
    """They have no Content-Type, so that the media type in the document is used."""
    body = json.dumps(document).encode()
    url = "/v2/manifests/odd/manifests/v1"
    pushed = await http.put(url, content=body)
    assert pushed.status_code == 201, pushed.text
    pulled = await http.get(url)
    assert (pulled.status_code, pulled.content) == (200, body)
    assert "x-injected" not in pulled.headers
    assert (await http.get(f"/v2/manifests/odd/referrers/{digest_of(b'odd')}")).status_code == 200


async def test_the_media_type_without_a_header_is_the_document_s(http: httpx.AsyncClient) -> None:
    await http.put(
        "/v2/manifests/untyped/manifests/index", content=b'{"mediaType":"%s"}' % OCI_INDEX.encode()
    )
    await http.put("/v2/manifests/untyped/manifests/none", content=b"{}")
    for tag, media_type in (("index", OCI_INDEX), ("none", OCI_MANIFEST)):
        pulled = await http.get(f"/v2/manifests/untyped/manifests/{tag}")
        assert pulled.headers["content-type"] == media_type


async def test_a_sparse_manifest_is_accepted(http: httpx.AsyncClient) -> None:
    """Its configuration and its layers were never pushed."""
    body = image(b"never pushed", b"nor this")
    await push_manifest(http, "manifests/sparse", "v1", body)
    assert (await http.get("/v2/manifests/sparse/manifests/v1")).content == body
    assert (await http.get(f"/v2/manifests/sparse/blobs/{digest_of(b'nor this')}")).status_code == 404


async def test_a_subject_is_confirmed(http: httpx.AsyncClient) -> None:
    subject = image(b"the subject")
    body = image(b"signature", subject={"digest": digest_of(subject), "mediaType": OCI_MANIFEST, "size": 1})
    pushed = await put_manifest(http, "manifests/subject", "v1", body)
    assert (pushed.status_code, pushed.headers["oci-subject"]) == (201, digest_of(subject))
    without = await put_manifest(http, "manifests/subject", "v2", subject)
    assert "oci-subject" not in without.headers


async def test_a_tag_moves_and_the_manifest_stays(http: httpx.AsyncClient) -> None:
    old, new = image(b"old"), image(b"new")
    await push_manifest(http, "manifests/moves", "latest", old)
    await push_manifest(http, "manifests/moves", "latest", new)
    assert (await http.get("/v2/manifests/moves/manifests/latest")).content == new
    assert (await http.get(f"/v2/manifests/moves/manifests/{digest_of(old)}")).content == old
    assert (await http.get("/v2/manifests/moves/tags/list")).json()["tags"] == ["latest"]


async def test_delete_a_tag_and_the_manifest_stays(http: httpx.AsyncClient) -> None:
    body = image(b"delete a tag")
    digest = await push_manifest(http, "manifests/untag", "v1", body)
    url = "/v2/manifests/untag/manifests/v1"
    assert (await http.delete(url)).status_code == 202
    assert error_of(await http.get(url), 404)["code"] == "MANIFEST_UNKNOWN"
    assert error_of(await http.delete(url), 404)["code"] == "MANIFEST_UNKNOWN"
    assert (await http.get(f"/v2/manifests/untag/manifests/{digest}")).content == body


async def test_delete_by_digest_deletes_its_tags(http: httpx.AsyncClient) -> None:
    body, other = image(b"delete me"), image(b"keep me")
    digest = await push_manifest(http, "manifests/delete", "v1", body)
    await push_manifest(http, "manifests/delete", "v2", body)
    await push_manifest(http, "manifests/delete", "other", other)
    await push_manifest(http, "manifests/elsewhere", "v1", body)
    assert (await http.delete(f"/v2/manifests/delete/manifests/{digest}")).status_code == 202
    for reference in ("v1", "v2", digest):
        assert (await http.get(f"/v2/manifests/delete/manifests/{reference}")).status_code == 404
    assert (await http.delete(f"/v2/manifests/delete/manifests/{digest}")).status_code == 404
    assert (await http.get("/v2/manifests/delete/tags/list")).json()["tags"] == ["other"]
    assert (await http.get("/v2/manifests/elsewhere/manifests/v1")).content == body


async def test_if_none_match(http: httpx.AsyncClient) -> None:
    digest = await push_manifest(http, "manifests/known", "v1", image(b"known"))
    url = "/v2/manifests/known/manifests/v1"
    for known in (f'"{digest}"', f'W/"{digest}"', f'"other", "{digest}"', "*"):
        response = await http.get(url, headers={"if-none-match": known})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == f'"{digest}"'
    assert (await http.get(url, headers={"if-none-match": '"other"'})).status_code == 200


async def test_exactly_four_mebibytes_are_accepted(http: httpx.AsyncClient) -> None:
    body = b"{}" + b" " * (LIMIT - 2)
    await push_manifest(http, "manifests/large", "v1", body)
    assert (await http.get("/v2/manifests/large/manifests/v1")).content == body


@pytest.mark.parametrize("chunked", [False, True])
async def test_one_byte_more_is_refused(http: httpx.AsyncClient, chunked: bool) -> None:
    async def chunks():
        for _ in range(4):
            yield b" " * (LIMIT // 4)
        yield b" "

    body = chunks() if chunked else b" " * (LIMIT + 1)
    response = await http.put("/v2/manifests/too-large/manifests/v1", content=body)
    assert error_of(response, 413)["code"] == "SIZE_INVALID"
    assert (await http.get("/v2/manifests/too-large/manifests/v1")).status_code == 404
    assert (await http.get("/v2/manifests/too-large/tags/list")).status_code == 404


async def test_a_digest_that_does_not_match_the_body(http: httpx.AsyncClient) -> None:
    wrong = digest_of(b"something else")
    response = await put_manifest(http, "manifests/mismatch", wrong, image(b"mismatch"))
    error = error_of(response, 400)
    assert error["code"] == "DIGEST_INVALID"
    assert digest_of(image(b"mismatch")) in error["message"]
    for reference in (wrong, digest_of(image(b"mismatch"))):
        assert (await http.get(f"/v2/manifests/mismatch/manifests/{reference}")).status_code == 404


async def test_an_empty_body(http: httpx.AsyncClient) -> None:
    response = await put_manifest(http, "manifests/empty", "v1", b"")
    assert error_of(response, 400)["code"] == "MANIFEST_INVALID"
    assert (await http.get("/v2/manifests/empty/manifests/v1")).status_code == 404


async def test_a_body_of_too_many_values(http: httpx.AsyncClient) -> None:
    """Parsing it would block the event loop for half a second."""
    body = b'{"layers":[' + b"[]," * 600_000 + b"[]]}"
    error = error_of(await put_manifest(http, "manifests/values", "v1", body), 400)
    assert error["message"] == "the manifest has more than 500000 JSON values"


def test_a_manifest_that_is_cut_short_is_not_stored(registry: Brokenreg) -> None:
    before = stored(registry)
    for framing, part in [
        (b"Content-Length: 20", b'{"a":1}'),
        (b"Transfer-Encoding: chunked", b"2\r\n{}\r\n"),
    ]:
        head = b"PUT /v2/manifests/cut/manifests/v1 HTTP/1.1\r\nHost: HOST\r\n%s\r\n\r\n" % framing
        response = raw_request(registry, head + part, shut=True)
        assert error_of(response, 400)["code"] == "SIZE_INVALID"
        assert httpx.get(f"{registry.url}/v2/manifests/cut/manifests/v1").status_code == 404
    assert stored(registry) == before


async def test_manifests_survive_a_restart(tmp_path: Path) -> None:
    bodies = {"v1": image(b"one"), "v2": b"no JSON"}
    with brokenreg(tmp_path / "data") as running:
        async with httpx.AsyncClient(base_url=running.url) as http:
            for tag, body in bodies.items():
                await push_manifest(http, "broken/prepared/kept", tag, body)
        running.stop()
    with brokenreg(tmp_path / "data") as running:
        async with httpx.AsyncClient(base_url=running.url) as http:
            for tag, body in bodies.items():
                pulled = await http.get(f"/v2/broken/prepared/kept/manifests/{tag}")
                assert (pulled.content, pulled.headers["content-type"]) == (body, OCI_MANIFEST)
                assert pulled.headers["docker-content-digest"] == digest_of(body)
