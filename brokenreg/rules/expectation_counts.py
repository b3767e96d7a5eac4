"""Counts exchanges for expectations when they end, because the log may drop old ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from brokenreg.oci.durations import parse_duration
from brokenreg.rules.counters import new_id
from brokenreg.rules.expectations import Evidence, Expectation, Verdict, VerdictKind
from brokenreg.rules.expected_order import OrderedMatches
from brokenreg.traffic.comparisons import parse_comparison
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filter_keys import Filter
from brokenreg.traffic.filters import parse_filter, parse_terms
from brokenreg.wording import counted

MOST_NEAREST = 5
MAX_CONNECTIONS = 10_000
"""Maximum number of connections that are told apart."""

Requests = Literal["none"]


class Expectations:
    """The expectations of one namespace. `id` tells them from those that were loaded at another time."""

    def __init__(self, counts_id: str = "") -> None:
        self.id = counts_id or new_id()
        self._counted: list[_Counted] = []
        self.requests: Requests | None = None
        """Set if no request may arrive."""
        self._arrived = 0
        self._newest: deque[int] = deque(maxlen=MOST_NEAREST)

    def __iter__(self) -> Iterator[Expectation]:
        return (each.expectation for each in self._counted)

    def load(self, expectations: Iterable[Expectation], requests: Requests | None = None) -> None:
        """Add expectations, which count exchanges from now on."""
        self._counted += [_counted(expectation) for expectation in expectations]
        self.requests = requests or self.requests

    def adopted(
        self, counts_id: str, expectations: Sequence[Expectation], requests: Requests | None
    ) -> Expectations:
        """Return the expectations of another replica with the counts so far, or new ones with another id."""
        found = self if self.id == counts_id else Expectations(counts_id)
        found.load(expectations[len(found._counted) :], requests)
        return found

    def observe(self, exchange: Exchange) -> None:
        """Count an exchange that has ended."""
        self._arrived += 1
        self._newest.append(exchange.id)
        for each in self._counted:
            each.observe(exchange)

    def leaked(self, exchange: Exchange, kind: str) -> None:
        """Count a credential of that kind, which an exchange brought to the second origin."""
        for each in self._counted:
            each.leaked(exchange, kind)

    def verdicts(self) -> list[Verdict]:
        """Return the verdict of each expectation."""
        found = [each.verdict() for each in self._counted]
        if self.requests is not None:
            is_met = not self._arrived
            found.append(
                Verdict(
                    name=None,
                    kind="requests",
                    filter="requests",
                    wanted="none",
                    got=str(self._arrived),
                    seen=self._arrived,
                    met=is_met,
                    nearest=[] if is_met else list(self._newest),
                )
            )
        return found

    def evidence(self) -> list[Evidence]:
        """Return what verdicts over several replicas need, for each of `verdicts`."""
        return [*(each.evidence() for each in self._counted), *([Evidence()] if self.requests else [])]


class _Counted:
    """Counts the exchanges that match the filter of an expectation."""

    kind: VerdictKind = "filter"

    def __init__(self, expectation: Expectation) -> None:
        self.expectation = expectation
        self._matches: Filter = parse_filter(expectation.filter or "")
        self._terms = parse_terms(expectation.filter or "")
        self._got = 0
        self._matched: deque[int] = deque(maxlen=MOST_NEAREST)
        self._near: deque[int] = deque(maxlen=MOST_NEAREST)
        self._best = 0.0

    def observe(self, exchange: Exchange) -> None:
        if self._matches(exchange):
            self._got += 1
            self._matched.append(exchange.id)
            self.matched(exchange)
            return
        score = max(sum(term(exchange) for term in terms) / max(1, len(terms)) for terms in self._terms)
        if score > self._best:
            self._best = score
            self._near.clear()
        if score and score == self._best:
            self._near.append(exchange.id)

    def matched(self, exchange: Exchange) -> None:
        """Examine an exchange that matches the filter."""

    def leaked(self, exchange: Exchange, kind: str) -> None:
        """Count a credential that arrived at the second origin."""

    def evidence(self) -> Evidence:
        """Return what a verdict over several replicas needs, beside the number of exchanges."""
        return Evidence()

    def verdict(self) -> Verdict:
        expectation = self.expectation
        met = expectation.is_met(self._got)
        nearest = self._matched or self._near if self._is_enough() else self._near or self._matched
        return self._verdict(
            expectation.filter or "", expectation.want(), str(self._got), self._got, met, nearest
        )

    def _is_enough(self) -> bool:
        return self._got > (self.expectation.count or 0) if self.expectation.at_least is None else False

    def _verdict(
        self, what: str, wanted: str, got: str, seen: int, met: bool, nearest: Iterable[int]
    ) -> Verdict:
        return Verdict(
            name=self.expectation.name, kind=self.kind, filter=what, wanted=wanted, got=got, seen=seen,
            met=met, nearest=[] if met else list(nearest),
        )  # fmt: skip


class _Each(_Counted):
    kind = "each"

    def __init__(self, expectation: Expectation) -> None:
        super().__init__(expectation)
        self._also = parse_filter(expectation.each or "")
        self._wrong = 0
        self._others: deque[int] = deque(maxlen=MOST_NEAREST)

    def matched(self, exchange: Exchange) -> None:
        if not self._also(exchange):
            self._wrong += 1
            self._others.append(exchange.id)

    def evidence(self) -> Evidence:
        return Evidence(violations=self._wrong)

    def verdict(self) -> Verdict:
        expectation = self.expectation
        return self._verdict(
            f"{expectation.filter} each {expectation.each}",
            f"{expectation.want()}, each of them matching",
            f"{self._got}, {self._got - self._wrong} of them matching",
            self._got,
            not self._wrong and expectation.is_met(self._got),
            self._others or self._near,
        )


class _Spacing(_Counted):
    kind = "spacing"

    def __init__(self, expectation: Expectation) -> None:
        super().__init__(expectation)
        self._spacing = expectation.spacing or ""
        self._fits = parse_comparison(self._spacing, parse_duration)
        self._wrong: deque[int] = deque(maxlen=MOST_NEAREST)
        self._worst = ""
        self._starts: deque[tuple[float, int]] = deque(maxlen=MOST_NEAREST * 20)

    def matched(self, exchange: Exchange) -> None:
        before = [each for each in self._starts if each[0] <= exchange.started]
        after = [each for each in self._starts if each[0] > exchange.started]
        here = (exchange.started, exchange.id)
        for first, second in ((before[-1:], [here]), ([here], after[:1])):
            if first and second and self._fits is not None and not self._fits(second[0][0] - first[0][0]):
                self._worst = self._worst or f"{round(second[0][0] - first[0][0], 3)}s"
                self._wrong.extend((first[0][1], second[0][1]))
        self._starts = deque([*before, here, *after], self._starts.maxlen)

    def evidence(self) -> Evidence:
        return Evidence(violations=len(self._wrong) // 2, matches=[list(self._starts)])

    def verdict(self) -> Verdict:
        expectation = self.expectation
        apart = f", once {self._worst} apart" if self._wrong else ""
        return self._verdict(
            f"{expectation.filter} spacing {self._spacing}",
            f"{expectation.want()}, {self._spacing} apart",
            f"{self._got}{apart}",
            self._got,
            not self._wrong and expectation.is_met(self._got),
            dict.fromkeys(self._wrong) or self._near,
        )


class _Order(_Counted):
    kind = "order"

    def __init__(self, expectation: Expectation) -> None:
        super().__init__(expectation)
        self._order = expectation.order or ()
        self._steps = OrderedMatches(self._order)

    def observe(self, exchange: Exchange) -> None:
        self._steps.add(exchange)

    def evidence(self) -> Evidence:
        return Evidence(matches=self._steps.matches())

    def verdict(self) -> Verdict:
        ids, wanted = self._steps.longest(), len(self._order)
        done = len(ids)
        missing = f", then none of {self._order[done]}" if done < wanted else ""
        return self._verdict(
            " then ".join(self._order), f"all {wanted}, in this order", f"{done} in this order{missing}",
            done, done == wanted, ids[-MOST_NEAREST:],
        )  # fmt: skip


class _Leaks(_Counted):
    kind = "leaks"

    def __init__(self, expectation: Expectation) -> None:
        super().__init__(expectation)
        self._kinds: list[str] = []

    def observe(self, exchange: Exchange) -> None:
        pass  # a credential counts when it arrives

    def leaked(self, exchange: Exchange, kind: str) -> None:
        self._got += 1
        self._matched.append(exchange.id)
        if kind not in self._kinds and len(self._kinds) < MOST_NEAREST:
            self._kinds.append(kind)

    def verdict(self) -> Verdict:
        what = f" ({', '.join(self._kinds)})" if self._kinds else ""
        got = f"{counted(self._got, 'credential')}{what}"
        nearest = dict.fromkeys(self._matched)
        return self._verdict("leaks", "exactly 0", got, self._got, not self._got, nearest)


class _Connections(_Counted):
    kind = "connections"

    def __init__(self, expectation: Expectation) -> None:
        super().__init__(expectation)
        self._clients: set[str] = set()

    def observe(self, exchange: Exchange) -> None:
        if exchange.client not in self._clients and len(self._clients) < MAX_CONNECTIONS:
            self._clients.add(exchange.client)
            self._matched.append(exchange.id)

    def verdict(self) -> Verdict:
        limit = self.expectation.connections
        most = 0 if limit is None else limit.at_most
        got = len(self._clients)
        return self._verdict("connections", f"at most {most}", str(got), got, got <= most, self._matched)


def _counted(expectation: Expectation) -> _Counted:
    kind: type[_Counted] = _Counted
    if expectation.each is not None:
        kind = _Each
    elif expectation.spacing is not None:
        kind = _Spacing
    elif expectation.order is not None:
        kind = _Order
    elif expectation.leaks is not None:
        kind = _Leaks
    elif expectation.connections is not None:
        kind = _Connections
    return kind(expectation)
