"""The plugin for pytest: the registry of a test, and its server."""

from __future__ import annotations

import socket
import time

import pytest

from tests.pytest_plugin.source import GET

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow


def ends_listening(host: str, port: int) -> bool:
    """Return whether a server stops to accept connections within a few seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) != 0:
                return True
        time.sleep(0.05)
    return False


def test_a_test_breaks_its_registry_and_only_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        GET
        + """
def test_a_rule(brokenreg):
    image = brokenreg.random_image(layers=2, size="10kib", seed=3)
    assert image.startswith(f"{brokenreg.registry}/broken/in/{brokenreg.namespace}/broken/random:")
    with brokenreg.rule(faults.error(status=503), times=1, match={"endpoint": "manifest"}):
        assert [get(image).status_code for _ in range(2)] == [503, 200]
    assert [each["status"] for each in brokenreg.exchanges()] == [503, 200]
    assert [each["faults"] for each in brokenreg.exchanges("status:503")] == [["error"]]
    brokenreg.expect("status:503", count=1)
    brokenreg.expect("status:200")

def test_another_sees_nothing_of_it(brokenreg):
    assert brokenreg.exchanges() == []
    assert brokenreg.client.rules() == []
    assert get(brokenreg.image("broken/error:418")).status_code == 418

def test_push(brokenreg):
    image = brokenreg.push("team/app:v1", [b"one", b"two"])
    assert get(image).status_code == 200
    assert get(brokenreg.image("team/app:v2")).status_code == 404
"""
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=3)


@pytest.mark.parametrize("options", ["--auth basic", "--auth token --auth-user a:b"])
def test_a_push_logs_in(pytester: pytest.Pytester, options: str) -> None:
    pytester.makeini(f"[pytest]\nbrokenreg_options = {options}\n")
    pytester.makepyfile(
        f"""
import httpx, pytest

def test_push(brokenreg):
    brokenreg.push("app:v1", [b"some bytes"], login=("a", "b"))
    brokenreg.expect("endpoint:manifest method:PUT status:201", count=1)

def test_default(brokenreg):
    if {"--auth-user" in options}:
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            brokenreg.push("app:v1")
    else:
        brokenreg.push("app:v1")
"""
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_the_server_ends_if_pytest_is_killed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
import os, pathlib, signal

def test_it(brokenreg):
    pathlib.Path("registry").write_text(brokenreg.registry)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider")
    host, _, port = (pytester.path / "registry").read_text().partition(":")
    assert ends_listening(host, int(port))


def test_tls_and_a_push(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nbrokenreg_options = --tls self-signed\n")
    pytester.makepyfile(
        """
import httpx, ssl

def test_it(brokenreg):
    assert brokenreg.registry_url == f"https://{brokenreg.registry}"
    repository, _, tag = brokenreg.push("app:v1").partition("/")[2].rpartition(":")
    context = ssl.create_default_context(cafile=brokenreg.ca_file)
    url = f"{brokenreg.registry_url}/v2/{repository}/manifests/{tag}"
    assert httpx.get(url, verify=context).status_code == 200
"""
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_server_stops_with_the_session(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
import json, pathlib

def test_it(brokenreg):
    pathlib.Path("registry").write_text(brokenreg.registry)
"""
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
    host, _, port = (pytester.path / "registry").read_text().partition(":")
    with socket.socket() as probe:
        assert probe.connect_ex((host, int(port))) != 0


def test_a_server_that_does_not_start_is_explained(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nbrokenreg_options = --auth yes\n")
    pytester.makepyfile("def test_it(brokenreg): pass")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    assert '--auth: invalid value "yes"' in result.stdout.str()


def test_nothing_but_pytest_is_imported_without_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
import sys

def test_it():
    assert "brokenreg.pytest_plugin" in sys.modules
    late = {"httpx", "click", "pydantic", "brokenreg.client", "brokenreg.pytest_plugin.registry"}
    assert not late & set(sys.modules)
"""
    )
    others = ("cacheprovider", "hypothesispytest", "schemathesis", "anyio")
    options = [word for each in others for word in ("-p", f"no:{each}")]
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=1)
