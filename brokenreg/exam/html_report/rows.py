"""The exchanges of a run as rows of its waterfall, and what became of each rule in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from brokenreg.client.documents import Exchange, ExchangeDetail, RuleExplanation
from brokenreg.client.exchange_text import request_words, result_words
from brokenreg.exam.exchange_numbers import number_of
from brokenreg.exam.html_report.safe_text import cut
from brokenreg.exam.html_report.waterfall import (
    DELAY,
    HELD,
    TRANSFER,
    WAITING,
    WHOLE,
    Part,
    Scale,
    parts_of,
    time_label,
)
from brokenreg.oci.sizes import format_size
from brokenreg.wording import counted

_MOST_HEADERS = 100
_HEADERS_LENGTH = 16 * 1024
"""Maximum number and length of the headers of a request or a response."""

_MOST_REASONS = 12
"""Maximum number of different reasons that are shown for a rule."""

_MOST_NAMED = 8
"""Maximum number of exchanges that are named for a reason."""

_DIGEST = re.compile(r"(\b[a-z0-9]+:[0-9a-f]{12})[0-9a-f]{20,}", re.ASCII)
"""A digest, and the part of it that is shown."""

_OF_ALL = ("request", "headers", "end", "faults-applied")
"""Events that do not say why a connection has no request."""

_DECIDED = ("applied", "no-effect", "inapplicable", "skipped", "exhausted", "not-drawn")
"""Outcomes of rules that matched."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of an exchange: where it is on the scale, in percent, and how long it took."""

    kind: str
    start: float
    width: float
    seconds: float

    @property
    def words(self) -> str:
        return f"{_PART_WORDS[self.kind]} {time_label(self.seconds)}"


_PART_WORDS = {WAITING: "waiting", DELAY: "fault delay", HELD: "held", TRANSFER: "transfer"}


@dataclass(frozen=True, slots=True)
class Row:
    """An exchange. Without details, its bar has one part."""

    exchange: Exchange
    detail: ExchangeDetail | None
    bars: tuple[Bar, ...]
    start: float
    """Where its request is on the scale, in percent."""

    @property
    def number(self) -> int:
        """Return its number in the run."""
        return number_of(self.exchange)

    @property
    def replica(self) -> str:
        """Return the replica of the fleet that has it, or an empty string."""
        return self.exchange.get("replica", "")

    @property
    def state(self) -> str:
        """Return `held`, `open`, `bad` or `good`."""
        if self.exchange["held"]:
            return "held"
        if self.exchange["ended"] is None:
            return "open"
        is_bad = (self.exchange["status"] or 0) >= 400 or self.exchange["ended"] != "complete"
        return "bad" if is_bad else "good"

    @property
    def sign(self) -> str:
        return {"held": "⏸", "open": "▸", "bad": "✗", "good": "✓"}[self.state]

    @property
    def request(self) -> str:
        """Return the method, the path without the run and with short digests, and the layer."""
        words, namespace = request_words(self.exchange), self.exchange["namespace"]
        short = words.replace(f"/v2/broken/in/{namespace}/", "…/", 1) if namespace else words
        layers = self.detail.get("layers") if self.detail is not None else None
        place = f" (layer {', '.join(map(str, layers[:_MOST_NAMED]))})" if layers else ""
        return cut(_DIGEST.sub(r"\1…", short) + place)

    @property
    def result(self) -> str:
        """Return the fault, its rule, how the exchange ended, and what became of a connection."""
        happened = _of_connection(self.detail) if self.detail is not None else ()
        part = [f"{self.size} of {self.announced}"] if self.announced else []
        return cut(", ".join([*result_words(self.exchange), *part, *happened]))

    @property
    def size(self) -> str:
        return format_size(self.exchange["response_bytes"])

    @property
    def announced(self) -> str:
        """Return the size that the response's headers promise, if fewer bytes were sent."""
        headers = dict(self.detail["response_headers"]) if self.detail else {}
        length = headers.get("content-length", "")
        is_more = length.isascii() and length.isdigit() and int(length[:18]) > self.exchange["response_bytes"]
        has_no_body = self.exchange["method"] == "HEAD" or self.exchange["status"] == HTTPStatus.NOT_MODIFIED
        return format_size(int(length[:18])) if is_more and not has_no_body else ""

    @property
    def time(self) -> str:
        duration = self.exchange["duration"]
        return "in flight" if duration is None else time_label(duration)

    @property
    def bar_words(self) -> str:
        return ", ".join(each.words for each in self.bars if each.kind != WHOLE)

    def headers(self, side: str) -> list[tuple[str, str]]:
        """Return the headers of the `request` or the `response`, and how many more there are."""
        if self.detail is None:
            return []
        pairs = self.detail["request_headers"] if side == "request" else self.detail["response_headers"]
        shown: list[tuple[str, str]] = []
        room = _HEADERS_LENGTH
        for name, value in pairs[:_MOST_HEADERS]:
            shown.append((cut(name), cut(value)))
            room -= len(shown[-1][0]) + len(shown[-1][1])
            if room < 0:
                break
        more = len(pairs) - len(shown)
        return [*shown, ("…", counted(more, "more header"))] if more else shown


