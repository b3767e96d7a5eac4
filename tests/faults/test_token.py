"""`token`: broken responses of the token service, and broken tokens."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from tests.registry.pushing import error_of
from tests.server import brokenreg

USER = ("casey", "hunter2")


@pytest.fixture(scope="module", params=["plain", "h2"])
def http(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Over plain HTTP/1.1, and over HTTP/2."""
    options = ["--auth", "token", "--auth-user", ":".join(USER)]
    http2 = request.param == "h2"
    if http2:
        options += ["--tls", "self-signed"]
    with (
        brokenreg(tmp_path_factory.mktemp("token") / "data", *options) as running,
        httpx.Client(base_url=running.url, verify=False, http1=not http2, http2=http2, timeout=30) as client,
    ):
        yield client


def name_of(parameters: str) -> str:
    return f"broken/with/token{parameters and f'_{parameters}'}/library/app"


def get(http: httpx.Client, parameters: str, actions: str = "pull") -> httpx.Response:
    """Return the response to a GET. Apart from the token, the response to a POST must be the same."""
    scope = f"repository:{name_of(parameters)}:{actions}"
    answer = http.get("/token", params={"scope": scope, "service": "brokenreg"}, auth=USER)
    assert int(answer.headers["content-length"]) == len(answer.content)
    form = {"grant_type": "password", "username": USER[0], "password": USER[1], "scope": scope}
    posted = http.post("/token", data=form)
    assert posted.status_code == answer.status_code
    if answer.headers["content-type"] == "application/json":
        assert sorted(posted.json()) == sorted([*answer.json(), "scope"])
    else:
        assert posted.content == answer.content
    return answer


