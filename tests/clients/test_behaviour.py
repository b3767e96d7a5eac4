"""How clients react to faults: four quick cases of `make clients`, and the rules on its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.behaviour.case import last_words, run_case
from tests.clients.behaviour.drivers import DRIVERS
from tests.clients.behaviour.expected import EXPECTED, check
from tests.clients.behaviour.faults import FAULTS
from tests.clients.behaviour.original import Original, fetch_original
from tests.clients.behaviour.page import PAGE, rules_of
from tests.clients.private import PROGRAMS
from tests.clients.programs import need


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return fetch_original(tmp_path_factory.mktemp("original") / "data")


@pytest.mark.parametrize(
    ("fault", "client"), [("fin", "ctr"), ("429", "skopeo"), ("rst", "podman"), ("503-layer", "docker")]
)
def test_a_quick_case(original: Original, fault: str, client: str) -> None:
    need(*PROGRAMS[client], root=client != "skopeo")
    check(fault, run_case(FAULTS[fault], DRIVERS[client], original, bound=60))


def test_a_hanging_client_is_killed(original: Original) -> None:
    """At the bound, while the exchange is still open."""
    need(*PROGRAMS["skopeo"])
    seen = run_case(FAULTS["stall"], DRIVERS["skopeo"], original, bound=5)
    assert (seen.verdict, seen.status) == ("hangs", None)
    check("stall", seen)


def test_the_page_is_of_these_faults() -> None:
    """Rules as they are run, and nothing of the machine that ran them."""
    page = PAGE.read_text()
    headings = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]
    assert headings == [fault.title for fault in FAULTS.values()]
    assert all(rules_of(fault) in page for fault in FAULTS.values())
    assert "brk-" not in page
    assert page.count("127.0.0.1:") == page.count("127.0.0.1:8080/broken/random")


def test_every_case_has_an_expected_end() -> None:
    assert list(EXPECTED) == list(FAULTS)
    assert all(list(clients) == list(DRIVERS) for clients in EXPECTED.values())


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            'time="2026-01-01T00:00:00Z" level=fatal msg="reading http://127.0.0.1:99/v2/x: EOF"',
            "reading http://REGISTRY/v2/x: EOF",
        ),
        (
            "first\nread tcp 127.0.0.1:1234->127.0.0.1:99: read: reset",
            "read tcp CLIENT->REGISTRY: read: reset",
        ),
        ('storing to file "/tmp/x/tmp/storage123/1"', 'storing to file "DIR/tmp/storage"'),
        (f"no sha256:{'0123456789ab' + 'f' * 52} here", "no sha256:0123456789ab… here"),
        (f"{'long ' * 40}: the end", "the end"),
    ],
)
def test_last_words(said: str, told: str) -> None:
    assert last_words(said, "127.0.0.1:99", Path("/tmp/x")) == told
