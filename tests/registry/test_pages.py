"""The cost of a page depends on its own length: names are kept in order and not sorted for each request."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from brokenreg.http.asgi import ReadyResponse
from brokenreg.oci.digests import Digest
from brokenreg.registry.endpoints import EndpointFunction
from brokenreg.registry.listings import list_catalog, list_tags, page_of
from brokenreg.registry.request import RegistryRequest
from brokenreg.storage.index_memory import IndexMemory
from brokenreg.storage.tags import SortedNames, Tags

MANY = 4000
FEW = 300
"""Comparisons: some for finding the place, some for each name of the page."""


class Counted(str):
    """A name that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __lt__(self, other: str) -> bool:
        Counted.compared += 1
        return str.__lt__(self, other)

    def __gt__(self, other: str) -> bool:
        Counted.compared += 1
        return str.__gt__(self, other)


def names(prefix: str = "t") -> list[str]:
    return [Counted(f"{prefix}{number:06}") for number in range(MANY)]


def request_of(
    query: dict[str, str], index: IndexMemory, upstream: list[str] | None = None
) -> RegistryRequest:
    async def upstream_tags(*_: object) -> list[str]:
        return upstream or []

    async def unless_gone(work: Awaitable[Any]) -> Any:
        return await work

    target = SimpleNamespace(root="", name="app", query="")
    listings = SimpleNamespace(tags=upstream_tags)
    stub: Any = SimpleNamespace(
        repository=index.repository(("", "app")),
        is_fabricated=False,
        target=target,
        parameter=query.get,
        route=None if upstream is None else SimpleNamespace(no_contact_reason=""),
        proxy=SimpleNamespace(listings=listings),
        trace=None,
        unless_gone=unless_gone,
        store=SimpleNamespace(index=index),
        catalog=SimpleNamespace(delay=0, fabricated=3),
    )
    return cast(RegistryRequest, stub)


async def answer(endpoint: EndpointFunction, request: RegistryRequest) -> tuple[Any, str]:
    before = Counted.compared
    response = endpoint(request)
    if not isinstance(response, ReadyResponse):
        response = await cast(Awaitable[ReadyResponse], response)
    assert Counted.compared - before < FEW
    return json.loads(response.body), dict(response.headers).get(b"link", b"").decode()


async def test_a_page_of_tags_compares_few_names() -> None:
    index = IndexMemory()
    index._repository(("", "app")).tags.point(names(), Digest("sha256:x"))
    document, link = await answer(list_tags, request_of({"n": "10", "last": "t001999"}, index))
    assert document["tags"] == [f"t{number:06}" for number in range(2000, 2010)]
    assert "last=t002009" in link


async def test_a_page_of_pushed_and_upstream_tags_compares_few_names() -> None:
    index = IndexMemory()
    index._repository(("", "app")).tags.point(names(), Digest("sha256:x"))
    upstream = sorted({*names("t00"), *names("u")})
    document, _ = await answer(list_tags, request_of({"n": "9", "last": "t003998"}, index, upstream))
    assert document["tags"] == ["t003999", *(f"u{number:06}" for number in range(8))]


async def test_a_page_of_the_catalog_compares_few_names() -> None:
    index = IndexMemory()
    for name in names("a/"):
        index._repository(("", name))
    document, link = await answer(list_catalog, request_of({"n": "2", "last": "a/003998"}, index))
    assert document["repositories"] == ["a/003999", "catalog/repository-000001"]
    assert link


@pytest.mark.parametrize(
    "lists", [[["b", "d"], ["a", "b", "e"]], [["a", "b", "d", "e"], []], [["a", "b", "d", "e"]]]
)
def test_pages_of_several_lists_are_pages_of_their_union(lists: list[list[str]]) -> None:
    def page(**query: str) -> tuple[list[str], bool]:
        found, headers = page_of(query.get, lists, "/p")
        return list(found), bool(headers)

    assert page() == (["a", "b", "d", "e"], False)
    assert page(n="2") == (["a", "b"], True)
    assert page(n="2", last="b") == (["d", "e"], False)
    assert page(n="3", last="a") == (["b", "d", "e"], False)
    assert page(n="1", last="c") == (["d"], True)
    assert page(n="0") == ([], False)
    assert page(last="d") == (["e"], False)
    assert page(last="z", n="3") == ([], False)


def test_names_stay_in_order() -> None:
    tags = Tags()
    tags.point(reversed([f"t{number:03}" for number in range(200)]), Digest("sha256:x"))
    tags.point(["t005", "t0050"], Digest("sha256:y"))
    assert tags.names == sorted(tags)
    assert len(tags) == 201
    tags.drop(["t005", "missing"])
    tags.drop([f"t{number:03}" for number in range(100)])
    assert tags.names == sorted(tags)
    assert len(tags) == 101
    assert isinstance(tags.names, SortedNames)
