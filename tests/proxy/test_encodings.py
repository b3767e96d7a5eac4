"""Encodings that were not requested: if the content is wrong, the error names the encoding."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator

import httpx
import pytest

from tests.proxy.chain import PLAIN
from tests.proxy.scripted import Answer, Scripted
from tests.registry.pushing import MIB, OCI_MANIFEST, digest_of, image
from tests.server import Brokenreg, brokenreg

CONFIG = b"{}"
MANIFEST = image(CONFIG, b"layer")
LARGE = random.Random("blob").randbytes(2 * MIB)
NAMED = "quay.io (with Content-Encoding gzip, which was not requested) sent"
ENCODED = {"content-encoding": "gzip", "content-type": OCI_MANIFEST}
JSON = {"content-encoding": "gzip", "content-type": "application/json"}

Case = tuple[str, dict[str, str], bytes]
"""A path below the repository, the headers and the content of what is there."""

CASES: dict[str, Case] = {
    "a manifest by tag": ("manifests/v1", ENCODED, MANIFEST),
    "a manifest by digest": (f"manifests/{digest_of(MANIFEST)}", ENCODED, MANIFEST),
    "a manifest with its digest": (
        "manifests/v2",
        {**ENCODED, "docker-content-digest": digest_of(MANIFEST)},
        MANIFEST,
    ),
    "tags": ("tags/list", JSON, b'{"name":"org/app","tags":["v1"]}'),
    "referrers": (
        f"referrers/{digest_of(b'subject')}",
        JSON,
        json.dumps({"schemaVersion": 2, "manifests": []}).encode(),
    ),
    "a small blob": (f"blobs/{digest_of(CONFIG)}", ENCODED, CONFIG),
    "a large blob": (f"blobs/{digest_of(LARGE)}", ENCODED, LARGE),
}


@pytest.fixture(scope="module")
def proxy(odd: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    with brokenreg(tmp_path_factory.mktemp("proxy"), "--upstream", f"quay.io={odd.url}") as running:
        yield running


def get(proxy: Brokenreg, repository: str, path: str) -> httpx.Response:
    return httpx.get(f"{proxy.url}/v2/org/{repository}/{path}", verify=PLAIN, timeout=30)


def message(response: httpx.Response) -> str:
    assert response.status_code == 502
    return str(response.json()["errors"][0]["message"])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_error_names_an_encoding(odd: Scripted, proxy: Brokenreg, case: Case) -> None:
    path, headers, content = case
    odd.answers = {f"/v2/org/encoded/{path}": Answer(200, headers, gzip.compress(content))}
    assert message(get(proxy, "encoded", path)).startswith(NAMED)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_encoded_content_with_the_right_digest_is_served(odd: Scripted, proxy: Brokenreg, case: Case) -> None:
    """Some file servers name the encoding of a layer, which is a part of the blob."""
    path, headers, content = case
    odd.answers = {f"/v2/org/named/{path}": Answer(200, headers, content)}
    response = get(proxy, "named", path)
    assert response.status_code == 200
    assert "content-encoding" not in response.headers
    if "/list" not in path and "referrers" not in path:
        assert response.content == content


def test_a_head_has_no_size_for_encoded_content(odd: Scripted, proxy: Brokenreg) -> None:
    path = f"blobs/{digest_of(b'layer')}"
    odd.answers = {
        "/v2/org/head/manifests/v1": Answer(200, {"content-type": OCI_MANIFEST}, MANIFEST),
        f"/v2/org/head/{path}": Answer(200, ENCODED, gzip.compress(b"layer")),
    }
    assert get(proxy, "head", "manifests/v1").status_code == 200
    head = httpx.head(f"{proxy.url}/v2/org/head/{path}", verify=PLAIN)
    assert (head.status_code, head.headers.get("content-length")) == (200, None)


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("zstd", "zstd"), ("identity", ""), ("identity, br", "br"), ("x\x1b[31m" + "y" * 200, "x")],
)
def test_how_an_encoding_is_named(odd: Scripted, proxy: Brokenreg, encoding: str, named: str) -> None:
    odd.answers = {
        f"/v2/org/name/blobs/{digest_of(b'blob')}": Answer(200, {"content-encoding": encoding}, b"blub")
    }
    told = message(get(proxy, "name", f"blobs/{digest_of(b'blob')}"))
    assert ("with Content-Encoding" in told) == bool(named)
    assert f"with Content-Encoding {named}" in told or not named
    assert "\x1b" not in told
    assert len(told) < 400


def test_the_error_names_an_encoding_of_a_token(odd: Scripted, proxy: Brokenreg) -> None:
    challenge = {"www-authenticate": f'Bearer realm="{odd.url}/token",service="s"'}
    odd.answers = {
        "/v2/org/token/manifests/v1": Answer(401, challenge),
        "/token": Answer(200, JSON, gzip.compress(b'{"token":"t0ken"}')),
    }
    told = message(get(proxy, "token", "manifests/v1"))
    assert "(with Content-Encoding gzip, which was not requested) sent no valid token" in told


@pytest.mark.parametrize("coding", ["gzip, chunked", "deflate", "identity"])
def test_the_error_names_a_transfer_coding(odd: Scripted, proxy: Brokenreg, coding: str) -> None:
    odd.answers = {"/v2/org/coded/manifests/v1": Answer(200, {"transfer-encoding": coding}, MANIFEST)}
    told = message(get(proxy, "coded", "manifests/v1"))
    assert f"Transfer-Encoding {coding}, which was not requested" in told
