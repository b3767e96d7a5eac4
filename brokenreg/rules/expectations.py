"""The expectations of scenarios, and verdicts about them. expectation_counts.py has the counting."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from brokenreg.oci.durations import parse_duration
from brokenreg.traffic.comparisons import parse_comparison
from brokenreg.traffic.filters import AFTER_END, parse_filter

_Count = Annotated[int, Field(ge=0, le=2**31)]
MAX_ORDER = 20
_SUBJECTS = ("filter", "order", "leaks", "connections")


def _checked(expression: str) -> str:
    parse_filter(expression, AFTER_END)
    return expression


def _spacing(text: str) -> str:
    if parse_comparison(text, parse_duration) is None:
        raise ValueError("use a comparison with a duration, such as >=2s")
    return text


_Filter = Annotated[str, AfterValidator(_checked)]


class Connections(BaseModel):
    """How many connections the client may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_most: _Count = Field(description="maximum number of connections", examples=[4])


def _one_subject(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": [each]} for each in _SUBJECTS]


class Expectation(BaseModel):
    """An expectation about the exchanges of a namespace: exactly one of filter, order, leaks, connections."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=_one_subject)

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None, description="name"
    )
    filter: _Filter | None = Field(
        None,
        description="filter expression, for example `endpoint:layer status:206`",
        examples=["endpoint:layer status:206"],
    )
    count: _Count | None = Field(None, description="exact number")
    at_least: _Count | None = Field(None, description="minimum number")
    at_most: _Count | None = Field(None, description="maximum number")
    each: _Filter | None = Field(None, description="every exchange that matches `filter` matches this, too")
    spacing: Annotated[str, AfterValidator(_spacing)] | None = Field(
        None, description="time between the starts of exchanges that match `filter`, such as `>=2s`"
    )
    order: tuple[_Filter, ...] | None = Field(
        None,
        min_length=2,
        max_length=MAX_ORDER,
        description="filters: a match of each follows a match of the one before",
    )
    leaks: Annotated[int, Field(ge=0, le=0)] | None = Field(
        None, description="0: no exchange with the second origin has a credential"
    )
    connections: Connections | None = Field(None, description="how many connections the client may use")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(getattr(self, each) is not None for each in _SUBJECTS) != 1:
            raise ValueError("use exactly one of filter, order, leaks or connections")
        counts = (self.count, self.at_least, self.at_most)
        if self.filter is None and any(each is not None for each in (*counts, self.each, self.spacing)):
            raise ValueError("count, at_least, at_most, each and spacing need a filter")
        if self.each is not None and self.spacing is not None:
            raise ValueError("each and spacing exclude each other: write two expectations")
        if self.count is not None and (self.at_least is not None or self.at_most is not None):
            raise ValueError("count excludes at_least and at_most: remove either")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(
                f"at_least {self.at_least} is more than at_most {self.at_most}: swap or change them"
            )
        return self

    def is_met(self, got: int) -> bool:
        """Return whether that number of exchanges meets the expectation."""
        if self.count is not None:
            return got == self.count
        if self.at_least is None and self.at_most is None:
            return got >= self.least
        return (self.at_least or 0) <= got and (self.at_most is None or got <= self.at_most)

    @property
    def least(self) -> int:
        """Return the minimum without another: two exchanges for `spacing`, else one."""
        return 2 if self.spacing is not None else 1

    def want(self) -> str:
        """Return the expected number of exchanges, in words."""
        if self.count is not None:
            return f"exactly {self.count}"
        at_least = self.at_least
        if at_least is None and self.at_most is None:
            at_least = self.least
        parts = [f"at least {at_least}"] if at_least is not None else []
        parts += [f"at most {self.at_most}"] if self.at_most is not None else []
        return ", ".join(parts)


VerdictKind = Literal[
    "filter", "each", "spacing", "order", "leaks", "connections", "rule", "requests",
    "client-exit", "client-within", "client-output", "client-intact",
]  # fmt: skip


Match = tuple[float, int]
"""When an exchange started, in seconds since the epoch, and its id."""


class Evidence(BaseModel):
    """What the verdict of an expectation over several replicas needs to know about each of them."""

    model_config = ConfigDict(frozen=True)

    violations: int = Field(0, description="number of matches that break `each` or `spacing`")
    matches: list[list[Match]] = Field(
        [], description="start and id of the matches of each filter of `order`, or of the one of `spacing`"
    )


class Verdict(BaseModel):
    """An expectation or a rule of the scenario, and whether it is met so far."""

    model_config = ConfigDict(frozen=True)

    name: str | None
    kind: VerdictKind = "filter"
    filter: str = Field(description="what is judged: the filter, or the filters in words")
    wanted: str = Field(description="what is expected, in words")
    got: str = Field(description="what happened, in words")
    seen: int = Field(description="number of exchanges, connections or leaks that were counted")
    met: bool
    is_suspected: bool = False
    nearest: list[int] = Field([], description="ids of at most 5 exchanges that explain an unmet expectation")


class ReplicaVerdict(Verdict):
    """A verdict about the exchanges of one replica of a fleet, or of all replicas."""

    evidence: Evidence = Field(
        Evidence(), description="what `replica=*` uses; absent without the parameter `replica`"
    )
    replicas: list[str] = Field(
        [], description="the replica of each exchange in `nearest`; absent without the parameter `replica`"
    )
