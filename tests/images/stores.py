"""Stores for tests: a dict, and variants that fail or wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any


class DictStore:
    """Keeps recipes in a dict."""

    def __init__(self, records: dict[str, str] | None = None) -> None:
        self.records = records if records is not None else {}

    async def put(self, records: Sequence[tuple[str, str]]) -> None:
        self.records.update(records)

    async def get(self, keys: Iterable[str]) -> dict[str, str]:
        return {key: self.records[key] for key in keys if key in self.records}

    async def naming(self, digest: str) -> list[tuple[str, str]]:
        return [(key, value) for key, value in self.records.items() if digest in _digests(value)]

    async def beginning_with(self, prefix: str, most: int) -> list[tuple[str, str]]:
        return [record for record in sorted(self.records.items()) if record[0].startswith(prefix)][:most]


class GatedStore(DictStore):
    """Blocks until `gate` is set; `reached` is set when a call is waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()
        self.puts = 0

    async def put(self, records: Sequence[tuple[str, str]]) -> None:
        self.puts += 1
        self.reached.set()
        await self.gate.wait()
        await super().put(records)


class FailingStore(DictStore):
    """Fails until `healthy`."""

    healthy = False

    async def put(self, records: Sequence[tuple[str, str]]) -> None:
        if not self.healthy:
            raise OSError("disk full")
        await super().put(records)


def _digests(value: str) -> list[Any]:
    try:
        record = json.loads(value)
    except ValueError:
        return []
    return [record.get(name) for name in ("digest", "manifest", "config")] if isinstance(record, dict) else []
