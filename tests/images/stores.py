"""Stores for tests: a dict, and variants that fail or wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


class DictStore:
    """Keeps recipes in a dict."""

    def __init__(self, records: dict[str, str] | None = None) -> None:
        self.records = records if records is not None else {}

    def recipes(self) -> Iterable[tuple[str, str]]:
        return self.records.items()

    async def put_recipe(self, key: str, value: str) -> None:
        self.records[key] = value


class GatedStore(DictStore):
    """Lets nothing through until `gate` is set; `reached` says that somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()
        self.puts = 0

    async def put_recipe(self, key: str, value: str) -> None:
        self.puts += 1
        self.reached.set()
        await self.gate.wait()
        await super().put_recipe(key, value)


class FailingStore(DictStore):
    """Fails until `healthy`."""

    healthy = False

    async def put_recipe(self, key: str, value: str) -> None:
        if not self.healthy:
            raise OSError("disk full")
        await super().put_recipe(key, value)
