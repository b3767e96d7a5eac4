"""The panel in a terminal that is not there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from take_screenshots import frozen


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    """UTC, colours, nothing that moves; whatever the terminal of whoever runs the tests."""
    with frozen():
        yield
