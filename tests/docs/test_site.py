"""The site: it requests nothing elsewhere, fits on a phone, follows the system, and can be searched."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.programs import missing
from tests.docs.chromium import Tab, chromium
from tests.docs.pages import ROOT

pytestmark = pytest.mark.slow

_OTHER_HOST = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\b(?:src|srcset)=["']?(?:https?:)?//"""
    r"""|<link\b(?![^>]*rel=["']?canonical)[^>]*\bhref=["']?(?:https?:)?//"""
    r"""|url\(["']?(?:https?:)?//|@import\s+["']?(?:https?:)?//"""
)


_BROKEN_PICTURES = (
    "[...document.images].filter(each => each.complete && !each.naturalWidth).map(each => each.src)"
)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it: a broken link is an error."""
    folder = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def url(site: Path) -> Iterator[str]:
    """The site, served on 127.0.0.1."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """A tab of Chromium. What it would show is in the site's files too, so it is not demanded in CI."""
    if reason := missing("chromium"):
        pytest.skip(reason)
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


def requests_elsewhere(tab: Tab, url: str) -> set[str]:
    """The requests that were not for the site."""
    return {request for request in tab.requests if not request.startswith((url, "data:"))}


def test_nothing_is_requested_from_other_hosts(site: Path) -> None:
    files = [path for kind in ("html", "css", "svg") for path in site.rglob(f"*.{kind}")]
    assert len(files) > 60
    for path in files:
        found = _OTHER_HOST.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.relative_to(site)}: {found}"


def test_lists_and_tables_are_not_text(site: Path) -> None:
    """A list needs an empty line before it, which code hosts do not demand."""
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<p>(?:(?!</p>).)*\n(?:- |\d\. |\| )", text, re.DOTALL), path.relative_to(site)


def test_comments_for_tests_are_not_in_the_site(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert "<!-- test:" not in path.read_text(encoding="utf-8"), path.relative_to(site)


def test_pages_fit_on_a_phone(site: Path, url: str, tab: Tab) -> None:
    for path in sorted(site.rglob("*.html")):
        page = path.relative_to(site).as_posix()
        if page != "404.html":
            tab.look(f"{url}/{page}", width=400, scheme="dark")
            assert tab.evaluate("document.documentElement.scrollWidth") <= 400, page
            assert tab.evaluate(_BROKEN_PICTURES) == [], page
    assert requests_elsewhere(tab, url) == set()


@pytest.mark.parametrize("page", ["index.html", "reference/panel.html"])
@pytest.mark.parametrize(("scheme", "used"), [("light", "default"), ("dark", "slate")])
@pytest.mark.parametrize("width", [400, 1200])
def test_pages_follow_the_system(url: str, tab: Tab, width: int, scheme: str, used: str, page: str) -> None:
    tab.look(f"{url}/{page}", width=width, scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.until(f"document.body.dataset.mdColorScheme === '{used}'")


@pytest.mark.parametrize("width", [400, 1200])
def test_search(url: str, tab: Tab, width: int) -> None:
    tab.look(f"{url}/index.html", width=width)
    tab.evaluate("document.querySelector('label[for=__search]').click()")
    tab.evaluate("document.querySelector('.md-search__input').focus()")
    tab.call("Input.insertText", text="truncate")
    tab.until("document.querySelector('.md-search-result__link[href*=\"reference/faults.html\"]') !== null")
    assert requests_elsewhere(tab, url) == set()


def test_the_copy_button_copies_commands_alone(url: str, tab: Tab) -> None:
    """Material's button marks a block like this while it copies its text."""
    tab.look(f"{url}/how-to/tls.html")
    code = "document.querySelector('.language-console code')"
    assert tab.evaluate(f"{code}.innerText").startswith("$ brokenreg")
    tab.evaluate(f"{code}.setAttribute('data-md-copying', '')")
    assert tab.evaluate(f"{code}.innerText").startswith("brokenreg")


def test_the_palette_can_be_changed(url: str, tab: Tab) -> None:
    tab.look(f"{url}/index.html", scheme="light")
    tab.evaluate("document.querySelector('label[for=__palette_2]').click()")
    tab.until("document.body.dataset.mdColorScheme === 'slate'")
    tab.evaluate("localStorage.clear()")
