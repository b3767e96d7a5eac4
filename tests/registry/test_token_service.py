"""GET and POST `/token`: who gets a token, and what it contains."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import httpx
import jwt
import pytest

from tests.registry.pushing import error_of
from tests.server import Brokenreg, brokenreg

USER, PASSWORD = "casey", "hunter2"
SCOPE = "repository:a/b:pull"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A token service with one user."""
    options = ("--auth", "token", "--auth-user", f"{USER}:{PASSWORD}", "--token-lifetime", "2m")
    with (
        brokenreg(tmp_path_factory.mktemp("token") / "data", *options) as running,
        httpx.Client(base_url=running.url, timeout=30) as http,
    ):
        yield http


@pytest.fixture(scope="module")
def open_service(registry: Brokenreg) -> Iterator[httpx.Client]:
    """A token service without users."""
    with httpx.Client(base_url=registry.url, timeout=30) as http:
        yield http


def claims(token: str) -> dict[str, object]:
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    read: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return read


def post(http: httpx.Client, **form: str) -> httpx.Response:
    return http.post("/token", data={"service": "brokenreg", "client_id": "tests", **form})


def test_the_claims_of_a_token(service: httpx.Client) -> None:
    scopes = [f"{SCOPE},push", "repository:c:pull repository(plugin):host:5000/d:*", "registry:catalog:*"]
    params = {"scope": scopes, "service": "x", "account": USER}
    answer = service.get("/token", params=params, auth=(USER, PASSWORD))
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    assert sorted(document) == ["access_token", "expires_in", "issued_at", "token"]
    assert document["token"] == document["access_token"]
    assert document["expires_in"] == 120
    issued = datetime.datetime.strptime(document["issued_at"], "%Y-%m-%dT%H:%M:%S%z").timestamp()
    read = claims(document["token"])
    assert read.pop("jti")
    assert 0 <= read.pop("exp") - issued - 120 < 1  # type: ignore[operator]
    assert read == {
        "iss": "brokenreg",
        "sub": USER,
        "aud": "brokenreg",
        "nbf": issued,
        "iat": issued,
        "access": [
            {"type": "repository", "name": "a/b", "actions": ["pull", "push"]},
            {"type": "repository", "name": "c", "actions": ["pull"]},
            {"type": "repository", "name": "host:5000/d", "actions": ["*"]},
            {"type": "registry", "name": "catalog", "actions": ["*"]},
        ],
    }


def test_anonymous_clients_get_no_token_if_there_are_users(service: httpx.Client) -> None:
    refused = service.get("/token", params={"scope": SCOPE})
    assert error_of(refused, 401)["code"] == "UNAUTHORIZED"
    assert refused.headers["www-authenticate"] == 'Basic realm="brokenreg"'
    assert error_of(service.get("/token", auth=(USER, "wrong")), 401)
    assert error_of(service.get("/token", headers={"authorization": "Bearer x"}), 401)


def test_without_users_everyone_gets_any_token(open_service: httpx.Client) -> None:
    for auth, subject in [(None, ""), (("anybody", "x"), "anybody")]:
        answer = open_service.get("/token", params={"scope": f"{SCOPE},push,delete"}, auth=auth)
        assert claims(answer.json()["token"])["sub"] == subject
        (access,) = claims(answer.json()["token"])["access"]  # type: ignore[misc]
        assert access["actions"] == ["pull", "push", "delete"]
    assert open_service.get("/token", auth=("anybody", "")).status_code == 401


def test_by_form_with_a_password(service: httpx.Client) -> None:
    answer = post(
        service, grant_type="password", username=USER, password=PASSWORD, scope=f"{SCOPE} registry:catalog:*"
    )
    assert answer.status_code == 200
    document = answer.json()
    assert sorted(document) == ["access_token", "expires_in", "issued_at", "scope", "token"]
    assert document["scope"] == f"{SCOPE} registry:catalog:*"
    assert claims(document["access_token"])["sub"] == USER
    refused = post(service, grant_type="password", username=USER, password="wrong", scope=SCOPE)
    assert error_of(refused, 401)["code"] == "UNAUTHORIZED"
    assert refused.headers["www-authenticate"] == 'Basic realm="brokenreg"'
    assert post(service, grant_type="password", scope=SCOPE).status_code == 401


