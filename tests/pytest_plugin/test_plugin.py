"""The plugin for pytest: alone, in 4 xdist workers, and what the report of a failing test names.

`pytester` forgets the modules that a test imports, so no server may run in this process.
"""

from __future__ import annotations

import re
import socket
import time

import httpcore  # noqa: F401 - httpx would import it late, and `pytester` forget it
import pytest

from brokenreg.client import Client
from tests.process import BrokenregProcess

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

_GET = """
import httpx
from brokenreg.client import faults

def get(image, token=None):
    host, _, rest = image.partition("/")
    repository, _, tag = rest.rpartition(":")
    return httpx.get(f"http://{host}/v2/{repository}/manifests/{tag}")
"""


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
        _GET
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


def test_a_failing_test_shows_its_exchanges(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        _GET
        + """
def test_retries(brokenreg):
    with brokenreg.rule(faults.error(status=503)):
        get(brokenreg.random_image())
    brokenreg.expect("endpoint:manifest status:200")

def test_no_request(brokenreg):
    brokenreg.expect("status:200")

def test_a_rule_that_is_never_applied(brokenreg):
    with brokenreg.rule(faults.error(), name="typo", match={"repository": "libary/*"}):
        get(brokenreg.random_image())

def test_a_rule_that_is_applied_too_rarely(brokenreg):
    with brokenreg.rule(faults.error(), times=2):
        get(brokenreg.random_image())

def test_an_optional_rule(brokenreg):
    with brokenreg.rule(faults.error(), optional=True):
        pass

def test_without_the_fixture():
    assert False
"""
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=5)
    said = result.stdout.str()
    assert "AssertionError: endpoint:manifest status:200: got 0, want at least 1" in said
    assert "AssertionError: status:200: got 0, want at least 1" in said
    sections = re.findall(r"-+ brokenreg: exchanges of this test -+\n(.*)", said)
    assert len(sections) == 4
    assert "503     GET /v2/broken/in/test-1/broken/random/manifests/layers-1_size-1024" in sections[0]
    assert "fault error" in sections[0]
    assert re.search(r"\n +rule \d+: applied to match 1, 1 time so far\n", said)
    assert re.search(r"\n +typo: did not match: repository is not libary/\*\n", said)
    assert re.search(r"E +nearest exchanges:\nE +1  .* 503 +GET /v2/broken/in/test-1/.*fault error", said)
    assert sections[1] == "no exchanges: the client sent no request"
    nearest = "nearest: repository is not libary/*"
    assert f"rule typo: applied: got 0: no request matched ({nearest}), want at least 1" in said
    assert "rule faults.error(): applied: got 1: no other request matched, want at least 2" in said
    assert "contextlib.py" not in said
    assert "pytest_plugin/registry.py" not in said


def test_faults_of_connections_and_invalid_rules(
    pytester: pytest.Pytester, own_process: BrokenregProcess
) -> None:
    pytester.makepyfile(
        _GET
        + """
import pytest

def test_connections(brokenreg):
    with brokenreg.rule(faults.accept(form="close"), times=1), pytest.raises(httpx.RemoteProtocolError):
        get(brokenreg.random_image())
    assert get(brokenreg.random_image()).status_code == 200

def test_no_connection(brokenreg):
    with brokenreg.rule(faults.accept(form="close"), match={"client": "10.0.0.0/8"}):
        get(brokenreg.random_image())

def test_invalid(brokenreg):
    with brokenreg.rule(faults.error(status=999)):
        pass

def test_misspelt(brokenreg):
    brokenreg.expect("status:200", cuont=2)
"""
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=3)
    said = result.stdout.str()
    assert "rule faults.accept(form='close'): applied: got 0: there was no request, want" in said
    assert 'UsageError: fault.status: invalid value "999": use 400 to 599' in said
    assert "UsageError: cuont: unknown field: did you mean count?" in said
    assert "brokenreg/client" not in said
    assert "brokenreg/pytest_plugin" not in said
    options = ("-p", "no:cacheprovider", "--brokenreg-url", own_process.control, "-k", "test_connections")
    shared = pytester.runpytest_subprocess(*options)
    shared.assert_outcomes(failed=1, deselected=3)
    assert "would affect the connections of others" in shared.stdout.str()


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


