"""What real clients do: the published results, and what the page makes of them."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from brokenreg.exam.cases import cases
from brokenreg.exam.outcomes import Outcome
from brokenreg.images.catalogue import CATALOGUE
from documentation.clients import page
from documentation.clients.claims import claims
from documentation.clients.findings import findings, said
from documentation.clients.matrix import Matrix, matrix
from documentation.clients.results import FOLDER, CaseResult, ClientResults
from documentation.clients.tables import cell

CLIENTS = ("skopeo", "podman", "buildah", "docker", "ctr", "oras")


def results(client: str, **outcomes: Outcome) -> ClientResults:
    """Return the results of a client in cases, whose hyphens are underscores here."""
    found = {
        name.replace("_", "-"): CaseResult(
            outcome=each, exit=0 if each is Outcome.RECOVERED else 1, requests=40, duration=5.2
        )
        for name, each in outcomes.items()
    }
    return ClientResults(
        client=client, version="1", note="", date="2026-01-01", brokenreg="1", seed=1, timeout="20s",
        commands={"pull": "pull {image}"}, cleanup="", cases=found,
    )  # fmt: skip


@pytest.fixture
def three() -> Matrix:
    """Three clients in three cases."""
    clients = (
        results("a", layer_cut=Outcome.RECOVERED, layer_corrupt=Outcome.FAILED_CLEANLY),
        results("b", layer_cut=Outcome.GAVE_UP, layer_corrupt=Outcome.ACCEPTED),
        results("c", layer_cut=Outcome.GAVE_UP, layer_stall=Outcome.HUNG),
    )
    return Matrix({each.client: each for each in clients}, {each.name: each for each in cases()})


def test_all_clients_are_published() -> None:
    assert tuple(matrix().clients) == CLIENTS
    assert {f"{each}.json" for each in CLIENTS} == {each.name for each in FOLDER.iterdir()}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_file_is_small_and_says_nothing_of_the_machine(client: str) -> None:
    text = (FOLDER / f"{client}.json").read_text()
    assert len(text) < 60_000
    assert not re.search(r"/(tmp|home|root|work|var)\b|brk-|[0-9a-f]{12}|127\.0\.0\.1", text)


def test_each_case_is_in_one_section() -> None:
    sections = list(page._sections(matrix()))
    counts = Counter(each.name for _, found in sections for each in found)
    assert set(counts) == {each.name for each in cases()}
    assert set(counts.values()) == {1}
    assert len({title for title, _ in sections}) == len(sections)


def test_what_is_not_good_is_marked(three: Matrix) -> None:
    assert cell(three, "a", "layer-cut") == "✓ 40 requests, 5 s"
    assert cell(three, "a", "layer-corrupt") == "✗ 40 requests, 5 s"
    assert cell(three, "b", "layer-cut") == "**gave up 40 requests, 5 s&nbsp;!**"
    assert cell(three, "c", "layer-corrupt") == ""


def test_sentences_have_the_names_and_numbers_of_the_results(three: Matrix) -> None:
    assert said(three, "layer-cut") == "a recovered, and the others ended with an error"
    text = "\n".join(findings(three))
    assert "middle of a layer (`layer-cut`), 1 of 3 clients recovered: a." in text
    assert (
        "In 1 case, content does not match its digest. a never accepted it. b reported success in 1," in text
    )
    assert "These clients hung: c in 1 of 1." in text
    assert "Certificates" not in text


def test_what_stands_out_is_short() -> None:
    found = list(findings(matrix()))
    assert 10 <= len(found) <= 15
    assert all(each.startswith("- **") for each in found)


PULLED = {
    **dict.fromkeys((Outcome.RECOVERED, Outcome.HAMMERED), True),
    **dict.fromkeys((Outcome.FAILED_CLEANLY, Outcome.GAVE_UP, Outcome.CRASHED), False),
}
"""Whether a client has pulled an image. Other outcomes, such as success without any content, say neither."""


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_help_of_an_odd_image_agrees_with_the_results(name: str) -> None:
    """Versions are those of the results, and parameters those by default."""
    found = matrix()
    for client, pulls in claims(CATALOGUE[name].clients).items():
        result = found.result(client, f"image-{name}")
        assert result is None or PULLED.get(result.outcome, pulls) is pulls, f"{client}: {result.outcome}"


def test_the_help_of_odd_images_can_be_read() -> None:
    assert sum(len(claims(each.clients)) == len(CLIENTS) for each in CATALOGUE.values()) > 60
    assert claims("skopeo and oras pull it. docker 20.10 does not: `invalid`. Nor does ctr.") == {
        "skopeo": True,
        "oras": True,
        "docker": False,
        "ctr": False,
    }
