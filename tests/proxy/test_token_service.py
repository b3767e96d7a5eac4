"""Token services of upstreams: identity tokens, shared requests, and errors."""

from __future__ import annotations

import base64
import itertools
import json
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from brokenreg.proxy.auth.authorization import UpstreamAuth
from brokenreg.proxy.auth.tokens import TokenCache
from brokenreg.proxy.errors import UpstreamSilentError
from brokenreg.proxy.http.addresses import AddressPolicy
from brokenreg.proxy.http.client import UpstreamClient
from brokenreg.proxy.routes import Route
from brokenreg.traffic.timeline_events import AddEvent
from tests.process import brokenreg_process
from tests.proxy.chain import PLAIN, Chain, exchange, exchanges, last
from tests.proxy.scripted import Answer, Received, Script, Scripted, scripted
from tests.proxy.upstreams import IDENTITY, PASSWORD, USER, Upstream, token
from tests.registry.pushing import MIB, digest_of, error_of, image, until_in_flight
from tests.server import Brokenreg, brokenreg

BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
EXPIRED = "identity-of-last-year"
TOKEN = "t0ken-of-the-service"
MANIFEST = image(b"{}")
CLIENTS = 10
_names = itertools.count(1)


def home(folder: Path, **entries: dict[str, str]) -> dict[str, str]:
    """Return an environment with docker's credentials for upstreams. In their names, `_` stands for a dot."""
    config = folder / "docker" / "config.json"
    config.parent.mkdir()
    auths = {upstream.replace("_", "."): entry for upstream, entry in entries.items()}
    config.write_text(json.dumps({"auths": auths}))
    return {"HOME": str(folder), "DOCKER_CONFIG": str(config.parent), "XDG_RUNTIME_DIR": str(folder)}


def password(text: str = PASSWORD) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{USER}:{text}".encode()).decode()}


def identity(text: str = IDENTITY) -> dict[str, str]:
    return {
        "auth": base64.b64encode(b"<token>:").decode(),
        "identitytoken": text,
    }


@contextmanager
def real(folder: Path, entry: dict[str, str], *options: str) -> Iterator[tuple[Upstream, Brokenreg]]:
    """docker-registry with its token service, and a proxy with credentials for it."""
    with token(folder / "upstream") as upstream:
        assert upstream.tokens is not None
        realm = upstream.tokens.realm.removesuffix("/token")
        where = ("--upstream", f"quay.io={upstream.url}", "--upstream-realm", f"quay.io={realm}", *options)
        with brokenreg(folder / "proxy", *where, **home(folder, quay_io=entry)) as proxy:
            yield upstream, proxy


def get(running: Brokenreg, path: str) -> httpx.Response:
    return httpx.get(f"{running.url}{path}", timeout=60, verify=PLAIN)


def everything(running: Brokenreg) -> str:
    """Return all text that the proxy has written about its requests."""
    told = exchanges(running, "")
    return json.dumps([told, *(exchange(running, each["id"]) for each in told)])


@pytest.mark.parametrize("entry", [password(), identity()], ids=["password", "identity token"])
def test_a_private_image(tmp_path: Path, entry: dict[str, str]) -> None:
    """All pulls from a repository use one token; another repository needs another one."""
    with real(tmp_path, entry) as (upstream, proxy):
        for name in ("org/private", "org/other"):
            upstream.push(name, "v1", image(b"{}", b"layer"), b"{}", b"layer")
            for path in ("manifests/v1", f"blobs/{digest_of(b'layer')}", "tags/list"):
                assert get(proxy, f"/v2/{name}/{path}").status_code == 200
        assert upstream.tokens is not None
        first, second = upstream.tokens.asked
    common = {"service": "test-registry", "scope": "repository:org/private:pull", "user": USER}
    if "identitytoken" in entry:
        form = {"grant_type": "refresh_token", "refresh_token": IDENTITY, "client_id": "brokenreg"}
        assert first == {"method": "POST", **form, **common}
    else:
        assert first == {"method": "GET", **common}
    assert second == {**first, "scope": "repository:org/other:pull"}


def test_no_other_port_of_this_machine_sees_a_password(tmp_path: Path) -> None:
    """It may belong to another user. `--upstream-realm` allows it."""
    with token(tmp_path / "upstream") as upstream:
        upstream.push("org/private", "v1", MANIFEST, b"{}")
        assert upstream.tokens is not None
        where = ("--upstream", f"quay.io={upstream.url}")
        with brokenreg(tmp_path / "proxy", *where, **home(tmp_path, quay_io=password())) as proxy:
            message = error_of(get(proxy, "/v2/quay.io/org/private/manifests/v1"), 401)["message"]
        assert [each["user"] for each in upstream.tokens.asked] == [""]
        realm = upstream.tokens.realm.removesuffix("/token")
        assert f"add --upstream-realm quay.io={realm}" in message