def _of_connection(detail: ExchangeDetail) -> Iterator[str]:
    """Yield why a connection has no request."""
    if detail["endpoint"] == "connect":
        yield from (each["text"] for each in detail["timeline"] if each["kind"] not in _OF_ALL)


def rows_of(exchanges: Sequence[Exchange], details: Sequence[ExchangeDetail], scale: Scale) -> Iterator[Row]:
    """Yield a row for each exchange."""
    known = {number_of(each): each for each in details}
    for each in exchanges:
        detail = known.get(number_of(each))
        since = each["time"] - scale.start
        until = max(0.0, scale.length - since)
        whole = [Part(WHOLE, 0.0, until if each["duration"] is None else each["duration"])]
        parts = whole if detail is None else parts_of(detail, until)
        bars = tuple(_bar(part, since, scale) for part in parts)
        yield Row(each, detail, bars, scale.percent(since))


def _bar(part: Part, since: float, scale: Scale) -> Bar:
    start, end = scale.percent(since + part.start), scale.percent(since + part.end)
    return Bar(part.kind, start, round(end - start, 3), part.end - part.start)


@dataclass(slots=True)
class Reason:
    """Why a rule was applied to some exchanges or not."""

    outcome: str
    text: str
    ids: list[int]

    @property
    def is_of_match(self) -> bool:
        """Return whether the rule matched these exchanges."""
        return self.outcome in _DECIDED

    @property
    def named(self) -> list[int]:
        return self.ids[:_MOST_NAMED]

    @property
    def more(self) -> int:
        return len(self.ids) - len(self.named)


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule or a fault of the path, and why it was applied or not."""

    name: str
    source: str
    """The path for a fault of the path; otherwise empty."""

    words: str
    """Its faults with their parameters, its conditions and counts; empty if they are unknown."""

    reasons: list[Reason]
    more: int
    """Number of reasons that are not shown."""

    @property
    def is_applied(self) -> bool:
        return any(each.outcome == "applied" for each in self.reasons)


def rule_rows(details: Sequence[ExchangeDetail], words: Mapping[int, str]) -> list[RuleRow]:
    """Return the rules that were evaluated, each with its words and reasons: those of matches first."""
    found: dict[tuple[int | None, str, str], dict[tuple[str, str], Reason]] = {}
    for detail in details:
        for rule in detail["rules"]:
            reasons = found.setdefault((rule["id"], rule["rule"], _source(rule)), {})
            text = "" if rule["outcome"] == "applied" else rule["reason"]
            reason = reasons.setdefault((rule["outcome"], text), Reason(rule["outcome"], text, []))
            reason.ids.append(number_of(detail))
    return [
        _rule_row(name, source, words.get(number or 0, ""), [*reasons.values()])
        for (number, name, source), reasons in sorted(found.items(), key=lambda each: each[0][0] or 0)
    ]


def _rule_row(name: str, source: str, words: str, reasons: list[Reason]) -> RuleRow:
    ranked = sorted(reasons, key=lambda each: (each.outcome != "applied", not each.is_of_match))
    shown = ranked[:_MOST_REASONS]
    return RuleRow(cut(name), cut(source), cut(words), shown, len(ranked) - len(shown))


def _source(rule: RuleExplanation) -> str:
    return rule["source"] if rule["id"] is None else ""
