"""Verdicts that the run itself gives, and their form as JUnit XML."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from brokenreg.exam.client_process import ClientResult
from brokenreg.exam.judging import client_verdicts, in_flight_verdicts, verdict_of
from brokenreg.exam.junit import junit_xml
from brokenreg.exam.report import RunReport, Verdict, exit_status
from brokenreg.rules.client_expectation import ClientExpectation


def exchange(number: int) -> Any:
    return {"id": number, "path": "/v2/", "endpoint": "ping"}


def report(*verdicts: Verdict, status: int | None = 0, output: str = "") -> RunReport:
    return RunReport("1", "a <scenario>", 7, 0.0, 1.5, ("x",), "repeat", status, verdicts, (), output)


GOOD = Verdict("good", "filter", "1", "1", met=True)
BAD = Verdict("bad \x1b[31m & <b>", "rule", "2", "1\x00", met=False)


def test_exchanges_in_flight_are_red() -> None:
    assert list(in_flight_verdicts([])) == []
    (verdict,) = in_flight_verdicts([exchange(3)])
    assert (verdict.met, verdict.nearest) == (False, (3,))


@pytest.mark.parametrize(("status", "got"), [(-9, "ended by SIGKILL"), (2, "exit status 2")])
def test_exit(status: int, got: str) -> None:
    (verdict,) = client_verdicts(ClientExpectation(), ClientResult(status, 1.0, "", 0), 120.0)
    assert (verdict.got, verdict.met) == (got, False)


def test_a_crash_is_no_failure_that_is_expected() -> None:
    crashed = ClientResult(-11, 1.0, "", 0)
    (verdict,) = client_verdicts(ClientExpectation(exit="failure"), crashed, 120.0)
    assert (verdict.got, verdict.wanted, verdict.met) == (
        "ended by SIGSEGV", "any exit status but 0", False,
    )  # fmt: skip
    (verdict,) = client_verdicts(ClientExpectation(exit="any"), crashed, 120.0)
    assert verdict.met


@pytest.mark.parametrize(
    ("output", "glob", "got", "is_met"),
    [
        ("start\n404 Not Found\nend\n", "*Not Found*", '"404 Not Found"', True),
        ("start\n404 Not Found\nend\n", "*gone*|*Not Found*", '"404 Not Found"', True),
        ("start\nend", "start*end", '"end"', True),  # over several lines
        ("start\nend", "start", '"end"', False),
        ("", "*", "nothing", True),
    ],
)
def test_the_line_of_the_output_that_matches(output: str, glob: str, got: str, is_met: bool) -> None:
    result = ClientResult(0, 1.0, output, 0)
    verdict = [*client_verdicts(ClientExpectation(exit="0", output=glob), result, 5.0)][-1]
    assert (verdict.got, verdict.met) == (got, is_met)


def test_a_verdict_of_a_server_without_nearest_exchanges_has_the_newest() -> None:
    document = {"name": None, "filter": "status:200", "wanted": "1", "seen": 0, "met": False}
    verdict = verdict_of(document, [exchange(number) for number in range(9)])
    assert (verdict.name, verdict.got, verdict.nearest) == ("status:200", "0", (4, 5, 6, 7, 8))


def test_exit_status() -> None:
    assert exit_status([report(GOOD)]) == 0
    assert exit_status([report(GOOD), report(GOOD, BAD)]) == 1
    assert exit_status([report(BAD), report(BAD, status=None)]) == 124


def test_junit_is_xml_whatever_the_client_prints() -> None:
    root = ElementTree.fromstring(junit_xml([report(GOOD, BAD, output="\x00\x1b]0;x\x07 ]]> \ud800 <b>")]))
    (suite,) = root
    assert (root.attrib["tests"], root.attrib["failures"]) == ("2", "1")
    good, bad = suite.iter("testcase")
    assert (good.attrib["name"], len(good)) == ("good", 0)
    assert bad.attrib["name"] == "bad \N{REPLACEMENT CHARACTER}[31m & <b>"
    assert bad[0].attrib["message"] == "got 1\N{REPLACEMENT CHARACTER}, want 2"
    assert "]]>" in str(suite.findtext("system-out"))