def use(http: httpx.Client, parameters: str, token: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    return http.get(f"/v2/{name_of(parameters)}/tags/list", headers=headers)


def refused(http: httpx.Client, parameters: str, token: str) -> str:
    """Return the error in the challenge."""
    answer = use(http, parameters, token)
    assert error_of(answer, 401)["code"] == "UNAUTHORIZED"
    return answer.headers["www-authenticate"].rpartition("error=")[2].strip('"')


@pytest.mark.parametrize("parameters", ["", "form-absent"])
def test_absent(http: httpx.Client, parameters: str) -> None:
    assert sorted(get(http, parameters).json()) == ["expires_in", "issued_at"]


def test_empty(http: httpx.Client) -> None:
    document = get(http, "form-empty").json()
    assert (document["token"], document["access_token"]) == ("", "")


def test_garbage(http: httpx.Client) -> None:
    document = get(http, "form-garbage").json()
    assert document["token"] == document["access_token"] == "garbage"
    assert refused(http, "form-garbage", document["token"]) == "invalid_token"


def test_expired(http: httpx.Client) -> None:
    """The response itself looks correct."""
    document = get(http, "form-expired").json()
    assert document["expires_in"] == 300
    assert abs(issued(document) - time.time()) < 30
    assert refused(http, "form-expired", document["token"]) == "invalid_token"


def test_wrong_scope(http: httpx.Client) -> None:
    document = get(http, "form-wrong-scope", "pull,push").json()
    assert claims(document)["access"] == [
        {"type": "repository", "name": "another/repository", "actions": ["pull", "push"]}
    ]
    assert refused(http, "form-wrong-scope", document["token"]) == "insufficient_scope"


@pytest.mark.parametrize("name", ["token", "access_token"])
def test_under_one_of_its_names_alone(http: httpx.Client, name: str) -> None:
    parameters = f"form-{name.replace('_', '-')}-only"
    document = get(http, parameters).json()
    assert sorted(document) == sorted([name, "expires_in", "issued_at"])
    assert use(http, parameters, document[name]).status_code == 404


def test_html(http: httpx.Client) -> None:
    answer = get(http, "form-html")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")
    assert answer.content.startswith(b"<html>")


@pytest.mark.slow
def test_lifetime_and_what_is_claimed_of_it(http: httpx.Client) -> None:
    parameters = "lifetime-900ms_claimed-1h"
    began = time.monotonic()
    document = get(http, parameters).json()
    assert document["expires_in"] == 3600
    while (answer := use(http, parameters, document["token"])).status_code == 404:
        assert time.monotonic() < began + 10
    assert time.monotonic() >= began + 0.8
    assert answer.headers["www-authenticate"].endswith(',error="invalid_token"')
    assert get(http, "lifetime-7m").json()["expires_in"] == 420
    assert get(http, "claimed-7m").json()["expires_in"] == 420
    assert get(http, "claimed-0s").json()["expires_in"] == 0


@pytest.mark.parametrize(("spelled", "seconds"), [("1h", 3600), ("-1h", -3600), ("-100ms", 0)])
def test_skew(http: httpx.Client, spelled: str, seconds: int) -> None:
    document = get(http, f"skew-{spelled}").json()
    assert abs(issued(document) - time.time() - seconds) < 30
    assert document["expires_in"] == 300
    read = claims(document)
    assert read["iat"] == read["nbf"] == issued(document)
    assert 0 <= read["exp"] - read["iat"] - 300 < 1
    if seconds:
        assert refused(http, f"skew-{spelled}", document["token"]) == "invalid_token"
    else:
        assert use(http, f"skew-{spelled}", document["token"]).status_code == 404


def test_a_refusal_is_left_as_it_is(http: httpx.Client) -> None:
    answer = http.get("/token", params={"scope": f"repository:{name_of('form-html')}:pull"})
    assert error_of(answer, 401)["code"] == "UNAUTHORIZED"


def test_other_faults_of_the_token_service(http: httpx.Client) -> None:
    """A path fault applies to its own name; a token for another name is correct."""
    for spelled, status in [("error_status-429_retry-after-2", 429), ("error_status-503", 503)]:
        name = f"broken/with/{spelled}_endpoint-token/library/app"
        answer = http.get("/token", params={"scope": f"repository:{name}:pull"}, auth=USER)
        assert answer.status_code == status
    answer = http.get("/token", params={"scope": "repository:library/app:pull"}, auth=USER)
    assert answer.status_code == 200


@pytest.mark.parametrize("inner", ["drip_every-1us", "throttle_rate-1gib", "corrupt"])
def test_around_another_fault(http: httpx.Client, inner: str) -> None:
    name = f"broken/with/token_form-garbage/broken/with/{inner}_endpoint-token/app"
    answer = http.get("/token", params={"scope": f"repository:{name}:pull"}, auth=USER)
    assert answer.status_code == 200
    if inner != "corrupt":
        assert answer.json()["token"] == "garbage"


@pytest.mark.slow
def test_rules_for_requests_for_a_token(tmp_path: Path) -> None:
    """Rules match the repository of the first scope, in the query or the form."""
    (tmp_path / "rules.yaml").write_text(
        """
        rules:
          - {match: {endpoint: token, repository: "limited/*"}, fault: {type: rate-limit, quota: 1}}
          - {match: {endpoint: token, repository: slow}, fault: {type: latency, dur: 300ms}}
          - {match: {endpoint: token, repository: stalled}, fault: {type: stall}}
          - {match: {endpoint: token, repository: cut}, fault: {type: empty-reply}}
        """
    )
    with (
        brokenreg(tmp_path / "data", "--scenario", str(tmp_path / "rules.yaml")) as running,
        httpx.Client(base_url=running.url, timeout=10) as http,
    ):

        def ask(method: str, name: str, timeout: float = 10) -> httpx.Response:
            fields = {"scope": f"repository:{name}:pull"}
            if method == "GET":
                return http.get("/token", params=fields, timeout=timeout)
            form = {"grant_type": "password", "username": "a", "password": "b"}
            return http.post("/token", data={**form, **fields}, timeout=timeout)

        assert [ask(method, "limited/a").status_code for method in ("GET", "POST", "GET")] == [200, 429, 429]
        for method in ("GET", "POST"):
            assert ask(method, "other").status_code == 200
            assert ask(method, "slow").elapsed.total_seconds() >= 0.3
            with pytest.raises(httpx.ReadTimeout):
                ask(method, "stalled", timeout=0.2)
            with pytest.raises(httpx.RemoteProtocolError):
                ask(method, "cut")


def test_around_one_that_ends_the_answer_in_the_middle(http: httpx.Client) -> None:
    name = "broken/with/token_form-garbage/broken/with/truncate_after-10_endpoint-token/app"
    with pytest.raises(httpx.RemoteProtocolError):
        http.get("/token", params={"scope": f"repository:{name}:pull"}, auth=USER)
    assert http.get("/token", auth=USER).status_code == 200


@pytest.mark.parametrize("spelled", ["form-odd", "lifetime-soon", "form-expired_lifetime-1s", "skew-x"])
def test_bad_parameters_are_reported(http: httpx.Client, spelled: str) -> None:
    answer = http.get("/token", params={"scope": f"repository:{name_of(spelled)}:pull"}, auth=USER)
    assert spelled.partition("-")[0] in error_of(answer, 400)["message"]


def issued(document: dict[str, str]) -> float:
    return datetime.datetime.strptime(document["issued_at"], "%Y-%m-%dT%H:%M:%S%z").timestamp()


def claims(document: dict[str, str]) -> dict[str, float]:
    read: dict[str, float] = jwt.decode(document["token"], options={"verify_signature": False})
    return read


def test_members_of_other_types(http: httpx.Client) -> None:
    assert get(http, "form-string").json()["expires_in"] == "300"
    assert abs(get(http, "form-number").json()["issued_at"] - time.time()) < 30
    document = get(http, "form-null").json()
    assert (document["token"], document["access_token"]) == (None, None)


@pytest.mark.parametrize("size", [1000, 5000])
def test_a_long_token(http: httpx.Client, size: int) -> None:
    parameters = f"length-{size}"
    token = get(http, parameters).json()["token"]
    assert size - 4 <= len(token) <= size + 4
    assert use(http, parameters, token).status_code == 404


def test_a_token_that_no_header_can_hold(http: httpx.Client) -> None:
    assert len(get(http, "length-1mib").json()["token"]) >= 1024 * 1024 - 4
