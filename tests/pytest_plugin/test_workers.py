"""The plugin with xdist: a server for each worker, or a running one for all.

`pytester` forgets the modules that a test imports, so no server may run in this process.
"""

from __future__ import annotations

import re

import httpcore  # noqa: F401 - httpx would import it late, and `pytester` forget it
import pytest

from brokenreg.client import Client
from tests.process import BrokenregProcess
from tests.pytest_plugin.source import GET

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow


def test_200_tests_in_four_workers_with_one_server(
    pytester: pytest.Pytester, own_process: BrokenregProcess
) -> None:
    pytester.makepyfile(
        GET
        + """
import pytest

@pytest.mark.parametrize("number", range(200))
def test_isolated(brokenreg, number, worker_id, record_property):
    status, content = 400 + number, f"{worker_id} {number}".encode()
    image = brokenreg.push("app:v1", [content])
    assert f"/{brokenreg.namespace}/" in image
    layer = get(image).json()["layers"][0]
    with brokenreg.rule(faults.error(status=status), times=1, name=f"rule of {number}"):
        assert [get(image).status_code for _ in range(2)] == [status, 200]
        assert [each["name"] for each in brokenreg.client.rules()] == [f"rule of {number}"]
    url = brokenreg.registry_url + "/v2/" + image.split("/", 1)[1].replace(":v1", "/blobs/" + layer["digest"])
    assert httpx.get(url).content == content
    pulls = brokenreg.exchanges("method:GET")
    assert [each["status"] for each in pulls] == [200, status, 200, 200]
    assert [each["rule"] for each in pulls] == [None, f"rule of {number}", None, None]
    assert {each["namespace"] for each in brokenreg.exchanges()} == {brokenreg.namespace}
    brokenreg.expect("method:GET", count=4)
    brokenreg.expect("method:PUT status:201", count=3)
    brokenreg.expect(order=[f"status:{status}", "endpoint:layer status:200"])
    record_property("namespace", brokenreg.namespace)
"""
    )
    options = (
        "-p",
        "no:cacheprovider",
        "-n",
        "4",
        "--brokenreg-url",
        own_process.control,
        "--junit-xml=junit.xml",
    )
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=200)
    namespaces = re.findall(r'name="namespace" value="([^"]+)"', (pytester.path / "junit.xml").read_text())
    assert len(namespaces) == len(set(namespaces)) == 200
    assert len({each.rpartition("-")[0] for each in namespaces}) == 4


def test_a_running_server_keeps_what_belongs_to_others(
    pytester: pytest.Pytester, own_process: BrokenregProcess
) -> None:
    pytester.makeini(f"[pytest]\nbrokenreg_url = {own_process.control.removeprefix('http://')}\n")
    pytester.makepyfile(
        GET
        + """
def test_it(brokenreg):
    brokenreg.push("app:v1")
    brokenreg.push("team/app:v1")
    assert get(brokenreg.random_image()).status_code == 200
    brokenreg.expect("endpoint:manifest method:GET", count=1)
"""
    )
    with Client(own_process.control) as control:
        rule = control.add_rule({"fault": {"type": "error"}})
        breakpoint_ = control.add_breakpoint("namespace:others")
        pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
        assert [each["id"] for each in control.rules()] == [rule["id"]]
        assert control.breakpoints()["breakpoints"] == [breakpoint_]
        assert control.exchanges(namespace="*") == []
        assert control.repositories(namespace="*") == []


def test_a_running_server_that_is_not_there_is_an_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(brokenreg): pass")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--brokenreg-url", "8081")
    result.assert_outcomes(errors=1)
    said = result.stdout.str()
    assert '\nurl: invalid URL "8081": did you mean 127.0.0.1:8081?\n' in said
    assert "Traceback" not in said
    assert "servers.py" not in said


def test_four_workers_have_a_server_each(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        GET
        + """
import pytest

@pytest.mark.parametrize("status", [*range(400, 440)])
def test_isolated(brokenreg, status):
    with brokenreg.rule(faults.error(status=status), times=1):
        assert [get(brokenreg.random_image()).status_code for _ in range(2)] == [status, 200]
    brokenreg.expect("", count=2)
    assert len(brokenreg.client.rules()) == 0
"""
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "4").assert_outcomes(passed=40)
