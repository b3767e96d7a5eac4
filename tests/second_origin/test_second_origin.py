"""The second origin: signatures, recorded credentials, and its address."""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests import raw_http
from tests.process import BrokenregProcess, brokenreg_process
from tests.registry.pushing import digest_of, push_blob
from tests.running_registry import Pushed, Registry
from tests.second_origin.client import follow, leaks, location_of, refused, reset, second, status
from tests.server import Brokenreg, brokenreg, clean_environment

SECRET = "sw0rdfish"
BASIC = base64.b64encode(f"casey:{SECRET}".encode()).decode()
ALL = "broken/with/redirect/"


def signed(registry: Registry, pushed: Pushed, parameters: str = "") -> str:
    """Return a signed URL of the layer."""
    return location_of(registry.ask(pushed.layer_path(f"broken/with/redirect{parameters}/")))


def path_of(url: str) -> str:
    return url.partition(urlsplit(url).netloc)[2]


def test_nothing_without_a_signature(each: Registry) -> None:
    pushed = each.push(1000)
    there = second(each.running)
    for path in (
        *("/", "/v2/", "/v2/_catalog", "/nothing", "/v1/status"),
        *(pushed.layer_path(), pushed.layer_path(ALL), pushed.manifest_path()),
        f"{pushed.layer_path()}?terms=read.9999999999999.content.0.307",
        f"{pushed.layer_path()}?terms=read.9999999999999.content.0.307&signature={'0' * 64}",
        f"{pushed.layer_path()}?terms=&signature=%ff%00",
    ):
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            answer = raw_http.ask(there, path, method, protocol=each.protocol)
            assert answer.status == 403, (method, path)
            assert method == "HEAD" or answer.body.endswith(b"</Error>")
    assert each.ask(pushed.layer_path()).body == pushed.layers[0]


def test_a_signature_is_for_what_was_signed(each: Registry) -> None:
    """It does not allow another path, time, method, answer or parameter."""
    pushed = each.push(1000, 1000)
    url = signed(each, pushed)
    first, other = (digest_of(layer) for layer in pushed.layers)
    until = re.search(r"terms=read\.([0-9]+)", url)
    assert until is not None
    for changed in (
        url.replace(first, other),
        url.replace(first, digest_of(pushed.config)),
        url.replace(ALL, ""),
        url.replace("/v2/", "/v2//"),
        url.replace(until[1], str(int(until[1]) + 1)),
        url.replace("terms=read", "terms=session"),
        url.replace("content", "html"),
        url.replace(".0.307", ".1.307"),
        f"{url}0",
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        f"{url}&mount={other}&from={pushed.repository}",
        f"{url}&ns=quay.io",
    ):
        assert changed != url
        refused(follow(each, changed), "SignatureDoesNotMatch")
    assert follow(each, url).body == pushed.layers[0]
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        refused(follow(each, url, method), "SignatureDoesNotMatch")
    assert each.ask(pushed.layer_path()).body == pushed.layers[0]


def test_a_signature_is_of_one_run(tmp_path: Path) -> None:
    url = ""
    for number in range(2):
        with brokenreg(tmp_path / str(number)) as running:
            registry = Registry(running, "http/1.1")
            tag = httpx.get(f"{running.url}/v2/broken/redirect/manifests/size-1000").json()
            blob = f"/v2/broken/redirect/blobs/{tag['layers'][0]['digest']}"
            if url:
                refused(follow(registry, f"{second(running).url}{path_of(url)}"), "SignatureDoesNotMatch")
            url = location_of(registry.ask(blob))
            assert follow(registry, url).status == 200


def test_it_is_no_way_round_the_login(tmp_path: Path) -> None:
    """Clients that may not read are not redirected; a signed upload cannot mount; its token is worthless."""
    user = ("casey", SECRET)
    with brokenreg(tmp_path / "data", "--auth", "token", "--auth-user", ":".join(user)) as running:
        registry, there = Registry(running, "http/1.1"), second(running)
        blob = f"/v2/{ALL}secret/blobs/{digest_of(b'x')}"
        assert registry.ask(blob).status == 401
        refused(raw_http.ask(there, blob), "AccessDenied")
        token = raw_http.ask(there, "/token?service=x&scope=repository:secret:pull").body
        bearer = f"Bearer {json.loads(token)['token']}"
        assert registry.ask(blob, headers=[("authorization", bearer)]).status == 401
        granted = httpx.get(
            f"{running.url}/token", params={"scope": f"repository:{ALL}secret:pull"}, auth=user
        )
        headers = [("authorization", f"Bearer {granted.json()['token']}")]
        there_now = follow(registry, location_of(registry.ask(blob, headers=headers)))
        assert (there_now.status, b"BLOB_UNKNOWN" in there_now.body) == (404, True)