def test_an_offline_request_gets_a_refresh_token_for_other_tokens(service: httpx.Client) -> None:
    by_get = service.get("/token", params={"offline_token": "true"}, auth=(USER, PASSWORD)).json()
    by_post = post(service, grant_type="password", username=USER, password=PASSWORD, access_type="offline")
    for refresh in (by_get["refresh_token"], by_post.json()["refresh_token"]):
        answer = post(service, grant_type="refresh_token", refresh_token=refresh, scope=SCOPE)
        document = answer.json()
        assert claims(document["token"])["sub"] == USER
        assert "refresh_token" not in document
        headers = {"authorization": f"Bearer {document['token']}"}
        assert service.get("/v2/a/b/tags/list", headers=headers).status_code == 404
        # A refresh token is no access token, nor the other way round.
        assert service.get("/v2/", headers={"authorization": f"Bearer {refresh}"}).status_code == 401
        refused = post(service, grant_type="refresh_token", refresh_token=document["token"])
        assert error_of(refused, 401)["code"] == "UNAUTHORIZED"
    again = post(
        service, grant_type="refresh_token", refresh_token=by_get["refresh_token"], access_type="offline"
    )
    assert again.json()["refresh_token"] != by_get["refresh_token"]


def test_anonymous_clients_get_no_refresh_token(open_service: httpx.Client) -> None:
    assert "refresh_token" not in open_service.get("/token?offline_token=true").json()


def test_two_tokens_are_never_the_same(open_service: httpx.Client) -> None:
    assert open_service.get("/token").json()["token"] != open_service.get("/token").json()["token"]


@pytest.mark.parametrize(
    ("forged", "algorithm"), [({"aud": "brokenreg", "access": [], "exp": 2**40}, "HS256"), ({}, None)]
)
def test_a_forged_token_is_refused(
    service: httpx.Client, forged: dict[str, object], algorithm: str | None
) -> None:
    """Signed with another key, or not at all."""
    real = service.get("/token", auth=(USER, PASSWORD)).json()["token"]
    token = jwt.encode({**claims(real), **forged}, "x" * 32 if algorithm else "", algorithm=algorithm)
    refused = service.get("/v2/", headers={"authorization": f"Bearer {token}"})
    assert refused.headers["www-authenticate"].endswith(',error="invalid_token"')
    tampered = real[:-2] + ("AA" if real[-2:] != "AA" else "BB")
    assert service.get("/v2/", headers={"authorization": f"Bearer {tampered}"}).status_code == 401
    assert service.get("/v2/", headers={"authorization": f"Bearer {real}"}).status_code == 200


def test_a_token_of_another_run_is_refused(service: httpx.Client, open_service: httpx.Client) -> None:
    token = open_service.get("/token").json()["token"]
    assert service.get("/v2/", headers={"authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize(
    ("method", "form", "status"),
    [
        ("POST", "", 400),
        ("POST", "grant_type=authorization_code", 400),
        ("POST", "%ff%00&&=&grant_type", 400),
        ("POST", "scope=repository:A:pull", 400),
        ("POST", "x" * (64 * 1024 + 1), 413),
        ("PUT", "", 405),
        ("HEAD", "", 405),
    ],
)
def test_invalid_requests(service: httpx.Client, method: str, form: str, status: int) -> None:
    answer = service.request(method, "/token", content=form)
    assert answer.status_code == status
    if method != "HEAD":
        assert error_of(answer, status)["message"]
    if status == 405:
        assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("scope", ["nonsense", "repository:a", "::", "a:b:c", "repository::pull", ""])
def test_unusual_scopes_are_ignored(open_service: httpx.Client, scope: str) -> None:
    assert open_service.get("/token", params={"scope": scope}).status_code == 200


def test_the_first_repository_of_the_scopes_is_the_target(open_service: httpx.Client) -> None:
    """Path faults are applied, even if only the form contains the path."""
    name = "broken/in/space/broken/with/error_status-418_endpoint-token/some/app"
    scopes = f"registry:catalog:* repository:{name}:pull repository:other:pull"
    form = {"grant_type": "password", "username": "a", "password": "b", "scope": scopes}
    assert error_of(open_service.get("/token", params={"scope": scopes}), 418)
    assert error_of(open_service.post("/token", data=form), 418)
    assert open_service.post("/token", data={**form, "scope": "repository:some/app:pull"}).status_code == 200