@pytest.mark.parametrize("entry", [password("wrong"), identity(EXPIRED)], ids=["password", "identity token"])
def test_credentials_that_the_service_refuses(tmp_path: Path, entry: dict[str, str]) -> None:
    with real(tmp_path, entry) as (upstream, proxy):
        upstream.push("org/private", "v1", MANIFEST, b"{}")
        response = get(proxy, "/quay.io/v2/org/private/manifests/v1")
        error = error_of(response, 401)
        assert error["code"] == "UNAUTHORIZED"
        assert "docker login quay.io" in error["message"]
        assert "www-authenticate" not in response.headers


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    """A brokenreg with its own token service."""
    options = ("--offline", "--auth", "token", "--auth-user", f"{USER}:{PASSWORD}")
    with brokenreg(tmp_path_factory.mktemp("upstream") / "data", *options) as running:
        yield running


@pytest.fixture(scope="module")
def running(upstream: Brokenreg, odd: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A proxy for both upstreams, with a password for one and an identity token for the other."""
    folder = tmp_path_factory.mktemp("proxy")
    where = ("--upstream", f"quay.io={upstream.url}", "--upstream", f"odd.test={odd.url}")
    options = (*where, "--tag-ttl", "0s", "--upstream-timeout", "2s")
    environment = home(folder, quay_io=password(), odd_test=identity())
    with brokenreg(folder / "proxy", *options, **environment) as proxy:
        yield Chain(upstream, proxy)


@pytest.fixture
def both(running: Chain) -> Chain:
    running.mend()
    return running


def push(upstream: Brokenreg, name: str, *tags: str) -> None:
    scope = f"repository:{name}:pull,push"
    with httpx.Client(base_url=upstream.url, verify=PLAIN) as http:
        granted = http.get("/token", params={"scope": scope}, auth=(USER, PASSWORD)).json()["token"]
        http.headers["authorization"] = f"Bearer {granted}"
        for tag in tags:
            assert http.put(f"/v2/{name}/manifests/{tag}", content=MANIFEST).status_code == 201


FAILURES: list[tuple[dict[str, Any], int, str, str]] = [
    ({"type": "error", "status": 401}, 401, "UNAUTHORIZED", "docker login quay.io"),
    ({"type": "error", "status": 403}, 401, "UNAUTHORIZED", "docker login quay.io"),
    ({"type": "error", "status": 404}, 502, "UNAVAILABLE", "responded with 404"),
    ({"type": "error", "status": 500, "body": "html"}, 502, "UNAVAILABLE", "responded with 500"),
    ({"type": "error", "status": 503}, 502, "UNAVAILABLE", "responded with 503"),
    ({"type": "error", "status": 429, "retry_after": "77"}, 429, "TOOMANYREQUESTS", "too many requests"),
    ({"type": "token", "form": "absent"}, 502, "UNAVAILABLE", "sent no valid token"),
    ({"type": "token", "form": "empty"}, 502, "UNAVAILABLE", "sent no valid token"),
    ({"type": "token", "form": "html"}, 502, "UNAVAILABLE", "sent no valid token"),
    ({"type": "token", "form": "garbage"}, 401, "UNAUTHORIZED", "docker login quay.io"),
    ({"type": "token", "form": "expired"}, 401, "UNAUTHORIZED", "docker login quay.io"),
    ({"type": "token", "form": "wrong-scope"}, 401, "UNAUTHORIZED", "docker login quay.io"),
    ({"type": "truncate", "after": 20}, 502, "UNAVAILABLE", "violated HTTP"),
    ({"type": "reset"}, 502, "UNAVAILABLE", "cannot reach"),
    ({"type": "malformed", "form": "garbage"}, 502, "UNAVAILABLE", "violated HTTP"),
    ({"type": "stall"}, 504, "TIMEOUT", "did not respond"),
    ({"type": "stall", "at": 20}, 504, "TIMEOUT", "did not respond"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "status", "code", "words"), FAILURES, ids=str)
def test_a_service_that_fails(both: Chain, fault: dict[str, Any], status: int, code: str, words: str) -> None:
    """It gets one request, and its failure is not remembered."""
    path = f"/quay.io/v2/org/failing-{next(_names)}/manifests/v1"
    both.rule(fault, "token")
    response = both.get(path)
    error = error_of(response, status)
    assert error["code"] == code
    assert words in error["message"]
    if status != 401:
        assert f"{both.upstream.host} (the token service of quay.io)" in error["message"]
    assert response.headers.get("retry-after") == ("77" if status == 429 else None)
    assert "www-authenticate" not in response.headers
    assert len(both.asked("endpoint:token")) == 1
    both.mend()
    assert error_of(both.get(path), 404)["code"] == "MANIFEST_UNKNOWN"


@pytest.mark.slow
def test_a_service_that_is_busy_for_a_moment_is_waited_for(both: Chain) -> None:
    both.rule({"type": "error", "status": 429, "retry_after": "1"}, "token", times=2)
    path = f"/v2/org/busy-{next(_names)}/manifests/v1"
    assert error_of(both.get(path), 404)["code"] == "MANIFEST_UNKNOWN"
    assert [each["status"] for each in both.asked("endpoint:token")] == [429, 429, 200]
    waits = [point for point in last(both.proxy)["timeline"] if point["kind"] == "rate-limited"]
    assert [point["data"]["seconds"] for point in waits] == [1, 1]
    assert all(
        point["text"].startswith(f"rate limited: waiting 1 s for {both.upstream.host} (") for point in waits
    )


@pytest.mark.parametrize("form", ["usual", "access-token-only", "token-only"])
def test_a_token_by_either_name(both: Chain, form: str) -> None:
    both.rule({"type": "token", "form": form}, "token")
    assert both.get(f"/v2/org/named-{form}/manifests/v1").status_code == 404
    assert [each["status"] for each in both.asked("endpoint:manifest")] == [401, 404]


@pytest.mark.parametrize(
    ("fault", "cache"),
    [
        ({"type": "error", "status": 503}, "stale"),
        ({"type": "error", "status": 429, "retry_after": "99"}, "stale"),
        ({"type": "error", "status": 404}, "stale"),
        ({"type": "token", "form": "html"}, "stale"),
        ({"type": "token", "form": "empty"}, "stale"),
        ({"type": "redirect", "form": "loop"}, "stale"),
        ({"type": "error", "status": 401}, None),
    ],
    ids=str,
)
def test_cached_content_while_the_service_fails(
    both: Chain, fault: dict[str, Any], cache: str | None
) -> None:
    """Content is served stale if the failure is temporary, but not if access is denied."""
    name = f"org/cached-{next(_names)}"
    push(both.upstream, name, "v1")
    assert both.get(f"/v2/{name}/manifests/v1").content == MANIFEST
    both.rule({"type": "challenge", "form": "bearer", "always": True}, "manifest")
    both.rule(fault, "token")
    response = both.get(f"/quay.io/v2/{name}/manifests/v1")
    assert response.status_code == (401 if cache is None else 200)
    assert last(both.proxy, f"repository:{name}")["cache"] == cache


def test_many_at_once_ask_for_one_token_per_scope(both: Chain, tmp_path: Path) -> None:
    names = [f"org/parallel-{next(_names)}" for _ in range(2)]
    tags = [f"v{number}" for number in range(CLIENTS)]
    for name in names:
        push(both.upstream, name, *tags)
    both.mend()
    both.rule({"type": "hold"}, "token", times=len(names))
    where = ("--upstream", f"quay.io={both.upstream.url}")
    with (
        brokenreg(tmp_path / "proxy", *where, **home(tmp_path, quay_io=password())) as proxy,
        ThreadPoolExecutor(2 * CLIENTS) as pool,
    ):
        paths = [f"/v2/{name}/manifests/{tag}" for tag in tags for name in names]
        pulls = [pool.submit(get, proxy, path) for path in paths]
        until_in_flight(both.upstream, len(names))
        until_in_flight(proxy, len(paths))
        assert httpx.post(f"{both.upstream.control}/v1/resume").is_success
        assert [each.result().content for each in pulls] == [MANIFEST] * len(paths)
    scopes = [each["repository"] for each in both.asked("endpoint:token")]
    assert sorted(scopes) == sorted(names)
    assert len(both.asked("endpoint:manifest status:200")) == len(paths)


def registry(path: str, service: Script, realm: str) -> dict[str, Script]:
    """Return the responses of a scripted upstream that has a manifest for requests with the token."""

    def manifests(received: Received) -> Answer:
        if received.headers.get("authorization") == f"Bearer {TOKEN}":
            return Answer(200, {"content-type": "application/json"}, MANIFEST)
        challenge = f'Bearer realm="{realm}",service="odd",scope="repository:else:pull,push"'
        return Answer(401, {"www-authenticate": challenge})

    return {"/token": service, path: manifests}


def ask_odd(running: Chain, odd: Scripted, service: Script, realm: str = "") -> httpx.Response:
    """Request a manifest of a new repository from an upstream with that token service."""
    path = f"/v2/a/b{next(_names)}/manifests/v1"
    odd.asked.clear()
    odd.answers = registry(path, service, realm or f"{odd.url}/token")
    return running.get(f"/odd.test{path}")


JSON = {"content-type": "application/json"}
NO_TOKENS: dict[str, tuple[Answer, str]] = {
    "half of it": (Answer(200, JSON, b'{"token": "abc'), "sent no valid token"),
    "a list": (Answer(200, JSON, b'["token"]'), "sent no valid token"),
    "a depth": (Answer(200, JSON, b'{"token":' + b"[" * 100_000), "sent no valid token"),
    "a number": (Answer(200, JSON, b'{"token": 7}'), "sent no valid token"),
    "two lines": (Answer(200, JSON, b'{"token": "a\\r\\nX-Evil: b"}'), "sent no valid token"),
    "spaces": (Answer(200, JSON, b'{"token": " "}'), "sent no valid token"),
    "a space after it": (Answer(200, JSON, b'{"token": "secret "}'), "sent no valid token"),
    "no ASCII": (Answer(200, JSON, '{"token": "t\u00f6ken"}'.encode()), "sent no valid token"),
    "half a character": (Answer(200, JSON, b'{"token": "\\ud800"}'), "sent no valid token"),
    "no UTF-8": (Answer(200, JSON, b'{"token": "\xff"}'), "sent no valid token"),
    "nothing": (Answer(200, JSON), "sent no valid token"),
    "too much": (Answer(200, JSON, b'{"token": "' + b"x" * MIB + b'"}'), "sent more than 262144 bytes"),
    "too much, of no length": (
        Answer(200, JSON, b" " * 2 * MIB, chunked=True),
        "sent more than 262144 bytes",
    ),
    "an encoding": (
        Answer(200, {**JSON, "content-encoding": "gzip"}, b"\x1f\x8b"),
        "(with Content-Encoding gzip, which was not requested) sent no valid token",
    ),
    "no content": (Answer(204), "responded with 204"),
    "a redirect": (Answer(307, {"location": "/elsewhere"}), "responded with 307"),
}


@pytest.mark.parametrize(("answer", "words"), NO_TOKENS.values(), ids=NO_TOKENS.keys())
def test_invalid_tokens(both: Chain, odd: Scripted, answer: Answer, words: str) -> None:
    error = error_of(ask_odd(both, odd, answer), 502)
    assert error["code"] == "UNAVAILABLE"
    assert f"{odd.url.removeprefix('http://')} (the token service of odd.test) {words}" in error["message"]
    assert [target.partition("?")[0] for _, target in odd.asked][1:] == ["/token"]


@pytest.mark.parametrize(
    "lifetime",
    ["0", "-1", "1.5", "1e999", "NaN", "-Infinity", "true", '"300"', "null", "[]", "9" * 400],
)
def test_invalid_lifetimes(both: Chain, odd: Scripted, lifetime: str) -> None:
    """The token is then valid for a minute."""
    granted = Answer(200, JSON, f'{{"token": "{TOKEN}", "expires_in": {lifetime}}}'.encode())
    assert ask_odd(both, odd, granted).content == MANIFEST
    path = next(target for method, target in odd.asked if method == "GET")
    assert both.get(f"/odd.test{path}").content == MANIFEST
    assert [target for _, target in odd.asked].count("/token") == 1


@pytest.mark.slow
def test_a_retry_after_that_is_invalid_in_a_header(both: Chain, odd: Scripted) -> None:
    in_japanese = "\u65e5".encode().decode("latin-1")
    response = ask_odd(both, odd, Answer(429, {"retry-after": in_japanese}))
    assert error_of(response, 429)["code"] == "TOOMANYREQUESTS"
    assert "retry-after" not in response.headers


def test_an_identity_token_that_has_expired(both: Chain, odd: Scripted) -> None:
    """The standard requires a 400 (RFC 6749, section 5.2), which is not a failure of the service."""
    grant = Answer(400, JSON, b'{"error": "invalid_grant", "error_description": "expired"}')
    assert "docker login odd.test" in error_of(ask_odd(both, odd, grant), 401)["message"]
    wrong = Answer(400, JSON, b'{"error": "invalid_request"}')
    assert "responded with 400" in error_of(ask_odd(both, odd, wrong), 502)["message"]


def test_an_identity_token_is_sent_only_for_pulls_of_the_repository(both: Chain, odd: Scripted) -> None:
    """The scope is that of the pull, whatever the challenge requires. Redirects are not followed."""
    forms = []

    def service(received: Received) -> Answer:
        forms.append((received.method, parse_qs(received.body.decode()), received.headers))
        return Answer(200, JSON, json.dumps({"access_token": TOKEN, "refresh_token": "another"}).encode())

    assert ask_odd(both, odd, service).content == MANIFEST
    ((method, form, headers),) = forms
    assert (method, form["refresh_token"], form["service"]) == ("POST", [IDENTITY], ["odd"])
    assert "authorization" not in headers
    (path,) = {target for method, target in odd.asked if method == "GET"}
    name = path.removeprefix("/v2/").removesuffix("/manifests/v1")
    assert form["scope"] == [f"repository:{name}:pull"]
    with scripted() as elsewhere:
        elsewhere.answers["/"] = Answer(200, JSON, b'{"token": "x"}')
        away = Answer(307, {"location": f"{elsewhere.url}/"})
        assert error_of(ask_odd(both, odd, away), 502)
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    "realm",
    [
        "/token",
        "none",
        "ftp://127.0.0.1/token",
        "http://ann:secret@127.0.0.1/token",
        "http://[::1",
        "http://",
        "https://0177.0.0.1/token",
        "https://xn--zzzzzz.example/token",
    ],
)
def test_invalid_realms(both: Chain, odd: Scripted, realm: str) -> None:
    error = error_of(ask_odd(both, odd, Answer(500), realm), 502)
    assert error["message"] == "odd.test names an invalid token service"
    assert len(odd.asked) == 1


async def test_a_service_that_is_slow_without_end(both: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte arrives in time, but the body never ends."""
    monkeypatch.setattr("brokenreg.proxy.auth.authorization._TIMEOUT", 0.3)
    both.rule({"type": "drip", "every": "50ms"}, "token")
    route = Route("quay.io", "org/slow")
    urls = {"quay.io": both.upstream.url}

    def authorize(route: Route, http: httpx.AsyncClient, add_event: AddEvent) -> httpx.Auth:
        return UpstreamAuth(route, http, None, TokenCache(), add_event)

    policy = AddressPolicy(list, beyond_loopback=False)
    client = UpstreamClient(urls, policy, ssl.create_default_context(), authorize, patience=5)
    try:
        with pytest.raises(UpstreamSilentError, match=r"token service of quay\.io\) did not respond in time"):
            async with client.request(route, "GET", "manifests/v1", add_event=print):
                pass
    finally:
        await client.close()


@pytest.mark.slow
def test_no_output_contains_a_secret(
    odd: Scripted, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither the log, the control API and the terminal nor responses contain one."""
    config = home(tmp_path, odd_test=identity(), other_test=password())
    where = ("--upstream", f"odd.test={odd.url}", "--upstream", f"other.test={odd.url}", "--tag-ttl", "0s")
    services = [
        Answer(200, JSON, json.dumps({"token": TOKEN, "refresh_token": IDENTITY}).encode()),
        Answer(200, JSON, json.dumps({"token": f"{TOKEN} "}).encode()),
        Answer(400, JSON, json.dumps({"error": "invalid_grant", "error_description": IDENTITY}).encode()),
        Answer(503, JSON, f"{TOKEN} {IDENTITY} {PASSWORD}".encode()),
        Answer(429, {"retry-after": "99"}, IDENTITY.encode()),
        Answer(302, {"location": f"/else?token={TOKEN}&refresh_token={IDENTITY}"}),
    ]
    told = ""
    with brokenreg_process(tmp_path / "proxy", *where, "--log", str(tmp_path / "log"), **config) as proxy:
        for number, service in enumerate(services):
            path = f"/v2/a/b{number}/manifests/v1"
            odd.answers = registry(path, service, f"{odd.url}/token?hint=h1nt")
            for upstream in ("odd.test", "other.test", "other.test"):
                told += get(proxy, f"/{upstream}{path}").text
        told += everything(proxy)
        proxy.stop()
        told += json.dumps(proxy.lines)
    told += (tmp_path / "log").read_text() + "".join(capfd.readouterr())
    assert f"{urlsplit(odd.url).netloc}/token: 200" in told
    assert "(the token service of other.test) responded with 503" in told
    encoded = base64.b64encode(IDENTITY.encode()).decode()[:-4]
    for secret in (PASSWORD, BASIC, IDENTITY, encoded, TOKEN, "scope=", "h1nt"):
        assert secret not in told
