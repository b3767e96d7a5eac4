"""`challenge`: each unusual WWW-Authenticate on the wire, over HTTP/1.1, TLS and HTTP/2."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests import raw_http
from tests.registry.pushing import error_of, image, push_blob, push_manifest
from tests.server import Brokenreg, brokenreg

FAULT = "broken/with/challenge_form-{}"
RULES = """
rules:
  - {name: raw, match: {endpoint: tags, repository: raw}, fault: {type: challenge, value: 'Bearer realm=,,"'}}
  - {name: ping, match: {endpoint: ping}, fault: {type: challenge, form: upper}, times: 1}
  - {name: token, match: {repository: wanted}, fault: {type: challenge}}
  - {name: manifest, match: {repository: asked}, fault: {type: token, form: html}}
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Brokenreg]]:
    folder = tmp_path_factory.mktemp("servers")
    (folder / "rules.yaml").write_text(RULES)
    rules = ("--scenario", str(folder / "rules.yaml"))
    with (
        brokenreg(folder / "plain", *rules) as plain,
        brokenreg(folder / "tls", *rules, "--tls", "self-signed") as tls,
    ):
        yield {"plain": plain, "tls": tls}


@pytest.fixture(params=["plain", "tls", "h2"])
async def over(
    request: pytest.FixtureRequest, servers: dict[str, Brokenreg]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client over plain HTTP/1.1, HTTP/1.1 with TLS, or HTTP/2."""
    server = servers["plain" if request.param == "plain" else "tls"]
    http2 = request.param == "h2"
    async with httpx.AsyncClient(base_url=server.url, verify=False, http1=not http2, http2=http2) as http:
        yield http


def told(answer: httpx.Response) -> list[bytes]:
    """Return the values of the WWW-Authenticate headers, as received."""
    return [value for name, value in answer.headers.raw if name.lower() == b"www-authenticate"]


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ("bearer", ['Bearer realm="{url}/token",service="brokenreg",scope="repository:{name}:pull"']),
        ("basic", ['Basic realm="brokenreg"']),
        ("upper", ['BASIC realm="brokenreg"']),
        ("relative-realm", ['Bearer realm="/token",service="brokenreg",scope="repository:{name}:pull"']),
        ("no-service", ['Bearer realm="{url}/token",scope="repository:{name}:pull"']),
        ("no-scope", ['Bearer realm="{url}/token",service="brokenreg"']),
        (
            "basic-and-bearer",
            [
                'Basic realm="brokenreg", '
                'Bearer realm="{url}/token",service="brokenreg",scope="repository:{name}:pull"'
            ],
        ),
        (
            "two-headers",
            [
                'Basic realm="brokenreg"',
                'Bearer realm="{url}/token",service="brokenreg",scope="repository:{name}:pull"',
            ],
        ),
        ("unquoted", ["Bearer realm={url}/token,service=brokenreg,scope=repository:{name}:pull"]),
        ("unknown-scheme", ['Mystery realm="brokenreg"']),
        ("empty", [""]),
        ("absent", []),
    ],
)
@pytest.mark.parametrize("protocol", ["plain", "tls", "h2"])
def test_each_form(servers: dict[str, Brokenreg], protocol: str, form: str, values: list[str]) -> None:
    name = f"{FAULT.format(form)}/library/app"
    path = f"/v2/{name}/manifests/v1"
    server = servers["plain" if protocol == "plain" else "tls"]
    spoken = "h2" if protocol == "h2" else "http/1.1"
    expected = [value.format(url=server.url, name=name) for value in values]
    body = b'{"errors":[{"code":"UNAUTHORIZED","message":"Authentication required, on purpose"}]}'
    for method in ("GET", "HEAD"):
        answer = raw_http.ask(server, path, method, protocol=spoken)
        assert (answer.status, answer.body) == (401, body if method == "GET" else b"")
        assert [value for header, value in answer.headers if header == "www-authenticate"] == expected
        assert answer.header("content-length") == str(len(body))
        if protocol != "h2":
            lines = answer.raw.split(b"\r\n")
            told = [line for line in lines if line.lower().startswith(b"www-authenticate:")]
            assert told == [f"www-authenticate: {value}".encode() for value in expected]


async def test_the_foreign_realm_is_the_second_origin(
    servers: dict[str, Brokenreg], over: httpx.AsyncClient
) -> None:
    """Its token service issues a worthless token to everyone, and records the credentials that it gets."""
    server = servers["plain" if over.base_url.scheme == "http" else "tls"]
    origin = (await over.get(f"{server.control}/v1/status")).json()["second_origin"]
    name = f"{FAULT.format('foreign-realm')}/library/app"
    answer = await over.get(f"/v2/{name}/manifests/v1")
    scope = f"repository:{name}:pull"
    assert told(answer) == [f'Bearer realm="{origin}/token",service="brokenreg",scope="{scope}"'.encode()]

    leaks = (await over.get(f"{server.control}/v1/status")).json()["leaked_credentials"]["count"]
    token = (await over.get(f"{origin}/token", params={"scope": scope}, auth=("casey", "hunter2"))).json()[
        "token"
    ]
    assert (await over.get(f"{origin}/token", params={"scope": scope})).json()["token"] == token
    leaked = (await over.get(f"{server.control}/v1/status")).json()["leaked_credentials"]
    assert (leaked["count"], leaked["last"][-1]["kind"]) == (leaks + 1, "Authorization Basic")


async def test_requests_with_authorization_pass(over: httpx.AsyncClient) -> None:
    body = image(b"config")
    await push_blob(over, "challenge/app", b"config")
    await push_manifest(over, "challenge/app", "v1", body)
    name = f"{FAULT.format('basic')}/challenge/app"
    for value in ("Basic eDp5", "Bearer x", "x"):
        answer = await over.get(f"/v2/{name}/manifests/v1", headers={"authorization": value})
        assert (answer.status_code, answer.content) == (200, body)
        always = name.replace("form-basic", "form-basic_always-true")
        answer = await over.get(f"/v2/{always}/manifests/v1", headers={"authorization": value})
        assert (answer.status_code, told(answer)) == (401, [b'Basic realm="brokenreg"'])


async def test_pushes_are_asked_for_what_they_need(over: httpx.AsyncClient) -> None:
    name = f"{FAULT.format('no-service')}/challenge/pushed"
    url = str(over.base_url).removesuffix("/")
    answer = await over.post(f"/v2/{name}/blobs/uploads/")
    assert told(answer) == [f'Bearer realm="{url}/token",scope="repository:{name}:pull,push"'.encode()]


async def test_the_token_service_answers_redirected_clients(over: httpx.AsyncClient) -> None:
    """The path contains the fault also for the token, and requests with the token pass."""
    name = f"{FAULT.format('bearer')}/challenge/token"
    answer = await over.get("/token", params={"scope": f"repository:{name}:pull"})
    assert answer.status_code == 200
    headers = {"authorization": f"Bearer {answer.json()['token']}"}
    assert (await over.get(f"/v2/{name}/tags/list", headers=headers)).status_code == 404


async def test_a_raw_value_by_a_rule(over: httpx.AsyncClient) -> None:
    answer = await over.get("/v2/raw/tags/list")
    assert told(answer) == [b'Bearer realm=,,"']


async def test_an_image_of_its_own(over: httpx.AsyncClient) -> None:
    """A client with an Authorization gets the whole image."""
    url = "/v2/broken/challenge/manifests/form-upper_layers-1_size-10"
    refused = await over.get(url)
    assert (refused.status_code, told(refused)) == (401, [b'BASIC realm="brokenreg"'])
    manifest = (await over.get(url, headers={"authorization": "x"})).json()
    blob = f"/v2/broken/challenge/blobs/{manifest['layers'][0]['digest']}"
    assert told(await over.get(blob)) == [b'BASIC realm="brokenreg"']
    assert (await over.get(blob, headers={"authorization": "x"})).status_code == 200


async def test_before_a_real_one(tmp_path: Path) -> None:
    """With `--auth`, the fault comes first, and bad credentials get the real challenge."""
    with brokenreg(tmp_path / "data", "--auth", "basic", "--auth-user", "a:b") as running:
        async with httpx.AsyncClient(base_url=running.url) as http:
            url = f"/v2/{FAULT.format('unknown-scheme')}/app/tags/list"
            assert told(await http.get(url)) == [b'Mystery realm="brokenreg"']
            assert told(await http.get(url, auth=("a", "x"))) == [b'Basic realm="brokenreg"']
            assert (await http.get(url, auth=("a", "b"))).status_code == 404


@pytest.mark.parametrize(
    ("spelled", "problem"),
    [
        ("form-odd", "form"),
        ("value-basic_form-upper", "value and form exclude each other"),
        ("always-perhaps", "always"),
    ],
)
async def test_bad_parameters_are_reported(over: httpx.AsyncClient, spelled: str, problem: str) -> None:
    answer = await over.get(f"/v2/broken/with/challenge_{spelled}/app/tags/list")
    assert problem in error_of(answer, 400)["message"]


async def test_a_ping_and_requests_without_effect(tmp_path: Path) -> None:
    """A rule can match `/v2/`. A challenge of a token request and a broken token elsewhere have no effect."""
    (tmp_path / "rules.yaml").write_text(RULES)
    with brokenreg(tmp_path / "data", "--scenario", str(tmp_path / "rules.yaml")) as running:
        async with httpx.AsyncClient(base_url=running.url) as http:
            assert told(await http.get("/v2/")) == [b'BASIC realm="brokenreg"']
            assert (await http.get("/v2/")).status_code == 200
            assert (await http.get("/token?scope=repository:wanted:pull")).status_code == 200
            assert (await http.get("/v2/asked/manifests/v1")).status_code == 404
        running.stop()
    assert [line["faults"] for line in running.lines] == [["challenge"], [], [], []]
    assert json.dumps(running.lines).count('"rule": "ping"') == 1


@pytest.mark.parametrize(
    ("form", "realm"),
    [
        ("other-scheme", "{other}://{host}:{port}/token"),
        ("other-host", "{scheme}://registry.invalid:{port}/token"),
        ("no-port", "{scheme}://{host}/token"),
    ],
)
async def test_a_realm_of_a_registry_that_does_not_know_its_address(
    over: httpx.AsyncClient, form: str, realm: str
) -> None:
    (value,) = told(await over.get(f"/v2/{FAULT.format(form)}/app/tags/list"))
    url = over.base_url
    other = "http" if url.scheme == "https" else "https"
    wanted = realm.format(scheme=url.scheme, other=other, host=url.host, port=url.port)
    assert f'realm="{wanted}"'.encode() in value
