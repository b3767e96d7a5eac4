"""The plugin for pytest: the fixture `brokenreg`, a registry that a test can break.

Only pytest is imported here. The rest follows when a test uses the fixture.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from brokenreg.client import LocalRegistry
    from brokenreg.pytest_plugin.registry import TestRegistry

__all__ = ("brokenreg",)

_REGISTRY: pytest.StashKey[TestRegistry] = pytest.StashKey()
_OPTIONS = "brokenreg_options"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(_OPTIONS, 'further options of "brokenreg serve"', type="args", default=["--offline"])


@pytest.fixture(scope="session")
def _brokenreg_server(request: pytest.FixtureRequest) -> Iterator[LocalRegistry]:
    """One server for the session, or for the session of each xdist worker."""
    from brokenreg.client import local_registry

    with local_registry(request.config.getini(_OPTIONS)) as server:
        yield server


@pytest.fixture
def brokenreg(request: pytest.FixtureRequest, _brokenreg_server: LocalRegistry) -> Iterator[TestRegistry]:
    """A container registry in a namespace of this test, which works until the test breaks it."""
    from brokenreg.pytest_plugin.registry import registry_for_a_test

    with registry_for_a_test(_brokenreg_server) as registry:
        request.node.stash[_REGISTRY] = registry
        yield registry


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the exchanges of a failed test to its report."""
    report = yield
    if report.failed and _REGISTRY in item.stash and report.when == "call":
        report.sections.append(("brokenreg: exchanges of this test", item.stash[_REGISTRY].report()))
    return report
