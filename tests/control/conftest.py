"""Clients of the control API of the module's registry."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.server import Brokenreg


@pytest.fixture
def control(registry: Brokenreg) -> Iterator[httpx.Client]:
    """The control API in its initial state: no rules, and an empty log."""
    with httpx.Client(base_url=registry.control, timeout=30) as client:
        client.post("/v1/resume", params={"namespace": "*"}).raise_for_status()
        client.post("/v1/reset", params={"namespace": "*"}).raise_for_status()
        yield client