def test_a_held_exchange_is_reported_and_aborted_at_the_end(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        _GET
        + """
import threading

THREADS = []

def test_it_is_held(brokenreg):
    thread = threading.Thread(target=get, args=[brokenreg.random_image()])
    THREADS.append(thread)
    with brokenreg.rule(faults.hold(), name="hold it"), brokenreg.client.events() as events:
        thread.start()
        next(each for each in events if each["event"] == "held")
        assert thread.is_alive()
        assert not thread.is_alive()

def test_it_was_aborted(brokenreg):
    THREADS[0].join(10)
    assert not THREADS[0].is_alive()
"""
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1, warnings=1)  # the thread ends with an error of its client
    said = result.stdout.str()
    assert re.search(
        r"  1  .* GET /v2/broken/in/test-1/.*fault hold \(hold it\), held\n +held by rule \"hold it\"\n", said
    )
    assert "hold it: applied to match 1, 1 time so far" in said


def test_each_kind_of_expectation_is_judged_by_the_server(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        _GET
        + """
import pytest
from brokenreg.client import UsageError

@pytest.fixture
def pulled(brokenreg):
    with brokenreg.rule(faults.error(status=503), times=2):
        assert [get(brokenreg.random_image()).status_code for _ in range(3)] == [503, 503, 200]
    return brokenreg

MET = [
    dict(filter="status:503", count=2),
    dict(filter="status:503", at_least=1, at_most=2),
    dict(filter="endpoint:manifest", each="method:GET"),
    dict(filter="endpoint:manifest", spacing="<1m"),
    dict(order=["status:503", "status:200"]),
    dict(leaks=0),
    dict(connections={"at_most": 3}),
]
UNMET = [
    (dict(filter="status:503", count=3), "status:503: got 2, want exactly 3", 2),
    (dict(filter="status:404"), "status:404: got 0, want at least 1", 0),
    (dict(filter="endpoint:manifest", each="status:503"),
     "endpoint:manifest each status:503: got 3, 2 of them matching, want at least 1, each", 1),
    (dict(filter="endpoint:manifest", spacing=">=1m"), "endpoint:manifest spacing >=1m: got 3, once 0", 3),
    (dict(order=["status:200", "status:503"]),
     "status:200 then status:503: got 1 in this order, then none of status:503, want all 2", 1),
    (dict(connections={"at_most": 2}), "connections: got 3, want at most 2", 3),
]

@pytest.mark.parametrize("wanted", MET)
def test_met(pulled, wanted):
    pulled.expect(**wanted)

@pytest.mark.parametrize(("wanted", "said", "nearest"), UNMET)
def test_unmet(pulled, wanted, said, nearest):
    with pytest.raises(AssertionError) as caught:
        pulled.expect(**wanted)
    first, *lines = str(caught.value).splitlines()
    assert first.startswith(said)
    assert sum("GET /v2/" in line for line in lines) == nearest

def test_leaks(brokenreg):
    with brokenreg.rule(faults.challenge(form="foreign-realm")):
        challenge = get(brokenreg.random_image()).headers["www-authenticate"].split('"')
    httpx.get(challenge[1], params={"scope": challenge[5]}, auth=("alice", "secret"))
    with pytest.raises(AssertionError, match=r"leaks: got 1 .Authorization Basic., want exactly 0"):
        brokenreg.expect(leaks=0)

def test_invalid(brokenreg):
    with pytest.raises(UsageError, match="count excludes at_least"):
        brokenreg.expect("status:503", count=1, at_least=1)
    with pytest.raises(UsageError, match="exactly one of filter, order, leaks or connections"):
        brokenreg.expect()
    with pytest.raises(UsageError) as caught:
        brokenreg.expect("stauts:503")
    assert caught.value.field == "filter"
"""
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=15)


def test_200_tests_in_four_workers_with_one_server(
    pytester: pytest.Pytester, own_process: BrokenregProcess
) -> None:
    pytester.makepyfile(
        _GET
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
        _GET
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


def test_four_workers_have_a_server_each(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        _GET
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