HEADERS = [
    ("authorization", f"Basic {BASIC}", "Authorization Basic"),
    ("authorization", f"bearer {SECRET}", "Authorization Bearer"),
    ("authorization", SECRET, "Authorization bare"),
    ("authorization", f"{SECRET} {SECRET}", "Authorization of another scheme"),
    ("proxy-authorization", f"Basic {BASIC}", "Proxy-Authorization Basic"),
    ("cookie", f"session={SECRET}", "Cookie"),
    ("x-registry-auth", BASIC, "X-Registry-Auth"),
    ("private-token", SECRET, "Private-Token"),
]
FIELDS = ["password", "refresh_token", "client_secret", "access_token", "apikey"]


def caught(registry: Registry, *kinds: str) -> None:
    """Check that exactly these are in the status and the timeline, and the secret in neither."""
    told = leaks(registry.running)
    assert told["count"] == len(kinds)
    assert [leak["kind"] for leak in told["last"]] == list(kinds)
    assert SECRET not in json.dumps(told)
    exchange = httpx.get(f"{registry.running.control}/v1/exchanges/{told['last'][-1]['exchange']}").json()
    assert exchange["origin"] == "second"
    assert (exchange["path"], exchange["client"]) == (told["last"][-1]["path"], told["last"][-1]["client"])
    points = [point for point in exchange["timeline"] if point["kind"] == "credential"]
    assert [point["data"] for point in points] == [{"credential": kind} for kind in kinds]
    assert [point["text"] for point in points] == [f"credential received: {kind}" for kind in kinds]
    for text in (SECRET, BASIC):
        assert text not in json.dumps(exchange)


@pytest.mark.parametrize(("name", "value", "kind"), HEADERS)
def test_a_header_springs_the_trap(each: Registry, name: str, value: str, kind: str) -> None:
    """It does so for content, which is still served, and for paths without content."""
    pushed = each.push(10)
    url = signed(each, pushed)
    reset(each.running)
    assert follow(each, url, headers=[(name, value)]).body == pushed.layers[0]
    caught(each, kind)
    reset(each.running)
    refused(follow(each, f"{second(each.running).url}/v2/", headers=[(name, value)]), "AccessDenied")
    caught(each, kind)
    reset(each.running)
    assert leaks(each.running) == {"count": 0, "last": []}


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_springs_the_trap(each: Registry, field: str) -> None:
    """It does so in a query or a form, and the token service still issues a token."""
    there = second(each.running)
    form = [("content-type", "application/x-www-form-urlencoded")]
    reset(each.running)
    answer = raw_http.ask(there, f"/token?service=x&{field}={SECRET}&username=casey", protocol=each.protocol)
    caught(each, f"query {field}")
    assert answer.status == 200
    reset(each.running)
    body = f"grant_type=x&{field}={SECRET}&username=casey".encode()
    answer = raw_http.ask(there, "/token", "POST", form, body, protocol=each.protocol)
    caught(each, f"form {field}")
    document = json.loads(answer.body)
    assert document["token"] == document["access_token"]
    assert document["expires_in"] == 300
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z", document["issued_at"])


def test_what_is_no_credential(each: Registry) -> None:
    """Anonymous clients, empty fields and the token issued here are not recorded."""
    reset(each.running)
    there = second(each.running)
    query = "/token?service=x&scope=repository:a:pull&account=casey&offline_token=true&password="
    token = json.loads(raw_http.ask(there, query, protocol=each.protocol).body)["token"]
    pushed = each.push(10)
    headers = [("authorization", f"Bearer {token}")]
    assert follow(each, signed(each, pushed), headers=headers).body == pushed.layers[0]
    assert leaks(each.running)["count"] == 0


def test_a_foreign_upload_springs_the_trap_and_works(each: Registry) -> None:
    reset(each.running)
    name = f"broken/with/upload-location_form-foreign/leaky/{each.protocol[0]}{each.is_tls}".lower()
    content = b"foreign" * 100
    with httpx.Client(http2=each.is_http2, verify=False, timeout=10) as http:
        begun = http.post(f"{each.running.url}/v2/{name}/blobs/uploads/", auth=("casey", SECRET))
        location = httpx.URL(begun.headers["location"])
        assert str(location).startswith(second(each.running).url)
        put = location.copy_merge_params({"digest": digest_of(content)})
        assert http.put(put, content=content, auth=("casey", SECRET)).status_code == 201
    caught(each, "Authorization Basic")


def test_many_are_counted_and_the_last_are_reported(http2: Registry) -> None:
    reset(http2.running)
    with httpx.Client(base_url=second(http2.running).url, http2=True, verify=False) as http:
        for number in range(50):
            http.get(f"/v2/{number}", headers={"authorization": f"Basic {BASIC}"})
    told = leaks(http2.running)
    assert told["count"] == 50
    assert [leak["path"] for leak in told["last"]] == [f"/v2/{number}" for number in range(30, 50)]


