"""The plugin for pytest: alone, in 4 xdist workers, and what the report of a failing test names."""

from __future__ import annotations

import re
import socket

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

_GET = """
import httpx

def get(image, token=None):
    host, _, rest = image.partition("/")
    repository, _, tag = rest.rpartition(":")
    return httpx.get(f"http://{host}/v2/{repository}/manifests/{tag}")
"""


def test_a_test_breaks_its_registry_and_only_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        _GET
        + """
def test_a_rule(brokenreg):
    image = brokenreg.random_image(layers=2, size="10kib", seed=3)
    assert image.startswith(f"{brokenreg.registry}/broken/in/{brokenreg.namespace}/broken/random:")
    with brokenreg.rule("error", status=503, times=1, match={"endpoint": "manifest"}):
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


def test_a_failing_test_shows_its_exchanges(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        _GET
        + """
def test_retries(brokenreg):
    with brokenreg.rule("error", status=503):
        get(brokenreg.random_image())
    brokenreg.expect("status:200")

def test_no_request(brokenreg):
    brokenreg.expect("status:200")

def test_a_rule_that_is_never_applied(brokenreg):
    with brokenreg.rule("error", name="typo", match={"repository": "libary/*"}):
        get(brokenreg.random_image())

def test_a_rule_that_is_applied_too_rarely(brokenreg):
    with brokenreg.rule("error", times=2):
        get(brokenreg.random_image())

def test_an_optional_rule(brokenreg):
    with brokenreg.rule("error", optional=True):
        pass

def test_without_the_fixture():
    assert False
"""
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=5)
    said = result.stdout.str()
    assert "AssertionError: status:200: got 0, want at least 1" in said
    sections = re.findall(r"-+ brokenreg: exchanges of this test -+\n(.*)", said)
    assert len(sections) == 4
    assert "503     GET /v2/broken/in/test-1/broken/random/manifests/layers-1_size-1024" in sections[0]
    assert "fault error" in sections[0]
    assert sections[1] == "no exchanges: the client sent no request"
    assert "the rule typo was applied 0 times, want 1 time" in said
    assert "the rule error was applied 1 time, want 2 times" in said


def test_200_tests_in_four_workers_do_not_disturb_each_other(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        _GET
        + """
import pytest

@pytest.mark.parametrize("status", [*range(400, 600)])
def test_isolated(brokenreg, status):
    with brokenreg.rule("error", status=status, times=1):
        assert [get(brokenreg.random_image()).status_code for _ in range(2)] == [status, 200]
    brokenreg.expect("", count=2)
    assert len(brokenreg.client.rules()) == 0
"""
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "4").assert_outcomes(passed=200)


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
