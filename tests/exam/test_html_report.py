"""The HTML report: what it shows, and that it neither runs nor loads anything, whatever others sent."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest

from brokenreg.exam.details import MOST, chosen
from brokenreg.exam.html_report import html_report
from brokenreg.exam.html_report.safe_text import LONGEST, terminal_output, visible
from brokenreg.exam.report import Verdict
from tests.exam.reports import REQUEST, detail, exchange, point, report

EVIL = (
    "</title></style></pre><script>alert(1)</script>"
    """<img src="http://h/x" onerror=alert(1)>'"&lt;{{ 7*7 }}"""
)
GOOD = Verdict("it works", "filter", "exactly 1", "1", met=True)
BAD = Verdict("it recovers", "filter", "exactly 1", "0", met=False, nearest=(2, 99))
_VOID = {"meta", "line", "rect"}


@dataclass
class Page(HTMLParser):
    """A page as a browser reads it: its elements with their attributes, and its text."""

    source: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""
    style: str = ""
    inside: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1] == "style":
            self.style += data
        else:
            self.text += data

    def values(self, attribute: str) -> list[str]:
        return [str(found[attribute]) for _, found in self.elements if attribute in found]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def evil_page() -> Page:
    """A page of a run in which everything that others send is markup."""
    rule = {"id": None, "rule": EVIL, "source": f"path: {EVIL}", "outcome": "no-effect", "reason": EVIL}
    changed: dict[str, Any] = {
        "user_agent": EVIL, "path": f"/v2/{EVIL}", "query": EVIL, "client": EVIL, "method": EVIL,
        "endpoint": EVIL, "protocol": EVIL, "namespace": EVIL, "faults": [EVIL], "rule": EVIL,
        "edited": EVIL, "ended": EVIL,
    }  # fmt: skip
    one = detail(
        2,
        [REQUEST, point("end", 0.1, EVIL)],
        request_headers=[["user-agent", EVIL], [EVIL, EVIL]],
        response_headers=[["content-length", EVIL]],
        rules=[rule],
        **changed,
    )
    verdict = Verdict(EVIL, EVIL, EVIL, EVIL, met=False, nearest=(2,))
    bad = report(EVIL, verdict, exchanges=[exchange(2, **changed)], details=[one], output=EVIL, repeat=EVIL)
    return Page(html_report([bad, report(EVIL, GOOD)], title=EVIL, noun=EVIL))


def test_markup_of_others_is_text() -> None:
    page = evil_page()
    assert page.inside == []
    assert {tag for tag, _ in page.elements}.isdisjoint(
        {"script", "img", "link", "iframe", "object", "b", "a:"}
    )
    assert page.text.count("<script>alert(1)</script>") > 25
    assert "{{ 7*7 }}" in page.text
    assert page.source.count("<script") == 0


def test_nothing_is_run_or_loaded() -> None:
    page = evil_page()
    assert not [
        name for _, found in page.elements for name in found if name.startswith("on") or name == "style"
    ]
    assert page.values("src") == page.values("srcset") == page.values("action") == []
    assert all(each.startswith("#") for each in page.values("href"))
    assert "url(" not in page.style
    assert "@import" not in page.style
    (policy,) = [each for each in page.values("content") if each.startswith("default-src 'none'; ")]
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert [tag for tag, _ in page.elements].count("style") == 1


def test_links_lead_to_exchanges_and_runs_of_the_page() -> None:
    bad = report("one", GOOD, BAD, exchanges=[exchange(1), exchange(2)], details=[detail(2)])
    page = Page(html_report([bad, report("two", BAD, exchanges=[exchange(2)])]))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = page.values("href")
    assert {each[1:] for each in links} <= set(ids)
    assert {"#run-1", "#run-2", "#run-1-exchange-2", "#run-2-exchange-2"} <= set(links)
    assert "99" not in "".join(links)  # an exchange that is no longer in the log


def test_what_a_reader_needs() -> None:
    rules = [
        {"id": 1, "rule": "twice", "source": "x", "outcome": "applied", "reason": "applied to match 1"},
        {"id": 2, "rule": "tags", "source": "x", "outcome": "no-match",
         "reason": "did not match: endpoint manifest is not tags"},
    ]  # fmt: skip
    changed: dict[str, Any] = {"status": 503, "faults": ["error"], "rule": "twice"}
    page = Page(
        html_report(
            [
                report(
                    "the manifest fails",
                    GOOD,
                    BAD,
                    exchanges=[exchange(1), exchange(2, **changed)],
                    details=[detail(2, rules=rules, **changed)],
                    output="\x1b[31mgiving up\x1b[0m",
                    status=3,
                )
            ]
        )
    )
    for words in (
        "✗ the manifest fails: not as expected",
        "✓ met it works exactly 1 1 –",
        "✗ not met it recovers exactly 1 0 #2",
        "Client's exit status 3",
        "Seed 7",
        "brokenreg run --seed 7 -- client",
        "✗ 503 GET …/team/app/manifests/v2 fault error (twice) 67 B 50 ms",
        "✓ twice #2 applied",
        "– tags #2 did not match: endpoint manifest is not tags",
        "user-agent: test/1",
        "10 ms headers",
        "waiting 10 ms, transfer 40 ms",
        "giving up",
    ):
        assert words in page.words, words
    assert "[31m" not in page.text


