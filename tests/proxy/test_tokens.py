"""The token cache: tokens are kept while they are valid, and concurrent callers share a request."""

from __future__ import annotations

import asyncio

import pytest

from brokenreg.proxy.auth.tokens import Grant, TokenCache
from brokenreg.proxy.errors import UpstreamUnreachableError

KEY = ("quay.io", "repository:org/image:pull")


class Service:
    """Grants one token after the other, when the test allows it."""

    def __init__(self, lifetime: float = 300.0) -> None:
        self.now = 0.0
        self.asked = 0
        self.lifetime = lifetime
        self.open = asyncio.Event()
        self.open.set()
        self.was_asked = asyncio.Event()
        self.cache = TokenCache(lambda: self.now)

    async def work(self) -> Grant:
        self.asked += 1
        self.was_asked.set()
        asked = self.asked
        await self.open.wait()
        return Grant(f"Bearer {asked}", self.lifetime)

    async def obtain(self) -> str | None:
        return await self.cache.obtain(KEY, self.work)


@pytest.mark.parametrize(("lifetime", "kept"), [(300.0, 300.0), (60.0, 60.0), (1.0, 60.0), (-5.0, 60.0)])
async def test_a_token_is_kept_for_its_lifetime_and_at_least_a_minute(lifetime: float, kept: float) -> None:
    service = Service(lifetime)
    assert await service.obtain() == "Bearer 1"
    service.now = kept - 0.1
    assert await service.obtain() == "Bearer 1"
    service.now = kept
    assert service.cache.get(KEY) is None
    assert await service.obtain() == "Bearer 2"


async def test_a_token_is_kept_by_upstream_and_scope() -> None:
    service = Service()
    await service.obtain()
    assert service.cache.get(("quay.io", "repository:org/other:pull")) is None
    assert service.cache.get(("ghcr.io", KEY[1])) is None


async def test_a_refused_token_is_dropped_but_not_a_newer_one() -> None:
    service = Service()
    assert await service.obtain() == "Bearer 1"
    service.cache.drop(KEY, "Bearer 1")
    assert await service.obtain() == "Bearer 2"
    service.cache.drop(KEY, "Bearer 1")
    assert await service.obtain() == "Bearer 2"


async def test_a_shared_request_continues_if_its_first_caller_is_cancelled() -> None:
    service = Service()
    service.open.clear()
    waiting = [asyncio.create_task(service.obtain()) for _ in range(10)]
    await service.was_asked.wait()
    waiting[0].cancel()
    waiting[5].cancel()
    await asyncio.wait(waiting[:1])
    service.open.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in results].count(True) == 2
    assert [each for each in results if each == "Bearer 1"] == ["Bearer 1"] * 8
    assert service.asked == 1


async def test_a_failure_reaches_all_callers_and_is_not_kept() -> None:
    service = Service()

    async def fail() -> Grant:
        await service.work()
        raise UpstreamUnreachableError("no")

    failing = [service.cache.obtain(KEY, fail) for _ in range(3)]
    results = await asyncio.gather(*failing, return_exceptions=True)
    assert [type(each) for each in results] == [UpstreamUnreachableError] * 3
    assert await service.obtain() == "Bearer 2"


async def test_the_number_of_tokens_is_limited() -> None:
    cache = TokenCache()

    async def work() -> Grant:
        return Grant("Bearer x")

    for number in range(1100):
        await cache.obtain(("quay.io", str(number)), work)
    assert sum(cache.get(("quay.io", str(number))) is not None for number in range(1100)) == 1000


def test_a_grant_shows_no_token() -> None:
    assert "s3cret" not in repr(Grant("Bearer s3cret"))
