"""What firewalls, proxies, object stores and old registries were seen to send, in the profiles of them."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.profiles.conftest import Served
from tests.registry.pushing import digest_of

Serve = Callable[[str], Served]


def _xml(text: str) -> tuple[str | None, str | None]:
    """Return the code and the message of an error of an object store."""
    error = ElementTree.fromstring(text)
    assert error.tag == "Error"
    return error.findtext("Code"), error.findtext("Message")


def test_waf_html(serve: Serve) -> None:
    served = serve("waf-html")
    blocked = served.ask(served.manifest())
    assert (blocked.status, blocked.header("content-type")) == (403, "text/html")
    assert b"<title>403 ERROR</title>" in blocked.body
    head = served.ask(served.manifest(), "HEAD")
    assert (head.status, head.header("content-type")) == (403, "text/html")
    page = served.follow(served.ask(served.layer))
    assert (page.status_code, "confirm that you are a person" in page.text) == (200, True)
    refused = served.ask(f"{served.root}/blobs/uploads/", "POST")
    assert (refused.status, refused.header("content-type")) == (405, "text/html")
    assert refused.body == (
        b"<html>\r\n<head><title>405 Not Allowed</title></head>\r\n<body>\r\n<center><h1>405 Not Allowed</h1>"
        b"</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )


def test_azure_sas_rejects_auth(serve: Serve) -> None:
    served = serve("azure-sas-rejects-auth")
    for path, blob in (
        (served.layer, served.content.image.layers[0]),
        (served.config, served.content.image.config),
    ):
        moved = served.ask(path)
        assert moved.status_line == b"HTTP/1.1 307 Temporary Redirect"
        assert "sig=" in (moved.header("location") or "").partition("?")[2]
        refused = served.follow(moved, {"authorization": "Bearer token"})
        assert (refused.status_code, refused.headers["content-type"]) == (400, "application/xml")
        assert _xml(refused.text)[0] == "InvalidAuthenticationInfo"
        assert served.follow(moved).content == blob


def test_signed_url_expired(serve: Serve) -> None:
    served = serve("signed-url-expired")
    for path in (served.layer, served.config):
        first, second, third = (served.follow(served.ask(path)) for _ in range(3))
        assert [each.status_code for each in (first, second, third)] == [403] * 3
        assert first.headers["content-type"] == "application/xml"
        assert _xml(first.text) == ("AccessDenied", "Request has expired")
        assert _xml(second.text)[0] == _xml(third.text)[0] == "ExpiredRequest"
    assert served.ask(served.manifest()).status == 200


def test_no_multi_range(serve: Serve) -> None:
    served = serve("no-multi-range")
    for path, blob in (
        (served.layer, served.content.image.layers[0]),
        (served.config, served.content.image.config),
    ):
        several = [served.ask(path, headers=[("Range", "bytes=0-9,20-29")]) for _ in range(3)]
        assert [each.status for each in several] == [416, 200, 200]
        assert several[1].body == blob
        one = served.ask(path, headers=[("Range", "bytes=0-9")])
        assert (one.status, one.body) == (206, blob[:10])


def test_corporate_proxy(serve: Serve) -> None:
    served = serve("corporate-proxy")
    for method in ("GET", "HEAD"):
        answers = [served.ask(path, method) for path in (served.manifest(), served.layer)]
        assert all(
            answer.status == 200 and answer.header("docker-content-digest") is None for answer in answers
        )
    for path, blob in (
        (served.layer, served.content.image.layers[0]),
        (served.config, served.content.image.config),
    ):
        wrapped = served.ask(path)
        assert wrapped.header("content-encoding") == "gzip"
        assert int(wrapped.header("content-length") or 0) == len(wrapped.body) != len(blob)
        assert gzip.decompress(wrapped.body) == blob
    assert served.ask(served.manifest()).body == served.content.image.manifest


@pytest.mark.parametrize("accept", ["application/vnd.oci.image.manifest.v1+json", "*/*"])
def test_schema1_only(serve: Serve, accept: str) -> None:
    served = serve("schema1-only")
    answer = served.ask(served.manifest(), headers=[("Accept", accept)])
    assert answer.status == 200
    assert answer.header("content-type") == "application/vnd.docker.distribution.manifest.v1+prettyjws"
    document = json.loads(answer.body)
    assert (document["schemaVersion"], document["tag"]) == (1, "v1")
    assert document["fsLayers"] == [{"blobSum": digest_of(served.content.image.layers[0])}]
    assert len(document["history"]) == 1
    assert digest_of(_verified(answer.body)) == answer.header("docker-content-digest")
    head = served.ask(served.manifest(), "HEAD")
    assert head.header("docker-content-digest") == answer.header("docker-content-digest")
    assert head.header("content-length") == str(len(answer.body))
    assert served.ask(served.manifest("index")).status == 404
    assert served.ask(served.layer).body == served.content.image.layers[0]


def _verified(signed: bytes) -> bytes:
    """Return the signed part of a manifest in schema 1. Raise an error if the signature is wrong."""
    (entry,) = json.loads(signed)["signatures"]
    protected = json.loads(_decoded(entry["protected"]))
    payload = signed[: protected["formatLength"]] + _decoded(protected["formatTail"])
    key = entry["header"]["jwk"]
    x, y = (int.from_bytes(_decoded(key[name])) for name in "xy")
    halves = _decoded(entry["signature"])
    signature = encode_dss_signature(int.from_bytes(halves[:32]), int.from_bytes(halves[32:]))
    encoded = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    public.verify(signature, f"{entry['protected']}.{encoded}".encode(), ec.ECDSA(hashes.SHA256()))
    return payload


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