@pytest.mark.parametrize(
    ("changed", "is_short"),
    [({"response_bytes": 10}, True), ({}, False), ({"response_bytes": 0, "method": "HEAD"}, False),
     ({"response_bytes": 0, "status": 304}, False)],
)  # fmt: skip
def test_how_much_of_a_body_was_sent(changed: dict[str, Any], is_short: bool) -> None:
    one = detail(2, **changed)
    page = Page(html_report([report("one", BAD, exchanges=[one], details=[one])]))
    assert ("manifests/v2 10 B of 67 B 10 B 50 ms" in page.words) is is_short
    assert (" of 67 B" in page.words) is is_short


def test_a_suspected_verdict_and_a_client_that_is_out_of_time() -> None:
    suspected = Verdict("intact", "client-intact", "intact", "no copy", met=False, is_suspected=True)
    page = Page(html_report([report("one", suspected, status=None)]))
    assert "? suspected intact" in page.words
    assert "out of time" in page.words


def test_all_is_as_expected() -> None:
    page = Page(html_report([report("one", GOOD), report("two", GOOD)], title="brokenreg exam", noun="case"))
    assert "✓ 2 cases as expected" in page.words
    assert "<title>✓ brokenreg exam: 2 cases as expected</title>" in page.source


def test_several_runs_with_1000_exchanges_each() -> None:
    details = [detail(number) for number in range(1, 201)]
    exchanges = [exchange(number) for number in range(1, 1001)]
    few = html_report([report(f"run {n}", BAD, exchanges=exchanges, details=details) for n in range(3)])
    assert few.count('<summary class="row">') == 3000
    assert len(few) < 8 * 1024 * 1024
    last = Verdict("late", "filter", "1", "0", met=False, nearest=(1000,))
    rule = {"id": 1, "rule": "r", "source": "x", "outcome": "applied", "reason": "applied"}
    ruled = [detail(number, rules=[rule]) for number in range(1, 201)]
    many = html_report([report(f"run {n}", last, exchanges=exchanges, details=ruled) for n in range(100)])
    assert set(re.findall('href="#([^"]+)"', many)) <= set(re.findall('id="([^"]+)"', many))
    assert many.count('<summary class="row">') == 5000
    assert '<a href="#run-100-exchange-1000">' in many
    assert "950 more exchanges not shown" in many


def test_long_values_are_cut() -> None:
    long = "x" * 1_000_000
    one = detail(2, request_headers=[["a", long]] * 500, path=f"/{long}")
    page = html_report([report(long, BAD, exchanges=[exchange(2, path=f"/{long}")], details=[one])])
    assert len(page) < 200 * LONGEST
    assert "998000 more characters" in page
    assert "491 more headers" in page


def test_many_reasons_are_cut() -> None:
    rule = {"id": 1, "rule": "sometimes", "source": "x", "outcome": "not-drawn", "reason": ""}
    details = [
        detail(number, rules=[{**rule, "reason": f"not drawn: match {number}, probability 0.5"}])
        for number in range(1, 201)
    ]
    page = Page(html_report([report("one", BAD, exchanges=details, details=details)]))
    assert "– sometimes #1 not drawn: match 1, probability 0.5 #2 not drawn: match 2," in page.words
    assert "188 more reasons" in page.words


def test_a_report_without_exchanges() -> None:
    page = Page(html_report([report("nothing", Verdict("requests", "requests", "1", "none", met=False))]))
    assert "requests 1 none –" in page.words
    assert "0 exchanges" not in page.words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00\x1b[31m", "a\\x00\\x1b[31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("naïve ✓ 漢字\n\t", "naïve ✓ 漢字\n\t"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert shown.encode() in html_report([report(text)]).encode()


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("\x1b[1;31merror\x1b[0m\r\n", "error"),
        ("\x1b]8;;http://h\x07link\x1b]8;;\x07", "link"),
        ("10%\r50%\rdone\r\nnext", "done\nnext"),
        ("\x1b(Ba\x1b=b", "ab"),
    ],
)
def test_terminal_output(printed: str, shown: str) -> None:
    assert terminal_output(printed) == shown


def test_details_are_fetched_for_what_explains_failures_first() -> None:
    exchanges = [exchange(number, faults=["error"] if number == 900 else []) for number in range(1, 1001)]
    verdict = Verdict("late", "filter", "1", "0", met=False, nearest=(1000, 5000))
    numbers = chosen(exchanges, [verdict])
    assert numbers[:3] == [1000, 900, 1]
    assert len(numbers) == len(set(numbers)) == MOST
