"""What a replica signs is valid at the others."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from brokenreg.attach.web_socket import RefusedError, WebSocket
from tests.fleet.fleets import KEY, Fleet, new_fleet
from tests.postgresql import PostgreSQLServer
from tests.server import Brokenreg

LOGIN = ("ci", "a-secret")
OPTIONS = ("--auth", "token", "--auth-user", ":".join(LOGIN))
IMAGE = "/v2/broken/random/manifests/layers-1_size-10"
REPOSITORY = "broken/random"


@pytest.fixture(scope="module")
def two(postgresql: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Brokenreg]]:
    """Two replicas that require tokens."""
    with new_fleet(postgresql, tmp_path_factory.mktemp("keys")) as fleet:
        yield [fleet.thread(name, *OPTIONS) for name in "ab"]


def token(at: Brokenreg, **parameters: str) -> dict[str, str]:
    scope = {"scope": f"repository:{REPOSITORY}:pull", **parameters}
    response = httpx.get(f"{at.url}/token", params=scope, auth=LOGIN)
    assert response.status_code == 200
    found: dict[str, str] = response.json()
    return found


def with_token(value: str) -> dict[str, str]:
    return {"authorization": f"Bearer {value}"}


def ticket_path(at: Brokenreg) -> str:
    """The path of the WebSocket that the page of the panel opens."""
    found = re.search(r"/v1/panel/[^\"]+", httpx.get(f"{at.control}/panel").text)
    assert found
    return found[0]


def at(there: Brokenreg, url: str) -> str:
    """The URL of the second origin of one replica at that of another, as behind a load balancer."""
    parts = urlsplit(url)
    second = urlsplit(httpx.get(f"{there.control}/v1/status").json()["second_origin"])
    return parts._replace(netloc=second.netloc).geturl()


def test_tokens(two: list[Brokenreg]) -> None:
    first, second = two
    headers = with_token(token(first)["token"])
    assert [httpx.get(f"{each.url}{IMAGE}", headers=headers).status_code for each in two] == [200, 200]
    refresh = token(first, offline_token="true")["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": refresh, "scope": f"repository:{REPOSITORY}:pull"}
    renewed = httpx.post(f"{second.url}/token", data=form)
    assert renewed.status_code == 200
    response = httpx.get(f"{first.url}{IMAGE}", headers=with_token(renewed.json()["access_token"]))
    assert response.status_code == 200


def test_signed_urls(two: list[Brokenreg]) -> None:
    first, second = two
    headers = with_token(token(first)["token"])
    manifest = httpx.get(f"{first.url}{IMAGE}", headers=headers).json()
    path = f"/v2/broken/with/redirect/{REPOSITORY}/blobs/{manifest['layers'][0]['digest']}"
    scope = {"scope": f"repository:broken/with/redirect/{REPOSITORY}:pull"}
    headers |= with_token(token(first, **scope)["token"])
    redirect = httpx.get(f"{first.url}{path}", headers=headers)
    assert redirect.status_code == 307, redirect.text
    elsewhere = at(second, redirect.headers["location"])
    assert httpx.get(elsewhere).status_code == 200
    assert httpx.get(elsewhere.replace("sig=", "sig=0")).status_code == 403


def test_the_token_of_the_second_origin_is_no_leaked_credential(two: list[Brokenreg]) -> None:
    first, second = two
    url = httpx.get(f"{first.control}/v1/status").json()["second_origin"]
    issued = httpx.get(f"{url}/token").json()["token"]
    for value, leaks in ((issued, 0), ("other", 1)):
        httpx.get(at(second, f"{url}/v2/"), headers=with_token(value))
        assert httpx.get(f"{second.control}/v1/status").json()["leaked_credentials"]["count"] == leaks


async def test_tickets_of_the_panel(two: list[Brokenreg]) -> None:
    """The page is from one replica, and its WebSocket reaches the other. A ticket opens one panel in all."""
    first, second = two
    path = f"{await asyncio.to_thread(ticket_path, first)}?width=90&height=30"
    async with WebSocket.connected(second.control, path, {}, None) as socket:
        assert isinstance(await anext(socket.messages()), bytes)
    for each in two:
        with pytest.raises(RefusedError) as refused:
            async with WebSocket.connected(each.control, path, {}, None):
                pass
        assert refused.value.status == 403


def test_a_request_of_another_replica_is_a_loop(fleet: Fleet) -> None:
    second = fleet.thread("b", "--upstream", "upstream.test=http://127.0.0.1:1")
    first = fleet.thread("a", "--upstream", f"upstream.test={second.url}")
    path = "/v2/upstream.test/team/app/manifests/v1"
    assert "request loop: " in httpx.get(f"{first.url}{path}").text
    assert "request loop: " not in httpx.get(f"{second.url}{path}").text


@pytest.mark.parametrize(
    ("key", "users"),
    [("another key of another fleet", OPTIONS), (KEY, ("--auth", "token", "--auth-user", "ci:changed"))],
)
def test_another_key_or_other_users(
    two: list[Brokenreg], fleet: Fleet, key: str, users: tuple[str, ...]
) -> None:
    """A token does not outlive a change of the users, as it would not outlive a restart without a fleet."""
    headers = with_token(token(two[0])["token"])
    other = fleet.thread("c", *users, key=key)
    assert httpx.get(f"{other.url}{IMAGE}", headers=headers).status_code == 401
