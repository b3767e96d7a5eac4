"""What a run found. The summary, JUnit XML and the HTML report are made from it alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from brokenreg.client.documents import Exchange, ExchangeDetail
from brokenreg.exam.exchange_numbers import number_of

OUTPUT = 64 * 1024
"""Maximum number of characters of the client's output in a report: the last ones."""

EXCHANGES = 1000
"""Maximum number of exchanges in a report: the newest ones."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Something that was expected, and whether it is so."""

    name: str
    kind: str
    wanted: str
    got: str
    met: bool
    is_suspected: bool = False
    nearest: tuple[int, ...] = ()
    """Ids of exchanges that explain an unmet expectation."""

    seen: int | None = None
    """Number of exchanges that were counted, if the verdict is about a number."""

    has_wrong_bytes: bool = False
    """Whether the client was seen to have kept bytes that do not match their digest."""

    is_incomplete: bool = False
    """Whether the client left a copy in which something is missing, but nothing is wrong."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """The run of a client against one scenario, without secrets."""

    version: str
    scenario: str
    seed: int
    started: float
    """When the client started, in seconds since the epoch."""

    duration: float
    command: tuple[str, ...]
    """As it was given, with its placeholders."""

    repeat: str
    """The command line that repeats this run."""

    exit: int | None
    """Exit status of the client; None if the time was up."""

    verdicts: tuple[Verdict, ...]
    exchanges: tuple[Exchange, ...]
    output: str
    details: tuple[ExchangeDetail, ...] = ()
    """Headers, timelines and rules of some of the exchanges, only for the HTML report."""

    about: str = ""
    """What the scenario is about, in one or two sentences; empty if it does not say so."""

    rules: Mapping[int, str] = field(default_factory=dict)
    """The faults, conditions and counts of the rules, by their ids, only for the HTML report."""

    lacks_exchanges: bool = False
    """Whether it comes from a file that has no exchanges."""

    @property
    def is_good(self) -> bool:
        return all(each.met for each in self.verdicts)

    @property
    def is_out_of_time(self) -> bool:
        return self.exit is None

    def nearest(self, verdict: Verdict) -> list[Exchange]:
        """Return the exchanges that explain a verdict."""
        return [each for each in self.exchanges if number_of(each) in verdict.nearest]


def exit_status(reports: Sequence[RunReport]) -> int:
    """Return 0, 1 if a verdict is not as expected, or 124 if a client ran out of time."""
    if any(each.is_out_of_time for each in reports):
        return 124
    return 0 if all(each.is_good for each in reports) else 1
