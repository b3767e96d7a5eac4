"""The expectations of scenarios: how many exchanges should match a filter, and how many did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filters import AFTER_END, parse_filter

_Count = Annotated[int, Field(ge=0, le=2**31)]


def _checked(expression: str) -> str:
    parse_filter(expression, AFTER_END)
    return expression


class Expectation(BaseModel):
    """An expectation: how many exchanges must match a filter. The default is at least one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None, description="name"
    )
    filter: Annotated[str, AfterValidator(_checked)] = Field(
        description="filter expression, for example `endpoint:layer status:206`",
        examples=["endpoint:layer status:206"],
    )
    count: _Count | None = Field(None, description="exact number")
    at_least: _Count | None = Field(None, description="minimum number")
    at_most: _Count | None = Field(None, description="maximum number")

    @model_validator(mode="after")
    def _check(self) -> Self:
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
            return got > 0
        return (self.at_least or 0) <= got and (self.at_most is None or got <= self.at_most)

    def want(self) -> str:
        """Return the expected number of exchanges, in words."""
        if self.count is not None:
            return f"exactly {self.count}"
        at_least = self.at_least if self.at_least is not None or self.at_most is not None else 1
        parts = [f"at least {at_least}"] if at_least is not None else []
        parts += [f"at most {self.at_most}"] if self.at_most is not None else []
        return ", ".join(parts)


class Verdict(BaseModel):
    """An expectation, and whether it is met so far."""

    model_config = ConfigDict(frozen=True)

    name: str | None
    filter: str
    wanted: str = Field(description="the expected number, in words")
    seen: int = Field(description="matching exchanges that have ended since the scenario was loaded")
    met: bool


class Expectations:
    """The expectations of one namespace.

    Exchanges are counted when they end, because the log may drop old ones.
    """

    def __init__(self) -> None:
        self._counted: list[_Counted] = []

    def __iter__(self) -> Iterator[Expectation]:
        return (each.expectation for each in self._counted)

    def load(self, expectations: Iterable[Expectation]) -> None:
        """Add expectations, which count exchanges from now on."""
        self._counted += [_Counted(expectation) for expectation in expectations]

    def clear(self) -> None:
        self._counted = []

    def observe(self, exchange: Exchange) -> None:
        """Count an exchange that has ended."""
        for each in self._counted:
            each.observe(exchange)

    def verdicts(self) -> list[Verdict]:
        """Return the verdict of each expectation."""
        return [each.verdict() for each in self._counted]


class _Counted:
    def __init__(self, expectation: Expectation) -> None:
        self.expectation = expectation
        self._matches = parse_filter(expectation.filter)
        self._got = 0

    def observe(self, exchange: Exchange) -> None:
        self._got += self._matches(exchange)

    def verdict(self) -> Verdict:
        expectation = self.expectation
        return Verdict(
            name=expectation.name,
            filter=expectation.filter,
            wanted=expectation.want(),
            seen=self._got,
            met=expectation.is_met(self._got),
        )
