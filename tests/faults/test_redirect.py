"""`redirect`: each form on the wire over each protocol, and with real clients."""

from __future__ import annotations

import errno
import hashlib
import re
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.clients.conftest import Client, client_env, short_folder, skopeo  # noqa: F401
from tests.registry.pushing import digest_of
from tests.running_registry import Registry
from tests.second_origin.client import follow, leaks, location_of, refused, second, status
from tests.server import Brokenreg, brokenreg

ALL = "broken/with/redirect/"


def prefix(parameters: str) -> str:
    return f"broken/with/redirect_{parameters}/"


def test_it_works(each: Registry) -> None:
    """GET and HEAD of layer and configuration; the manifest is not redirected."""
    pushed = each.push(300_000)
    for content in (pushed.layers[0], pushed.config):
        path = pushed.blob_path(content, ALL)
        for method in ("GET", "HEAD"):
            url = location_of(each.ask(path, method))
            assert urlsplit(url).path == path
            there = follow(each, url, method)
            assert (there.status, there.header("content-length")) == (200, str(len(content)))
            assert there.body == (content if method == "GET" else b"")
    assert each.ask(pushed.manifest_path(ALL)).body == pushed.manifest


def test_a_part(each: Registry) -> None:
    pushed = each.push(300_000)
    url = location_of(each.ask(pushed.layer_path(ALL), headers=[("range", "bytes=1000-1999")]))
    there = follow(each, url, headers=[("range", "bytes=1000-1999")])
    assert (there.status, there.header("content-range")) == (206, "bytes 1000-1999/300000")
    assert there.body == pushed.layers[0][1000:2000]


def test_a_fabricated_image(each: Registry) -> None:
    manifest = httpx.get(f"{each.running.url}/v2/broken/redirect/manifests/latest", verify=False).json()
    digest = manifest["layers"][0]["digest"]
    there = follow(each, location_of(each.ask(f"/v2/broken/redirect/blobs/{digest}")))
    assert digest_of(there.body) == digest


def test_expired(each: Registry) -> None:
    pushed = each.push(1000)
    url = location_of(each.ask(pushed.layer_path(prefix("form-expired"))))
    there = follow(each, url)
    refused(there, "AccessDenied")
    assert b"<Message>Request has expired</Message></Error>" in there.body
    assert follow(each, url, "HEAD").status == 403


def test_head_only(each: Registry) -> None:
    pushed = each.push(1000)
    url = location_of(each.ask(pushed.layer_path(prefix("form-head-only"))))
    assert follow(each, url, "HEAD").header("content-length") == "1000"
    refused(follow(each, url), "SignatureDoesNotMatch")


def test_html(each: Registry) -> None:
    pushed = each.push(1000)
    url = location_of(each.ask(pushed.layer_path(prefix("form-html"))))
    there = follow(each, url)
    assert (there.status, there.header("content-type")) == (200, "text/html; charset=utf-8")
    assert there.body.startswith(b"<!DOCTYPE html>\n<html>")
    assert follow(each, url, "HEAD").header("content-length") == str(len(there.body))


def test_loop(each: Registry) -> None:
    """The redirects never end."""
    pushed = each.push(1000)
    url = location_of(each.ask(pushed.layer_path(prefix("form-loop_status-302"))), 302)
    for _ in range(5):
        url = location_of(follow(each, url), 302)
    with httpx.Client(follow_redirects=True, verify=False) as http, pytest.raises(httpx.TooManyRedirects):
        http.get(url)


def test_dead(each: Registry) -> None:
    """Connections are refused, and no other process can bind the port."""
    pushed = each.push(1000)
    place = urlsplit(location_of(each.ask(pushed.layer_path(prefix("form-dead")))))
    assert place.hostname is not None
    assert place.port is not None
    assert place.port != urlsplit(status(each.running)["second_origin"]).port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((place.hostname, place.port), timeout=5)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match=re.escape(f"[Errno {errno.EADDRINUSE}]")):
            other.bind((place.hostname, place.port))


def test_hops(each: Registry) -> None:
    """Three redirects in all, each with the status, then the content."""
    pushed = each.push(1000)
    url = location_of(each.ask(pushed.layer_path(prefix("hops-3_status-308"))), 308)
    for _ in range(2):
        url = location_of(follow(each, url), 308)
    assert follow(each, url).body == pushed.layers[0]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_status(http2: Registry, code: int) -> None:
    pushed = http2.push(10)
    location_of(http2.ask(pushed.layer_path(prefix(f"status-{code}"))), code)


