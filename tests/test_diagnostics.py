"""The server's own log: repeated records are omitted, and others are not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from brokenreg import diagnostics
from brokenreg.diagnostics import Diagnostics, RepetitionFilter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(diagnostics, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


@pytest.fixture
def handlers() -> tuple[Diagnostics, Diagnostics]:
    """Two handlers with one filter, as for standard error and the panel's log."""
    both = Diagnostics(), Diagnostics()
    repetitions = RepetitionFilter()
    for handler in both:
        handler.addFilter(repetitions)
    return both


@pytest.fixture
def logger(handlers: tuple[Diagnostics, ...]) -> Iterator[logging.Logger]:
    made = logging.getLogger("tests.repeating")
    made.propagate = False
    made.setLevel(logging.INFO)
    for handler in handlers:
        made.addHandler(handler)
    yield made
    for handler in handlers:
        made.removeHandler(handler)


def texts(handlers: tuple[Diagnostics, ...]) -> list[str]:
    first, second = ([line.text for line in handler.lines()] for handler in handlers)
    assert first == second
    return first


def fail(value: str) -> None:
    raise ValueError(value)


def test_repeated_warnings_are_omitted(
    logger: logging.Logger, handlers: tuple[Diagnostics, ...], clock: Any
) -> None:
    for number in range(100):
        logger.warning("client %d sent nonsense", number)
    logger.warning("the disk is full")
    last = "client 19 sent nonsense (further ones like this are omitted for 60 s)"
    assert texts(handlers) == [
        *(f"client {number} sent nonsense" for number in range(19)), last, "the disk is full"
    ]  # fmt: skip
    clock.seconds = 60
    logger.warning("client %d sent nonsense", 100)
    logger.warning("client %d sent nonsense", 101)
    assert texts(handlers)[-2:] == [
        "(80 more like this one were omitted) client 100 sent nonsense", "client 101 sent nonsense"
    ]  # fmt: skip


def test_tracebacks_from_one_place_are_omitted(
    logger: logging.Logger, handlers: tuple[Diagnostics, ...]
) -> None:
    """Messages of asyncio contain addresses of objects; only the place is the same."""
    for number in range(10):
        try:
            fail("x")
        except ValueError:
            logger.exception("task %s failed", f"0x{number}")
        try:
            int("x")
        except ValueError:
            logger.exception("task 0x%d failed\nsomething else: 0x%d", number, number)
    found = texts(handlers)
    assert len(found) == 6
    assert all("Traceback" in text for text in found)


def test_information_is_not_omitted(logger: logging.Logger, handlers: tuple[Diagnostics, ...]) -> None:
    for _ in range(100):
        logger.info("another client")
    assert len(texts(handlers)) == 100


def test_the_number_of_kinds_is_bounded(logger: logging.Logger, handlers: tuple[Diagnostics, ...]) -> None:
    """After a thousand others, a kind is forgotten and passes again."""
    for _ in range(30):
        logger.warning("again")
    for number in range(1_000):
        logger.warning(str(number))
    logger.warning("again")
    assert texts(handlers)[-1] == "again"
