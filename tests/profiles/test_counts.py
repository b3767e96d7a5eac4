"""What a profile counts in an image path: each path, client and namespace separately."""

from __future__ import annotations

import httpx
import pytest

from tests.profiles.conftest import REPOSITORY
from tests.raw_http import HTTP1
from tests.server import Brokenreg

PROFILE = "broken/as/quay-flapping"


def _statuses(
    running: Brokenreg, name: str, count: int, *, client: str = "", agent: str = ""
) -> list[int | None]:
    with HTTP1(running, source=client) as connection:
        headers = [("User-Agent", agent)] if agent else []
        path = f"/v2/{name}/manifests/v1"
        return [connection.ask(path, headers=headers).status for _ in range(count)]


@pytest.fixture(autouse=True)
def no_counts(without_profile: Brokenreg) -> None:
    for query in ("", "?namespace=job"):
        assert httpx.post(f"{without_profile.control}/v1/reset{query}").is_success


def test_each_path_client_and_namespace(without_profile: Brokenreg) -> None:
    name = f"{PROFILE}/{REPOSITORY}"
    assert _statuses(without_profile, name, 3) == [500, 502, 200]
    assert _statuses(without_profile, name, 1) == [200]
    assert _statuses(without_profile, name, 3, client="127.0.0.2") == [500, 502, 200]
    assert _statuses(without_profile, name, 3, agent="other/1.0") == [500, 502, 200]
    assert _statuses(without_profile, f"{PROFILE}/team/other", 3) == [500, 502, 404]
    assert _statuses(without_profile, f"broken/in/job/{name}", 3) == [500, 502, 404]


def test_a_limit_is_that_of_one_client(without_profile: Brokenreg) -> None:
    name = f"broken/as/ecr-public-throttled/{REPOSITORY}"
    for client in ("127.0.0.4", "127.0.0.5"):
        assert _statuses(without_profile, name, 2, client=client) == [200, 429]
