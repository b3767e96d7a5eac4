"""The cases of the exam follow the principles in the docstring of `brokenreg.exam.cases`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from brokenreg.exam.cases import ACTIONS, Case, cases
from brokenreg.exam.outcomes import Outcome
from brokenreg.faults.catalogue import Fault
from brokenreg.rules.expectations import Expectation
from brokenreg.rules.rule import Rule

SEED = 5
FILES = [each for each in cases() if not each.name.startswith(("image-", "profile-"))]
BLOBS_TO_PUSH = 4
PASSING = {"truncate", "reset", "empty-reply", "timeout", "upload-lost", "stall", "h2-goaway", "h2-reset",
           "read-after-write"}  # fmt: skip
"""Faults that pass, as far as a client can know, if they are applied a few times."""

ATTEMPTS = 10
LIMITS = {
    "endpoint:manifest": {2 * ATTEMPTS},
    "endpoint:manifest -method:PUT": {2 * ATTEMPTS},
    "endpoint:manifest method:PUT": {3 * ATTEMPTS},
    "endpoint:config": {ATTEMPTS},
    "endpoint:layer": {3 * ATTEMPTS, 100},
    "endpoint:blob method:HEAD": {BLOBS_TO_PUSH * ATTEMPTS},
    "endpoint:token": {ATTEMPTS},
    "endpoint:upload": {BLOBS_TO_PUSH * 3 * ATTEMPTS},
    "endpoint:tags": {ATTEMPTS, 5 * ATTEMPTS, 90 * ATTEMPTS},
    "endpoint:referrers": {ATTEMPTS, 3 * ATTEMPTS},
    "retry-after:ignored": {0},
}
"""How many requests are too many: 10 attempts for each of those that may loop. There are several numbers for
lists of 1, 3, 5 and 90 pages; and 100 for a layer that comes in 64 pieces.
"""


def by_name(case: Case, name: str) -> Expectation | None:
    return next((each for each in case.scenario(SEED).expect if each.name == name), None)


def passing_rules(case: Case) -> Iterator[tuple[Rule, int]]:
    """Yield the rules with a failure that passes, and how often it occurs."""
    for rule in case.scenario(SEED).rules:
        fault = rule.fault[0]
        times = getattr(fault, "reads", rule.times)
        if times and passes(fault, rule):
            yield rule, times


def passes(fault: Fault, rule: Rule) -> bool:
    parameters = fault.parameters()
    match fault.name:
        case "error":
            status = int(fault.model_dump()["status"])
            return status in (408, 429) or status >= 500
        case "accept":
            return parameters["form"] in ("close", "reset")
        case "redirect":
            return parameters["form"] in ("expired",)
        case "challenge":
            return rule.times is not None
    return fault.name in PASSING


def is_login(rule: Rule) -> bool:
    return rule.name == "a login"


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_a_failure_that_passes_must_be_survived_and_no_other(case: Case) -> None:
    passing = list(passing_rules(case))
    gave_up = by_name(case, Outcome.GAVE_UP)
    assert (gave_up is not None) == bool(passing), "only a failure that passes can be given up on too soon"
    if passing:
        others = [each for each in case.scenario(SEED).rules if not is_login(each)]
        has_another_failure = len({each.name for each in others}) > len({rule.name for rule, _ in passing})
        assert Outcome.RECOVERED in case.about.good
        assert has_another_failure or case.about.good == (Outcome.RECOVERED,)
    elif Outcome.RECOVERED not in case.about.good:
        assert set(case.about.good) - {Outcome.RETRYING} == {Outcome.FAILED_CLEANLY}


@pytest.mark.parametrize(
    "case", [each for each in FILES if by_name(each, Outcome.GAVE_UP)], ids=lambda case: case.name
)
def test_one_request_more_than_failures_is_the_least(case: Case) -> None:
    gave_up = by_name(case, Outcome.GAVE_UP)
    assert gave_up is not None
    failures = max(times for _, times in passing_rules(case))
    before = 0
    if "endpoint:upload" in (gave_up.filter or ""):
        before = BLOBS_TO_PUSH - 1
    elif "page" in case.name:
        before = 2
    repeats_only = "attempt:>1" in (gave_up.filter or "")
    is_connection = any(rule.match.endpoint == "connect" for rule, _ in passing_rules(case))
    assert gave_up.at_least == before + failures + (0 if repeats_only or is_connection else 1)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_limit_is_ten_attempts(case: Case) -> None:
    hammered = by_name(case, Outcome.HAMMERED)
    rules = case.scenario(SEED).rules
    if case.name.startswith("profile-"):
        assert hammered is not None
    elif case.name.startswith("image-") or all(rule.match.endpoint == "connect" for rule in rules):
        assert hammered is None
    elif case.name != "tls-works":
        assert hammered is not None
        assert hammered.at_most in LIMITS[hammered.filter or ""]


REFERENCE = re.compile(
    r"[\w.-]+(/[\w.-]+)?#\d+|RFC \d+(, section [\d.]+)?|(distribution|distribution-spec), \"[^\"]+\""
)


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_each_source_is_one_thread_or_one_section(case: Case) -> None:
    assert all(map(REFERENCE.fullmatch, case.about.sources)), case.about.sources
    assert len(case.about.sources) <= 2


def test_there_are_cases_for_each_action() -> None:
    assert list(dict.fromkeys(each.action for each in cases())) == list(ACTIONS)


def test_only_a_client_that_sends_an_unusual_request_is_examined_in_a_case_about_it() -> None:
    excused = {each.name for each in FILES if Outcome.NOT_EXAMINED in each.about.good}
    assert excused == {"mount-202", "mount-404", "mount-405", "range-several-refused"}
    assert not any(
        each.optional for case in FILES if case.name in excused for each in case.scenario(SEED).rules
    )