@pytest.mark.slow
def test_the_lifetime_of_a_url(http2: Registry) -> None:
    pushed = http2.push(1000)
    began = time.monotonic()
    url = location_of(http2.ask(pushed.layer_path(prefix("lifetime-1500ms"))))
    first = follow(http2, url)
    if time.monotonic() - began < 1.4:
        assert first.body == pushed.layers[0]
    deadline = began + 10
    while follow(http2, url).status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert time.monotonic() - began >= 1.4
    refused(follow(http2, url), "AccessDenied")


def test_manifests_when_told(each: Registry) -> None:
    pushed = each.push(10)
    with each.rule(
        match={"endpoint": "manifest", "repository": pushed.repository}, fault={"type": "redirect"}
    ):
        there = follow(each, location_of(each.ask(pushed.manifest_path())))
        assert there.body == pushed.manifest
        assert there.header("content-type") == "application/vnd.oci.image.manifest.v1+json"


def test_a_push_when_told(each: Registry) -> None:
    """Each step at the second origin leads to the next one there. The pushed content is in the registry."""
    content, repository = b"pushed elsewhere" * 1000, f"redirected/{each.protocol[0]}{each.is_tls}".lower()
    upload = f"broken/with/redirect_endpoint-upload/{repository}"
    begun = each.ask(f"/v2/{upload}/blobs/uploads/", "POST")
    with httpx.Client(http2=each.is_http2, verify=False, timeout=10) as http:
        session = http.post(location_of(begun), content=b"")
        assert session.status_code == 202
        patched = http.patch(session.headers["location"], content=content[:100])
        assert (patched.status_code, patched.headers["range"]) == (202, "0-99")
        assert http.get(patched.headers["location"]).headers["range"] == "0-99"
        put = httpx.URL(patched.headers["location"]).copy_merge_params({"digest": digest_of(content)})
        done = http.put(put, content=content[100:])
        assert done.status_code == 201
        assert done.headers["location"].startswith(second(each.running).url)
        assert http.get(done.headers["location"]).content == content
    assert each.ask(f"/v2/{repository}/blobs/{digest_of(content)}").body == content


def test_a_rule_applies_once_to_a_redirected_download(each: Registry) -> None:
    """Rules apply only at the registry's own listener, and the log distinguishes the two."""
    pushed = each.push(1000)
    path = pushed.layer_path()
    rule = {"match": {"endpoint": "any", "repository": pushed.repository}, "fault": {"type": "redirect"}}
    with each.rule(**rule) as number:
        assert follow(each, location_of(each.ask(path))).body == pushed.layers[0]
        state = each.rule_state(number)
    assert (state["matched"], state["applied"]) == (1, 1)
    found = {}
    for origin in ("registry", "second"):
        listed = httpx.get(
            f"{each.running.control}/v1/exchanges", params={"filter": f"origin:{origin} path:{path}"}
        ).json()
        found[origin] = [(entry["origin"], entry["status"], entry["faults"]) for entry in listed]
    assert found == {"registry": [("registry", 307, ["redirect"])], "second": [("second", 200, [])]}


def test_what_a_client_says_in_a_query_is_not_sent_on(http2: Registry) -> None:
    pushed = http2.push(10)
    path = f"{pushed.layer_path(ALL)}?password=hunter2&terms=x&signature=y&ns="
    assert "ns=quay.io&terms=" in location_of(http2.ask(f"{path}quay.io"))
    url = location_of(http2.ask(f"{path}{http2.running.host}"))  # as containerd names whom it asks
    assert "hunter2" not in url
    assert "ns=" not in url
    assert follow(http2, url).body == pushed.layers[0]


@pytest.mark.parametrize("told", ["status-404", "form-x", "hops-0", "lifetime-1", "status-x"])
def test_a_bad_parameter_is_named(http2: Registry, told: str) -> None:
    answer = http2.ask(f"/v2/{prefix(told)}app/blobs/{digest_of(b'')}")
    assert answer.status == 400
    assert told.partition("-")[0].encode() in answer.body


@pytest.mark.parametrize("auth", ["none", "basic", "token"])
def test_skopeo_pulls_and_keeps_its_password(
    skopeo: Client,  # noqa: F811
    tmp_path: Path,
    auth: str,
) -> None:
    with brokenreg(tmp_path / "data", *login(auth)) as running:
        pull_with_password(skopeo, running, ALL, tmp_path / "back")
        assert leaks(running) == {"count": 0, "last": []}
        redirected = [origin for origin, _ in layers(running)]
        assert redirected.count("second") == redirected.count("registry") == 3


