"""The methods that the sync and the async client share: each one sends a request of `calls`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from brokenreg.client import calls
from brokenreg.client.call import Call

P = ParamSpec("P")
T = TypeVar("T")


class Sending(Protocol):
    """A client that waits for the response."""

    def send(self, call: Call[T], /) -> T: ...


class SendingAsync(Protocol):
    """A client whose results are awaited."""

    def send(self, call: Call[T], /) -> Awaitable[T]: ...


class Operation(Generic[P, T]):
    """A method of both clients, from a function that returns the request."""

    def __init__(self, build: Callable[P, Call[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Callable[P, Call[T]]: ...
    @overload
    def __get__(self, client: Sending, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: SendingAsync, owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, client: Any, owner: type) -> Callable[P, Any]:
        build = self._build
        if client is None:
            return build

        @wraps(build)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.send(build(*args, **kwargs))

        return method


class Operations:
    """The operations of the control API."""

    status = Operation(calls.status)
    reset = Operation(calls.reset)
    load_scenario = Operation(calls.load_scenario)
    scenario = Operation(calls.scenario)
    verdicts = Operation(calls.verdicts)
    judge = Operation(calls.judge)
    rules = Operation(calls.rules)
    judge_rule = Operation(calls.judge_rule)
    add_rule = Operation(calls.add_rule)
    replace_rule = Operation(calls.replace_rule)
    change_rule = Operation(calls.change_rule)
    remove_rule = Operation(calls.remove_rule)
    clear_rules = Operation(calls.clear_rules)
    exchanges = Operation(calls.exchanges)
    exchange = Operation(calls.exchange)
    har = Operation(calls.har)
    hold = Operation(calls.hold)
    resume = Operation(calls.resume)
    step = Operation(calls.step)
    abort = Operation(calls.abort)
    resume_all = Operation(calls.resume_all)
    step_all = Operation(calls.step_all)
    abort_all = Operation(calls.abort_all)
    repositories = Operation(calls.repositories)
    delete_repository = Operation(calls.delete_repository)
    breakpoints = Operation(calls.breakpoints)
    add_breakpoint = Operation(calls.add_breakpoint)
    switch_breakpoints = Operation(calls.switch_breakpoints)
    remove_breakpoint = Operation(calls.remove_breakpoint)
    clear_breakpoints = Operation(calls.clear_breakpoints)