def test_namespaces_are_reset_apart(registry: Brokenreg) -> None:
    reset(registry)
    there = second(registry)
    for name in ("broken/in/a/x", "broken/in/b/x", "x"):
        raw_http.ask(there, f"/v2/{name}/manifests/v1", headers=[("cookie", SECRET)])
    httpx.post(f"{registry.control}/v1/reset", params={"namespace": "a"})
    assert [leak["namespace"] for leak in leaks(registry)["last"]] == ["b", ""]
    httpx.post(f"{registry.control}/v1/reset", params={"namespace": "*"})
    assert leaks(registry)["count"] == 0


async def test_no_output_contains_a_secret(tmp_path: Path) -> None:
    """This includes signatures of URLs, which a reader of the log could use."""
    log = tmp_path / "log"
    with brokenreg_process(tmp_path / "data", "--log", str(log)) as running:
        async with httpx.AsyncClient(base_url=running.url) as http:
            digest = await push_blob(http, "quiet", b"content")
            there = second(running).url
            location = (await http.get(f"/v2/{ALL}quiet/blobs/{digest}")).headers["location"]
            for name, value, _ in HEADERS:
                await http.get(location, headers={name: value})
            for field in FIELDS:
                await http.post(f"{there}/token?{field}={SECRET}", data={field: SECRET})
        signature = location.rpartition("signature=")[2]
        told = [json.dumps(status(running))]
        async with httpx.AsyncClient(base_url=f"{running.control}/v1") as http:
            entries = (await http.get("/exchanges")).json()
            told += [(await http.get(f"/exchanges/{entry['id']}")).text for entry in entries]
        running.stop()
    told += [log.read_text(), json.dumps(running.lines)]
    for text in told:
        for secret in (SECRET, BASIC, signature):
            assert secret not in text


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("host", "evil.example")], 421),
        ([("origin", "http://evil.example")], 403),
        ([("sec-fetch-site", "cross-site")], 403),
        ([("origin", "ITSELF")], 200),
    ],
)
async def test_no_page_and_no_rebound_name(
    registry: Brokenreg, headers: list[tuple[str, str]], code: int
) -> None:
    there = second(registry).url
    async with httpx.AsyncClient() as http:
        answer = await http.get(
            f"{there}/token", headers=[(name, value.replace("ITSELF", there)) for name, value in headers]
        )
    assert answer.status_code == code
    assert answer.headers["content-security-policy"] == "sandbox"
    assert code == 200 or answer.json()["errors"][0]["code"] == "DENIED"


def test_the_port_can_be_chosen(tmp_path: Path) -> None:
    """The port is set by option or environment. `localhost` stays `localhost`, and a public name is used."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with brokenreg(tmp_path / "a", BROKENREG_SECOND_ORIGIN=f"127.0.0.1:{port}") as running:
        assert status(running)["second_origin"] == f"http://127.0.0.1:{port}"
        place = f"/v2/{ALL}x/blobs/{digest_of(b'')}"
        named = httpx.get(running.url + place, headers={"host": "localhost:1"}).headers["location"]
        assert named.startswith(f"http://localhost:{port}/v2/")
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").text == "ok\n"
    options = ("--second-origin", f"127.0.0.1:{port}", "--public-url", "https://registry.example:5000")
    with brokenreg(tmp_path / "b", *options) as running:
        named = httpx.get(running.url + place).headers["location"]
        assert named.startswith(f"http://registry.example:{port}/v2/")
    with brokenreg(tmp_path / "c", "--second-origin", f"localhost:{port}") as running:
        named = httpx.get(running.url + place).headers["location"]
        assert named.startswith(f"http://localhost:{port}/v2/"), "a name is that of the URLs, too"


def test_a_busy_port_is_one_line(registry: Brokenreg, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "brokenreg", "serve", "--headless", "--data", str(tmp_path / "data")]
    command += ["--listen", "127.0.0.1:0", "--control", "off", "--second-origin", registry.host]
    done = subprocess.run(
        command, capture_output=True, text=True, env=clean_environment(), timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1
    assert f"--second-origin {registry.host}: address already in use by the registry of" in done.stderr


def test_people_see_where_it_went(tmp_path: Path) -> None:
    """The readable log shows the second origin."""
    command = [sys.executable, "-m", "brokenreg", "serve", "--data", str(tmp_path / "data")]
    ready = tmp_path / "ready"
    command += ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--ready-file", str(ready)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("brokenreg")
            running = BrokenregProcess(json.loads(ready.read_text()), tmp_path, process=process)
            httpx.get(f"{status(running)['second_origin']}/v2/seen")
            line = ""
            while "/v2/seen" not in line:
                line = process.stdout.readline()
                assert line
            assert "second origin" in line
        finally:
            process.terminate()
