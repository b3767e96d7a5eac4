"""The result of a run as JUnit XML: a test suite for each scenario, a test case for each verdict."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from brokenreg.client.exchange_text import line
from brokenreg.exam.report import RunReport, Verdict


def junit_xml(reports: Sequence[RunReport], *, unfinished: str = "") -> bytes:
    """Return the document in the form that Jenkins, GitLab and others read.

    `unfinished` says what is missing. It is reported as an error, so the file does not look complete.
    """
    root = Element("testsuites", {"name": "brokenreg run", **_totals(reports)})
    for each in reports:
        _suite(root, each)
    if unfinished:
        root.attrib |= {"tests": str(int(root.attrib["tests"]) + 1), "errors": "1"}
        counts = {"tests": "1", "failures": "0", "errors": "1", "time": "0.000"}
        suite = SubElement(root, "testsuite", {"name": "unfinished", **counts})
        case = SubElement(suite, "testcase", classname="unfinished", name="every case is run")
        SubElement(case, "error", message=unfinished, type="unfinished")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode").encode()


def _totals(reports: Sequence[RunReport]) -> dict[str, str]:
    verdicts = [verdict for each in reports for verdict in each.verdicts]
    return {
        "tests": str(len(verdicts)),
        "failures": str(sum(not each.met for each in verdicts)),
        "errors": "0",
        "time": f"{sum(each.duration for each in reports):.3f}",
    }


def _suite(root: Element, report: RunReport) -> None:
    when = datetime.fromtimestamp(report.started, UTC).isoformat(timespec="seconds")
    attributes = {"name": _text(report.scenario), "timestamp": when, **_totals([report])}
    suite = SubElement(root, "testsuite", attributes)
    properties = SubElement(suite, "properties")
    for name, value in (("seed", str(report.seed)), ("repeat", report.repeat)):
        SubElement(properties, "property", name=name, value=_text(value))
    for verdict in report.verdicts:
        case = SubElement(suite, "testcase", classname=_text(report.scenario), name=_text(verdict.name))
        if not verdict.met:
            message = _text(f"got {verdict.got}, want {verdict.wanted}")
            failure = SubElement(case, "failure", message=message, type=verdict.kind)
            failure.text = _text(_details(report, verdict))
    SubElement(suite, "system-out").text = _text(report.output)


def _details(report: RunReport, verdict: Verdict) -> str:
    lines = [line(each) for each in report.nearest(verdict)]
    about = [report.about] if report.about else []
    return "\n".join([*about, *lines, f"seed {report.seed}; to repeat this run:", report.repeat])


def _text(text: str) -> str:
    """Return text that XML 1.0 allows (section 2.2); other characters are replaced."""
    return "".join(each if _is_allowed(ord(each)) else "\N{REPLACEMENT CHARACTER}" for each in text)


def _is_allowed(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000
