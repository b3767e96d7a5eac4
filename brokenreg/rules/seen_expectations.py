"""Offers expectations made from what a client did, so that a saved scenario can require the same again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from brokenreg.oci.target import Endpoint
from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.client_expectation import ClientExpectation
from brokenreg.rules.expectations import Expectation
from brokenreg.rules.rule import Rule
from brokenreg.rules.scenario import Scenario
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.rule_outcome import OutcomeKind
from brokenreg.wording import counted

_CONTENT = (Endpoint.MANIFEST, Endpoint.CONFIG, Endpoint.LAYER)
_FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class SeenExpectation:
    """Something that was seen, as text, and what requires it: an expectation, or a part of `client`.

    `naming` is the place of a rule without a name, and the name that the expectation uses for it.
    """

    text: str
    expectation: Expectation | None = None
    image: str | None = None
    fails: bool = False
    naming: tuple[int, str] | None = None


def seen_expectations(run: Sequence[Exchange], rules: Sequence[ActiveRule]) -> list[SeenExpectation]:
    """Return what the exchanges of one run of a client show, in order of arrival.

    `rules` are those in effect.
    """
    return [
        *_client(run),
        *_rules(run, rules),
        *_repeated(run),
        *_retry_after(run),
        *_amounts(run),
    ]


def scenario_with(scenario: Scenario, chosen: Iterable[SeenExpectation]) -> Scenario:
    """Return a scenario that also requires what was chosen."""
    rules, expect = list(scenario.rules), list(scenario.expect)
    client = scenario.client
    for each in chosen:
        if each.naming is not None:
            place, name = each.naming
            if place >= len(rules) or rules[place].name not in (None, name):
                continue  # the rules have changed
            rules[place] = rules[place].model_copy(update={"name": name})
        if each.expectation is not None and each.expectation not in expect:
            expect.append(each.expectation)
        if each.image is not None:
            client = (client or ClientExpectation()).model_copy(update={"image": each.image})
        if each.fails:
            client = (client or ClientExpectation()).model_copy(update={"exit": _FAILURE})
    return scenario.model_copy(update={"rules": tuple(rules), "expect": tuple(expect), "client": client})


def _client(run: Sequence[Exchange]) -> Iterator[SeenExpectation]:
    """Yield the image of a pull, and that the client did not get all that it requested."""
    tagged = [each for each in run if each.endpoint is Endpoint.MANIFEST]
    is_pull = all(each.method in ("GET", "HEAD") for each in run)
    if tagged and is_pull and not tagged[0].target.namespace:
        repository, _, reference = tagged[0].path.removeprefix("/v2/").rpartition("/manifests/")
        image = f"{repository}{'@' if ':' in reference else ':'}{reference}"
        try:
            ClientExpectation(image=image)
        except ValidationError:
            pass  # a path that no image has
        else:
            yield SeenExpectation(f"brokenreg run pulls {image}", image=image)
    last = {each.path: each for each in run if each.endpoint in _CONTENT and each.method == "GET"}
    if any(each.has_failed for each in last.values()):
        yield SeenExpectation("the client ends with an error", fails=True)


def _rules(run: Sequence[Exchange], rules: Sequence[ActiveRule]) -> Iterator[SeenExpectation]:
    """Yield how often each rule was applied."""
    applied = Counter(
        outcome.rule.id
        for each in run
        for outcome in each.rule_outcomes
        if outcome.kind is OutcomeKind.APPLIED and outcome.rule.id
    )
    names = _names([each.rule for each in rules])
    for place, active in enumerate(rules):
        name = names[place]
        count = applied[active.id]
        if not count or '"' in name:
            continue
        is_limited = active.rule.times == count and active.rule.per == "rule"
        text = f"rule {name} is applied {'' if is_limited else 'at least '}{counted(count, 'time')}"
        bounds = {"count": count} if is_limited else {"at_least": count}
        yield SeenExpectation(
            text,
            Expectation(name=text[:200], filter=f'rule:"{name}"', **bounds),
            naming=None if active.rule.name else (place, name),
        )


def _repeated(run: Sequence[Exchange]) -> Iterator[SeenExpectation]:
    """Yield what was requested again after a failure, and whether a download was continued."""
    failed = set[tuple[str, str]]()
    again = dict[Endpoint, None]()
    for each in run:
        if (each.method, each.path) in failed and each.repetition.attempt > 1:
            again[each.endpoint] = None
        if each.has_failed and each.status != 401:
            failed.add((each.method, each.path))
    for endpoint in again:
        yield _seen(f"the client requests a {endpoint} again", f"endpoint:{endpoint} attempt:>1", at_least=1)
    if any(each.status == 206 and each.endpoint is Endpoint.LAYER for each in run):
        yield _seen("the client requests only a part of a layer", "endpoint:layer status:206", at_least=1)


def _retry_after(run: Sequence[Exchange]) -> Iterator[SeenExpectation]:
    honoured = {each.repetition.honoured for each in run} - {None}
    if honoured == {True}:
        yield _seen("the client waits as long as Retry-After says", "retry-after:ignored", at_most=0)
    elif False in honoured:
        yield _seen("the client does not wait for Retry-After", "retry-after:ignored", at_least=1)


def _amounts(run: Sequence[Exchange]) -> Iterator[SeenExpectation]:
    """Yield how many layers arrived, and how many requests there were for each kind of content."""
    arrived = {each.path for each in run if each.endpoint is Endpoint.LAYER and _has_arrived(each)}
    if arrived:
        yield _seen(
            f"{counted(len(arrived), 'layer')} {'arrives' if len(arrived) == 1 else 'arrive'} completely",
            "endpoint:layer status:2xx ended:complete wrong-bytes:false",
            at_least=len(arrived),
        )
    counts = Counter(each.endpoint for each in run)
    for endpoint in filter(counts.get, _CONTENT):
        count = counts[endpoint]
        text = f"at most {counted(count, 'request')} for {endpoint}s"
        yield _seen(text, f"endpoint:{endpoint}", at_most=count)


def _has_arrived(exchange: Exchange) -> bool:
    is_good = exchange.status is not None and 200 <= exchange.status < 300
    return is_good and exchange.ended is Ended.COMPLETE and not exchange.has_wrong_bytes


def _seen(text: str, expression: str, **bounds: int) -> SeenExpectation:
    return SeenExpectation(text, Expectation.model_validate({"name": text, "filter": expression, **bounds}))


def _names(rules: Sequence[Rule]) -> list[str]:
    """Return the names of rules. Those without one get names that no other rule has."""
    taken = {each.name for each in rules}
    names = []
    for place, rule in enumerate(rules, 1):
        base = rule.name or f"{rule.fault[0].name} {rule.endpoint}"
        names.append(base if rule.name or base not in taken else f"{base} {place}")
        taken.add(names[-1])
    return names