def test_skopeo_without_login_follows_any_redirect(
    skopeo: Client,  # noqa: F811
    registry: Brokenreg,
    tmp_path: Path,
) -> None:
    """This is true for the manifest too."""
    for number, parameters in enumerate(("endpoint-any", "hops-4")):
        pull_with_password(skopeo, registry, prefix(parameters), tmp_path / f"back{number}")
    assert leaks(registry)["count"] == 0


@pytest.mark.parametrize("auth", ["basic", "token"])
def test_what_skopeo_sends_down_a_chain_is_reported(
    skopeo: Client,  # noqa: F811
    tmp_path: Path,
    auth: str,
) -> None:
    """Go before 1.22.11 and 1.23.5 sends its credentials again from the second hop on (CVE-2024-45336).

    So this says nothing of skopeo, but that the trap tells all of it and no more.
    """
    with brokenreg(tmp_path / "data", *login(auth)) as running:
        pull_with_password(skopeo, running, prefix("hops-4"), tmp_path / "back")
        told = leaks(running)
        second = [exchange for origin, exchange in layers(running) if origin == "second"]
        assert len(second) == 3 * 4
        assert told["count"] in (0, 4 * 3)
        scheme = {"basic": "Basic", "token": "Bearer"}[auth]
        assert {leak["kind"] for leak in told["last"]} <= {f"Authorization {scheme}"}
        caught = {leak["exchange"] for leak in told["last"]}
        sent = {each["id"] for each in second if "authorization" in dict(each["request_headers"])}
        assert sent == caught & {each["id"] for each in second}


def login(auth: str) -> tuple[str, ...]:
    return ("--auth", auth) if auth == "none" else ("--auth", auth, "--auth-user", "casey:hunter2")


def pull_with_password(
    skopeo: Client,  # noqa: F811
    running: Brokenreg,
    name: str,
    back: Path,
) -> None:
    """A whole image of three layers comes."""
    reference = f"docker://{running.host}/{name}broken/random:layers-3_size-20000"
    skopeo("copy", "--src-tls-verify=false", "--src-creds=casey:hunter2", reference, f"dir:{back}")
    blobs = [path for path in back.iterdir() if len(path.name) == 64]
    assert len(blobs) == 4
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in blobs)


def layers(running: Brokenreg) -> list[tuple[str, dict[str, Any]]]:
    """Return the hosts that served layers, and the exchanges."""
    with httpx.Client(base_url=running.control) as http:
        listed = http.get("/v1/exchanges", params={"filter": "endpoint:layer"}).json()
        return [(entry["origin"], http.get(f"/v1/exchanges/{entry['id']}").json()) for entry in listed]


@pytest.mark.parametrize(
    ("form", "says"),
    [("expired", "403"), ("head-only", "403"), ("loop", "10 redirects"), ("dead", "refused"), ("html", "")],
)
def test_skopeo_fails_cleanly(
    skopeo: Client,  # noqa: F811
    registry: Brokenreg,
    tmp_path: Path,
    form: str,
    says: str,
) -> None:
    said = skopeo.refused("copy", "--src-tls-verify=false",
                          f"docker://{registry.host}/broken/redirect:form-{form}_size-1000",
                          f"dir:{tmp_path}/back")  # fmt: skip
    assert says in said.lower(), said


@pytest.mark.parametrize("status", [300, 304, 305, 307, 399])
def test_any_status(each: Registry, status: int) -> None:
    pushed = each.push(10)
    answer = each.ask(pushed.layer_path(prefix(f"status-{status}")))
    assert answer.status == status
    assert answer.header("location")


def test_only_get(each: Registry) -> None:
    pushed = each.push(10)
    path = pushed.layer_path(prefix("get-only-true"))
    assert [each.ask(path, method).status for method in ("HEAD", "GET")] == [200, 307]


def test_to_a_404(each: Registry) -> None:
    there = follow(each, location_of(each.ask(each.push(10).layer_path(prefix("form-not-found")))))
    assert (there.status, there.header("content-type")) == (404, "application/xml")
    assert b"<Code>NoSuchKey</Code>" in there.body


def test_to_an_origin_that_rejects_authorization(each: Registry) -> None:
    pushed = each.push(10)
    url = location_of(each.ask(pushed.layer_path(prefix("form-rejects-authorization"))))
    there = follow(each, url, headers=[("authorization", "Bearer x")])
    assert (there.status, there.header("content-type")) == (400, "application/xml")
    assert b"<Code>InvalidAuthenticationInfo</Code>" in there.body
    with each.control() as control:  # other tests count the credentials that leak
        assert control.post("/v1/reset").status_code == 204
    assert follow(each, url).body == pushed.layers[0]
