"""What must be done before a filter, an expectation or a scenario is used.

The log is examined for repetitions if a filter depends on them. None of this changes what users see.
"""

from __future__ import annotations

from collections.abc import Iterable

from brokenreg.config.settings import Settings
from brokenreg.rules.expectations import Expectation
from brokenreg.rules.scenario import Scenario
from brokenreg.traffic.filters import needs_repetitions
from brokenreg.traffic.log import TrafficLog


async def prepare_filter(log: TrafficLog, text: str, *, stays: bool = False) -> None:
    """Examine the log for repetitions, a few exchanges per turn, if a filter needs it.

    `stays` says that the filter will be evaluated for new exchanges, too.
    """
    if not needs_repetitions(text):
        return
    if stays:
        log.keep_repetitions()
    await log.index_repetitions()


async def prepare_scenario(log: TrafficLog, scenario: Scenario) -> None:
    """Examine the log for the expectations of a scenario, as `prepare_filter` does."""
    if expects_repetitions([scenario]):
        log.keep_repetitions()
        await log.index_repetitions()


async def prepare_expectation(log: TrafficLog, expectation: Expectation) -> None:
    """Examine the log for an expectation that is judged once, as `prepare_filter` does."""
    if expects_repetitions([Scenario(expect=(expectation,))]):
        await log.index_repetitions()


def expects_repetitions(scenarios: Iterable[Scenario]) -> bool:
    """Return whether an expectation depends on what an exchange repeats."""
    expectations = [each for scenario in scenarios for each in scenario.expect]
    filters = (text for each in expectations for text in (each.filter, each.each, *(each.order or ())))
    return any(map(needs_repetitions, filter(None, filters)))


def check_registry(settings: Settings, scenario: Scenario) -> None:
    """Raise `FieldError` if the registry lacks what a scenario needs."""
    if scenario.registry is not None:
        has_tls = settings.tls is not None or settings.cert is not None
        scenario.registry.check(settings.auth, has_tls=has_tls)
