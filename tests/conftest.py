"""What many tests share. The folders mirror those of brokenreg; `clients` and `panel` have fixtures too.

- `registry`: a brokenreg for all tests of a module; `own_registry`: one for a test alone. Both serve in a
  thread of this process. `own_process` is a process, for what only a process has: signals, an exit status,
  output, memory, descriptors. With options: `brokenreg(...)` of `tests.server`, `brokenreg_process(...)` of
  `tests.process`, which have the same interface.
- `database_url`: an empty PostgreSQL database on the server `postgresql` (`tests.postgresql`).
- `http`: an HTTP client of `registry`; `secure`, `http1`, `http2`, `each`, `any_http`: over every protocol.
- `tests.running_registry`: push, add rules, read exchanges; `tests.raw_http`: HTTP by hand, and exactly what
  came back; `tests.connections`, `tests.tls_client`: the same for connections and TLS.
- `tests.storage.object_stores`: an S3 server, and a proxy before it that fails on demand.
- `tests.round_robin`: a proxy that sends each request to another server; `tests.clients.storages`: where the
  brokenregs of `tests/clients` have their content (`BROKENREG_TEST_STORAGE`).
- `tests.disks`: a small disk; `tests.hang_guard`: ends what hangs. A test asserts no upper bound of time.
- `tests.registry.pushing`: manifests and pushes; `tests.proxy.chain`: a brokenreg before another;
  `tests.proxy.scripted`: an upstream that answers as it is told to; `screen.py` and `serving.py` of
  `tests/panel`: a panel and what it shows.
- The property `reported` of a test is printed at the end of the run.
- Marks: `clients` (all of `tests/clients`) and `terminal` (what uses the fixture `terminal`) are set here,
  `slow` is set by hand.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import certifi
import httpx
import pytest
from hypothesis import settings

from tests.postgresql import PostgreSQLServer, running_server
from tests.process import BrokenregProcess, brokenreg_process
from tests.running_registry import Registry
from tests.server import Brokenreg, brokenreg

# Its examples share a machine with other tests, so that their time says nothing.
settings.register_profile("brokenreg", deadline=None)
settings.load_profile("brokenreg")

_LONG = (
    "docs/test_commands",
    "docs/test_how_to",
    "docs/test_examples",
    "assembly/test_crash",
    "fleet/test_crash",
    "clients/",
    "assembly/test_shutdown",
    "storage/test_cache_model",
)
"""Files that take long come first, so that no process works alone at the end."""


_databases = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set marks by folder and fixture, and put long files first."""
    for item in items:
        if item.nodeid.startswith("tests/clients/"):
            item.add_marker(pytest.mark.clients)
        if "terminal" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.terminal)
    items.sort(key=_place)


def pytest_collection_finish() -> None:
    """Leave what is imported out of searches for garbage, and search less often: a fifth of a run's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests measured: their property `reported`."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "reported":
                terminalreporter.write_line(str(value))


def _place(item: pytest.Item) -> int:
    return next((at for at, part in enumerate(_LONG) if part in item.nodeid), len(_LONG))


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one CA instead of 140: to read them all is 20 ms for each HTTP client and each server.

    Tests that need a certificate trust it by themselves, and ask nobody but this machine.
    """
    end = "-----END CERTIFICATE-----"
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    file.write_text(certifi.contents().partition(end)[0] + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


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
def own_process(tmp_path: Path) -> Iterator[BrokenregProcess]:
    """A brokenreg in a process of its own, that the test has for itself."""
    with brokenreg_process(tmp_path / "data") as running:
        yield running


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQLServer]:
    """A PostgreSQL server for all tests that only need a database."""
    with running_server() as server:
        yield server


@pytest.fixture
def database_url(postgresql: PostgreSQLServer) -> str:
    """The URL of an empty PostgreSQL database."""
    return postgresql.create_database(f"test_{next(_databases)}")


@pytest.fixture
async def http(registry: Brokenreg) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client whose base is the module's registry."""
    async with httpx.AsyncClient(base_url=registry.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    """One brokenreg with TLS for all tests of a module."""
    with brokenreg(tmp_path_factory.mktemp("secure") / "data", "--tls", "self-signed") as running:
        yield running


@pytest.fixture(scope="module", params=["plain", "tls"])
def http1(request: pytest.FixtureRequest) -> Registry:
    """HTTP/1.1, plain and over TLS."""
    return Registry(request.getfixturevalue("registry" if request.param == "plain" else "secure"), "http/1.1")


@pytest.fixture(scope="module")
def http2(secure: Brokenreg) -> Registry:
    """HTTP/2 over TLS."""
    return Registry(secure, "h2")


@pytest.fixture(scope="module", params=["plain", "tls", "h2"])
def each(request: pytest.FixtureRequest) -> Registry:
    """Every way to speak to a registry in turn."""
    running = request.getfixturevalue("registry" if request.param == "plain" else "secure")
    return Registry(running, "h2" if request.param == "h2" else "http/1.1")


@pytest.fixture(params=["plain", "tls", "h2"])
async def any_http(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client over each protocol in turn."""
    running = request.getfixturevalue("registry" if request.param == "plain" else "secure")
    async with httpx.AsyncClient(
        base_url=running.url, verify=False, http2=request.param == "h2", timeout=30
    ) as client:
        yield client
