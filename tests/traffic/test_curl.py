"""The curl command: a real shell and a real curl send the same request, and input is never executed."""

from __future__ import annotations

import subprocess

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenreg.traffic.bodies import Body
from brokenreg.traffic.replay import NoRequestError, curl
from tests.server import Brokenreg, clean_environment
from tests.traffic.making import exchange

BASE = "http://127.0.0.1:8080"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def arguments(command: str) -> list[str]:
    """Return the arguments that a real shell passes to curl."""
    shown = f"curl() {{ printf '%s\\0' curl \"$@\"; }}\n{command}"
    done = subprocess.run(["/bin/sh"], input=shown.encode(), capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().split("\0")[:-1]


def run(command: str) -> str:
    """Return what the command prints."""
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, timeout=30, env=clean_environment()
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("method", "path", "query", "status"),
    [
        ("GET", "/v2/", "", 200),
        ("GET", "/v2/broken/random/manifests/layers-1_size-10", "", 200),
        ("HEAD", "/v2/broken/random/manifests/layers-1_size-10", "", 200),
        ("GET", "/v2/broken/error/manifests/418", "", 418),
        ("GET", "/v2/_catalog", "n=1&last=a%26b", 200),
        ("GET", "/v2/a/../b/manifests/x y'\"$(exit 3);{a,b}[1-9]", "", 400),
        ("POST", "/v2/team/curl/blobs/uploads/", "", 202),
        ("DELETE", "/v2/team/curl/manifests/none", "", 404),
    ],
)
def test_a_real_curl_gets_the_same_response(
    registry: Brokenreg, method: str, path: str, query: str, status: int
) -> None:
    seen = exchange(path, method, (("host", registry.host), ("accept", MANIFEST)), query)
    assert run(curl(seen, BASE)).splitlines()[0].split()[1] == str(status)
    newest = httpx.get(f"{registry.control}/v1/exchanges", params={"limit": 1, "namespace": "*"}).json()[0]
    assert (newest["method"], newest["path"], newest["query"]) == (method, path, query)
    assert (newest["status"], newest["user_agent"]) == (status, "")


def test_a_recorded_body_is_sent(registry: Brokenreg) -> None:
    config = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    put = httpx.post(f"{registry.url}/v2/team/body/blobs/uploads/", params={"digest": config}, content=b"{}")
    assert put.status_code == 201
    body = (
        f'{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/x","size":2,'
        f'"digest":"{config}"}},"layers":[],"annotations":{{"it\'s":"@$(exit 3)\\n ü"}}}}\n'
    ).encode()
    headers = (("host", registry.host), ("content-type", MANIFEST))
    seen = exchange("/v2/team/body/manifests/v1", "PUT", headers, request_bytes=len(body))
    assert " 201 " in run(curl(seen, BASE, Body(body, len(body))))
    assert httpx.get(f"{registry.url}/v2/team/body/manifests/v1").content == body


def test_secrets_are_omitted_with_a_comment() -> None:
    seen = exchange(
        "/v2/",
        "GET",
        (("host", "127.0.0.1:5000"), ("authorization", "Bearer s3cret"), ("cookie", "a=s3cret"), ("x-a", "")),
        "account=me&password=s3cret",
    )
    command = curl(seen, BASE)
    assert "s3cret" not in command
    assert command.splitlines()[:3] == [
        "# omitted, because it is secret: authorization",
        "# omitted, because it is secret: cookie",
        "# a secret in the URL was replaced by ***",
    ]
    told = arguments(command)
    assert told[-1] == "http://127.0.0.1:5000/v2/?account=me&password=***"
    assert "x-a;" in told


@pytest.mark.parametrize("body", [None, Body(b"half", 5000), Body(b"\0" * 5000, 5000), Body(b"\xff" * 9, 9)])
def test_a_body_that_cannot_be_an_argument_is_mentioned(body: Body | None) -> None:
    command = curl(exchange("/v2/a/manifests/b", "PUT", request_bytes=5000), BASE, body)
    assert command.startswith("# omitted, because it was not recorded: the body\n")
    assert "--data-raw" not in command


def test_a_connection_without_a_request_has_no_command() -> None:
    seen = exchange("/v2/")
    seen.target = type(seen.target)(type(seen.target.endpoint)("connect"))
    with pytest.raises(NoRequestError, match="had no request"):
        curl(seen, BASE)
    with pytest.raises(NoRequestError, match="method"):
        curl(exchange("/v2/", "GET;rm -rf /"), BASE)


TEXT = st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["Cs"]), max_size=40)
LATIN = st.text(st.characters(max_codepoint=0xFF), max_size=40)


@settings(max_examples=60)
@given(path=TEXT, query=LATIN, host=LATIN, name=LATIN, value=LATIN, body=TEXT)
def test_input_stays_quoted(path: str, query: str, host: str, name: str, value: str, body: str) -> None:
    headers = (("host", host), (name, value))
    content = body.encode()
    seen = exchange(f"/{path}", "PUT", headers, query, request_bytes=len(content))
    command = curl(seen, BASE, Body(content, len(content)))
    told = arguments(command)
    assert told[:5] == ["curl", "--globoff", "--path-as-is", "--include", "--request"]
    assert told[-1].startswith("http://")
    assert "\n" not in told[-1]
    options = told[6:-1]
    assert set(options[::2]) <= {"--header", "--data-raw"}
    assert not [each for each in options[1::2] if each.startswith("@") and each != body]
    if content and b"\0" not in content:
        assert body in options[1::2]
