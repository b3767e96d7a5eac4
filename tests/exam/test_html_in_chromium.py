"""The HTML report in a browser: it sends nothing, breaks none of its own rules, and fits on any screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from brokenreg.exam.html_report import html_report
from tests.clients.programs import need
from tests.exam.chromium import Chromium, chromium
from tests.exam.reports import detail, exchange, report
from tests.exam.test_html_report import BAD, GOOD, evil_page

pytestmark = [pytest.mark.clients, pytest.mark.slow]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    exchanges = [exchange(number, faults=["error"], rule="twice" * 20) for number in range(1, 1001)]
    usual = report("a" * 200, BAD, exchanges=exchanges, details=[detail(2)], output="x" * 500)
    pages = {"evil": evil_page().source, "usual": html_report([usual, report("other", GOOD)])}
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page)
    return {name: folder / f"{name}.html" for name in pages}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    need("chromium")
    with chromium(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.mark.parametrize("page", ["evil", "usual"])
def test_the_page_sends_and_runs_nothing(browser: Chromium, files: dict[str, Path], page: str) -> None:
    browser.show(files[page], 1200)
    sent = [each["request"]["url"] for each in browser.of("Network.requestWillBeSent")]
    assert sent == [files[page].as_uri()]
    assert browser.of("Log.entryAdded", "Runtime.consoleAPICalled", "Audits.issueAdded") == []
    assert browser.of("Page.javascriptDialogOpening", "Runtime.exceptionThrown") == []
    assert browser.value("getComputedStyle(document.querySelector('.row')).display") == "grid"


def test_the_browser_reports_a_page_that_breaks_the_rules(browser: Chromium, files: dict[str, Path]) -> None:
    """The test above can fail."""
    broken = files["usual"].with_name("broken.html")
    more = '<script>alert(1)</script><img src="http://127.0.0.1:9/x"><p style="color: red">x</p></main>'
    broken.write_text(files["usual"].read_text().replace("</main>", more))
    browser.show(broken, 1200)
    assert len(browser.of("Log.entryAdded")) == 3


@pytest.mark.parametrize("page", ["evil", "usual"])
@pytest.mark.parametrize("width", [320, 400, 1200])
def test_the_page_fits_on_the_screen(
    browser: Chromium, files: dict[str, Path], page: str, width: int
) -> None:
    browser.show(files[page], width)
    browser.value("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert browser.value("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("dark", "ground"), [(False, "rgb(255, 255, 255)"), (True, "rgb(20, 23, 27)")])
def test_light_and_dark(browser: Chromium, files: dict[str, Path], dark: bool, ground: str) -> None:
    browser.show(files["usual"], 1200, dark=dark)
    assert browser.value("getComputedStyle(document.body).backgroundColor") == ground


def test_a_link_opens_the_exchanges_of_a_run(browser: Chromium, files: dict[str, Path]) -> None:
    browser.show(files["usual"], 1200)
    browser.value("document.querySelector('article details').open = false")
    browser.value("document.querySelector('a[href$=\"exchange-2\"]').click()")
    assert browser.value("document.querySelector('article details').open") is True
    assert browser.value("document.querySelector(':target .n').textContent") == "2"
