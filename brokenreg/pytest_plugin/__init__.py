"""The plugin for pytest: the fixture `brokenreg`, a registry that a test can break.

Only pytest is imported here. The rest follows when a test uses the fixture.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from brokenreg.pytest_plugin.registry import TestRegistry
    from brokenreg.pytest_plugin.servers import TestServer

__all__ = ("TestRegistry", "brokenreg")

_REGISTRY: pytest.StashKey[TestRegistry] = pytest.StashKey()
_OPTIONS = "brokenreg_options"
_URL = "brokenreg_url"


def __getattr__(name: str) -> object:
    """Import the type of the fixture when somebody needs it, for an annotation."""
    if name != "TestRegistry":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from brokenreg.pytest_plugin.registry import TestRegistry

    return TestRegistry


def pytest_addoption(parser: pytest.Parser) -> None:
    about_url = "use the running registry with this control API (HOST:PORT or a URL) instead of starting one"
    parser.addini(_OPTIONS, 'further options of "brokenreg serve"', type="args", default=["--offline"])
    parser.addini(_URL, about_url, default="")
    parser.getgroup("brokenreg").addoption("--brokenreg-url", metavar="URL", default=None, help=about_url)


@pytest.fixture(scope="session")
def _brokenreg_server(request: pytest.FixtureRequest) -> Iterator[TestServer]:
    """One server for the session, or for the session of each xdist worker."""
    from brokenreg.client import ControlError, NotStartedError
    from brokenreg.pytest_plugin.servers import server_for_tests

    config = request.config
    url = config.getoption(_URL)
    with ExitStack() as stack:
        try:
            server = server_for_tests(config.getini(_URL) if url is None else url, config.getini(_OPTIONS))
            found = stack.enter_context(server)
        except (ControlError, NotStartedError) as error:
            pytest.fail(str(error), pytrace=False)
        yield found


@pytest.fixture
def brokenreg(request: pytest.FixtureRequest, _brokenreg_server: TestServer) -> Iterator[TestRegistry]:
    """A container registry in a namespace of this test, which works until the test breaks it."""
    with _brokenreg_server.registry_for_a_test() as registry:
        request.node.stash[_REGISTRY] = registry
        yield registry


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the exchanges of a failed test to its report."""
    report = yield
    if report.failed and _REGISTRY in item.stash and report.when != "teardown":
        _add_section(report, "brokenreg: exchanges of this test", item.stash[_REGISTRY].report())
    return report


def _add_section(report: pytest.TestReport, title: str, text: str) -> None:
    """Add a section to the text of the failure, which is in the JUnit file, too.

    The file omits sections of the report itself, unless they are captured output.
    """
    add = getattr(report.longrepr, "addsection", None)  # what pytest makes of most exceptions
    if add is None:
        report.sections.append((title, text))
    else:
        add(title, text)
