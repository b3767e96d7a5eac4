"""Fixtures for most tests of the proxy: a brokenreg, and an upstream with scripted responses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.proxy.scripted import Scripted, scripted
from tests.server import Brokenreg, brokenreg


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    with brokenreg(tmp_path_factory.mktemp("upstream") / "data", "--offline") as running:
        yield running


@pytest.fixture(scope="module")
def odd() -> Iterator[Scripted]:
    """Run an upstream with scripted responses."""
    with scripted() as running:
        yield running
