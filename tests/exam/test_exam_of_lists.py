"""`brokenreg exam` of clients that list tags or referrers."""

from __future__ import annotations

from pathlib import Path

import pytest

from brokenreg.exam.cases import Action
from tests.exam.test_exam import exam, outcomes

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("action", "stub", "only"),
    [("list", "list_tags", "list-[!s]*"), ("referrers", "list_referrers", "referrers-[!s]*")],
)
def test_a_perfect_client_is_good_in_all_lists(tmp_path: Path, action: Action, stub: str, only: str) -> None:
    done = exam(tmp_path, stub, "--only", only, "--jobs", "2", action=action)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("stub", "deserved"),
    [
        (
            "list_referrers",
            {
                "referrers-404": "recovered",
                "referrers-404-tag": "recovered",
                "referrers-pages": "recovered",
                "referrers-tag-503": "recovered",
            },
        ),
        (
            "list_referrers_without_tag",
            {
                "referrers-404": "recovered",
                "referrers-404-tag": "suspected",
                "referrers-tag-503": "suspected",
            },
        ),
    ],
)
def test_a_client_that_lists_referrers(tmp_path: Path, stub: str, deserved: dict[str, str]) -> None:
    only = [word for each in deserved for word in ("--only", each)]
    assert outcomes(tmp_path, stub, *only, "--jobs", "2", action="referrers") == deserved
