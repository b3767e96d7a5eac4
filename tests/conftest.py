"""Fixtures that many tests share: a running registry, and an HTTP client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.process import Brokenreg, brokenreg


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    """One brokenreg for all tests of a module; each test uses repositories of its own."""
    with brokenreg(tmp_path_factory.mktemp("data") / "data") as running:
        yield running


@pytest.fixture
def own_registry(tmp_path: Path) -> Iterator[Brokenreg]:
    """A brokenreg that the test has for itself."""
    with brokenreg(tmp_path / "data") as running:
        yield running


@pytest.fixture
async def http(registry: Brokenreg) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client whose base is the module's registry."""
    async with httpx.AsyncClient(base_url=registry.url, timeout=30) as client:
        yield client
