"""How long requests wait after a 429, with and without Retry-After."""

from __future__ import annotations

import email.utils
import itertools
import time
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.proxy.errors import UpstreamStatusError
from brokenreg.proxy.http.rate_limits import waits
from tests.proxy.chain import PLAIN, last
from tests.proxy.scripted import Answer, Received, Scripted, scripted
from tests.registry.pushing import error_of, image
from tests.server import Brokenreg, brokenreg

MANIFEST = Answer(200, {"content-type": "application/json"}, image(b"{}"))


def sequence(*told: str | None) -> list[float | None]:
    """Return the waits after 429s with these values of Retry-After."""
    next_wait = waits()
    return [next_wait(each) for each in told]


def test_waits_by_retry_after() -> None:
    assert sequence(None, None, None, None) == [2, 4, 8, None]
    assert sequence(*["1"] * 5) == [1, 1, 1, 1, None]
    assert sequence("12", "8", "1") == [12, 8, None]
    assert sequence("21") == [None]
    assert sequence("5", None, "garbage") == [5, 4, 8]
    assert sequence(" 7 ", "0") == [7, 0]


@pytest.mark.parametrize(
    "told",
    [
        "", "-1", "1.5", "1e3", "\u0663", "9999999999", "garbage", "Mon, 01 Jan 2026 25:00:00 GMT",
        "Mon, 99999999999 Jan 2026 00:00:00 GMT", "Mon, 01 Jan 2026 00:00:00 +99999999999",
        "Mon, 01 Jan 99999999999 00:00:00 GMT",
    ],
)  # fmt: skip
def test_waits_without_retry_after(told: str) -> None:
    assert sequence(told) == [2]


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000", ""])
def test_a_date(zone: str) -> None:
    date = email.utils.formatdate(time.time() + 10, usegmt=True).removesuffix("GMT") + zone
    (wait,) = sequence(date.strip())
    assert wait is not None
    assert 8 < wait <= 10
    assert sequence(email.utils.formatdate(0, usegmt=True)) == [0]
    assert sequence(email.utils.formatdate(time.time() + 3600, usegmt=True)) == [None]


@pytest.mark.slow
@given(
    st.lists(
        st.text() | st.from_regex(r"\w{3}, \d{1,12} \w{3} \d{1,12} \d{1,12}:\d\d:\d\d .{0,9}"), max_size=9
    )
)
def test_the_total_wait_and_the_tries_are_limited(told: list[str]) -> None:
    waited = [each for each in sequence(*told) if each is not None]
    assert all(each >= 0 for each in waited)
    assert sum(waited) <= 20
    assert len(waited) <= 4


@pytest.fixture(scope="module")
def upstream() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    where = ("--upstream", f"quay.io={upstream.url}")
    with brokenreg(tmp_path_factory.mktemp("proxy") / "data", *where) as running:
        yield running


@pytest.mark.slow
def test_clients_do_not_see_a_429_that_passes(upstream: Scripted, proxy: Brokenreg) -> None:
    path = "/v2/a/passing/manifests/v1"
    busy = Answer(429, {"retry-after": "1"})
    answers = itertools.chain([busy, Answer(429, {"retry-after": "0"})], itertools.repeat(MANIFEST))

    def answer(_: Received) -> Answer:
        return next(answers)

    upstream.answers[path] = answer
    began = time.monotonic()
    assert httpx.get(f"{proxy.url}{path}", timeout=30, verify=PLAIN).content == MANIFEST.body
    assert time.monotonic() - began >= 1
    waits = [point for point in last(proxy)["timeline"] if point["kind"] == "rate-limited"]
    assert [point["text"] for point in waits] == [
        "rate limited: waiting 1 s for quay.io",
        "rate limited: waiting 0 s for quay.io",
    ]
    assert upstream.asked.count(("GET", path)) == 3


@pytest.mark.parametrize("told", [None, "", "\x1b[31m99", "9" * 30_000, "60\xe9", "<script>"])
def test_an_invalid_retry_after_is_not_passed_on(told: str | None) -> None:
    assert UpstreamStatusError.too_many_requests("quay.io", told).headers == {}


@pytest.mark.parametrize("told", ["60", "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT"])
def test_a_valid_retry_after_is_passed_on(told: str) -> None:
    assert UpstreamStatusError.too_many_requests("quay.io", told).headers == {"retry-after": told}


@pytest.mark.parametrize("told", ["60", "9" * 9])
def test_a_429_that_lasts_is_passed_on(upstream: Scripted, proxy: Brokenreg, told: str) -> None:
    path = f"/v2/a/lasting-{len(told)}/manifests/v1"
    upstream.answers[path] = Answer(429, {"retry-after": told})
    response = httpx.get(f"{proxy.url}{path}", timeout=30, verify=PLAIN)
    assert error_of(response, 429)["code"] == "TOOMANYREQUESTS"
    assert response.headers["retry-after"] == told
