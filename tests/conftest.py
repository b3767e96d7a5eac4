"""Fixtures that many tests share: a running registry, and an HTTP client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import certifi
import httpx
import pytest

from tests.process import BrokenregProcess, brokenreg_process
from tests.running_registry import Registry
from tests.server import Brokenreg, brokenreg


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
