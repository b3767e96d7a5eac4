"""What rules and expectations of a test say if it fails, and which exchanges its report names.

`pytester` forgets the modules that a test imports, so no server may run in this process.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tests.process import BrokenregProcess
from tests.pytest_plugin.source import GET

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow


def test_a_failing_test_shows_its_exchanges(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        GET
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

def test_that_fails_because_of_its_rule(brokenreg):
    with brokenreg.rule(faults.error(), match={"reference": "v1"}):
        assert get(brokenreg.random_image()).status_code == 500

def test_two_rules(brokenreg):
    with brokenreg.rule(faults.error(), name="first"), brokenreg.rule(faults.error(), name="second"):
        pass

def test_an_optional_rule(brokenreg):
    with brokenreg.rule(faults.error(), optional=True):
        pass

def test_without_the_fixture():
    assert False
"""
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=7)
    said = result.stdout.str()
    assert "AssertionError: endpoint:manifest status:200: got 0, want at least 1" in said
    assert "AssertionError: status:200: got 0, want at least 1" in said
    sections = re.findall(r"-+ brokenreg: exchanges of this test -+\n(.*)", said)
    assert len(sections) == 6
    assert "503     GET /v2/broken/in/test-1/broken/random/manifests/layers-1_size-1024" in sections[0]
    assert "fault error" in sections[0]
    assert re.search(r"\n +rule \d+: applied to match 1, 1 time so far\n", said)
    assert re.search(r"\n +typo: did not match: repository is broken/random, not libary/\*\n", said)
    assert re.search(r"E +nearest exchanges:\nE +1  .* 503 +GET /v2/broken/in/test-1/.*fault error", said)
    assert sections[1] == "no exchanges in namespace test-2, nor outside of it: the client did not connect"
    nearest = "nearest: repository is broken/random, not libary/*"
    assert f"rule typo: applied: got 0: no request matched ({nearest}), want at least 1" in said
    assert "rule faults.error(): applied: got 1: no other request matched, want at least 2" in said
    assert re.search(
        r"E +AssertionError: assert 200 == 500\n(E .*\n)*E +rule faults.error\(\): applied: got 0",
        said,
    )
    assert re.search(r"E +AssertionError: rule second: .*\nE +rule first: applied: got 0: there was no", said)
    assert "contextlib.py" not in said
    assert "pytest_plugin/registry.py" not in said


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_the_exchanges_are_in_the_junit_file(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    pytester.makepyfile(
        GET
        + """
import pytest

def test_it(brokenreg):
    get(brokenreg.random_image())
    brokenreg.expect("status:503")

def test_without_traceback(brokenreg):
    get(brokenreg.random_image())
    pytest.fail("it failed", pytrace=False)
"""
    )
    options = ("-p", "no:cacheprovider", "--junit-xml", "junit.xml", *options)
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(failed=2)
    section = r"- brokenreg: exchanges of this test -+\n +\d+ .* 200 +GET /v2/broken/in/test-\d/"
    assert len(re.findall(section, result.stdout.str())) == 2
    failures = [each.text or "" for each in ElementTree.parse(pytester.path / "junit.xml").iter("failure")]
    assert len(failures) == 2
    assert all(re.search(section, each) for each in failures)


OUTSIDE = (
    GET
    + """
def outside(brokenreg):
    get(f"{brokenreg.registry}/broken/random:layers-1_size-1024")

def test_expectation(brokenreg):
    outside(brokenreg)
    brokenreg.expect("status:200")

def test_rule(brokenreg):
    with brokenreg.rule(faults.error()):
        outside(brokenreg)

def test_after_these(brokenreg):
    brokenreg.expect("status:200")
"""
)
WORKS = "GET /v2/broken/random/manifests/layers-1_size-1024"


def test_requests_outside_of_the_namespace(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(OUTSIDE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=3)
    said = result.stdout.str()
    assert "applied: got 0: there was no request in its namespace, want at least 1" in said
    for name in ("test-1", "test-2"):
        outside = f"no exchanges in namespace {name}, but outside of it: use names from image or random_image"
        assert re.search(rf"E +{outside}\nE + \d  .* 200 +{WORKS} ", said), "beside the error"
        assert re.search(rf"brokenreg: exchanges of this test -+\n{outside}\n +\d  .* 200 +{WORKS} ", said)
    assert "no exchanges in namespace test-3, nor outside of it: the client did not connect" in said


def test_requests_outside_of_the_namespace_of_a_shared_server(
    pytester: pytest.Pytester, own_process: BrokenregProcess
) -> None:
    pytester.makepyfile(OUTSIDE)
    options = ("-p", "no:cacheprovider", "--brokenreg-url", own_process.control, "-k", "test_expectation")
    said = pytester.runpytest_subprocess(*options).stdout.str()
    assert re.search(
        r"no exchanges in namespace test-\w+-1: the client sent no request, or used a name", said
    )
    assert WORKS not in said, "perhaps of others"


def test_connections_without_a_request(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        GET
        + """
import pytest

def test_plain_http(brokenreg):
    with pytest.raises(httpx.TransportError):
        get(brokenreg.random_image())
    brokenreg.expect("status:200")

def test_untrusted(brokenreg):
    with pytest.raises(httpx.TransportError):
        httpx.get(brokenreg.registry_url)
    brokenreg.expect("status:200")
"""
    )
    options = ("-p", "no:cacheprovider", "-o", "brokenreg_options=--offline --tls self-signed")
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(failed=2)
    said = result.stdout.str()
    for name, reason in (("test-1", "http request"), ("test-2", "the client sent alert unknown_ca")):
        first = f"no exchanges in namespace {name}: the client connected, but sent no request"
        rest = rf"\n +\d+ .*\(connection\).*\n +TLS handshake failed: {reason}\n"
        assert re.search(f"exchanges of this test -+\n{first}{rest}", said)


def test_faults_of_connections_and_invalid_rules(
    pytester: pytest.Pytester, own_process: BrokenregProcess
) -> None:
    pytester.makepyfile(
        GET
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
    assert "rule faults.accept(form='close'): applied: got 0: there was no request in its namespace" in said
    assert 'UsageError: fault.status: invalid value "999": use 400 to 599' in said
    assert "UsageError: cuont: unknown field: did you mean count?" in said
    assert "brokenreg/client" not in said
    assert "brokenreg/pytest_plugin" not in said
    options = ("-p", "no:cacheprovider", "--brokenreg-url", own_process.control, "-k", "test_connections")
    shared = pytester.runpytest_subprocess(*options)
    shared.assert_outcomes(failed=1, deselected=3)
    assert "would affect the connections of others" in shared.stdout.str()


def test_a_held_exchange_is_reported_and_aborted_at_the_end(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        GET
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


def test_what_has_not_ended_yet(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        GET
        + """
import pytest
from brokenreg.client import UnreachableError

@pytest.fixture
def pulling(brokenreg):
    with brokenreg.rule(faults.throttle(rate=10), match={"endpoint": "manifest"}, optional=True):
        repository, _, tag = brokenreg.random_image().partition("/")[2].rpartition(":")
        with httpx.stream("GET", f"{brokenreg.registry_url}/v2/{repository}/manifests/{tag}") as response:
            yield brokenreg

def test_an_expectation_that_stays_met(pulling):
    get(pulling.image("broken/error:404"))
    pulling.expect("status:404")
    pulling.expect("status:404", at_least=1)

def test_one_that_may_change(pulling):
    pulling.expect("status:200", count=0)

def test_the_error_of_a_test_comes_first(brokenreg, monkeypatch):
    def lost(*arguments):
        raise UnreachableError("http://somewhere", "lost")
    monkeypatch.setattr(brokenreg.client, "judge_rule", lost)
    with brokenreg.rule(faults.error()):
        raise RuntimeError("of the test")
"""
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=2)
    said = result.stdout.str()
    assert "AssertionError: status:200: met so far, but there are exchanges in flight" in said
    assert re.search(r"E +3  .* 200 +GET /v2/broken/in/test-2/.*, in flight", said)
    assert re.search(
        r"E +RuntimeError: of the test\nE +no control API responds at http://somewhere .lost.", said
    )


def test_each_kind_of_expectation_is_judged_by_the_server(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        GET
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
    got = r"leaks: got 1 credential .Authorization Basic., want exactly 0"
    with pytest.raises(AssertionError, match=got):
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
