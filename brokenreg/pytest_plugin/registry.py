"""What a test gets from the fixture `brokenreg`: a registry in a namespace of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Unpack

from brokenreg.client import Client, ControlError
from brokenreg.client.documents import Exchange, ExchangeDetail, Rule, Verdict
from brokenreg.client.exchange_text import line
from brokenreg.client.faults import ConnectFault, Fault
from brokenreg.client.request_documents import Expectation, NewRule, RuleFields
from brokenreg.pytest_plugin.applied_rule import AppliedRule
from brokenreg.pytest_plugin.failure_report import (
    Place,
    details,
    exchange_lines,
    nearest_to,
    nothing_in,
    place_of,
)
from brokenreg.pytest_plugin.pushing import push
from brokenreg.wording import counted

_MOST = 10_000
"""Maximum number of exchanges that the control API returns."""

_SHOWN = 50
"""Maximum number of exchanges in the report of a failed test."""

_SETTLE = 1.0
_PAUSE = 0.01
"""Seconds that an exchange has to end after its client has read the response, and between two looks."""


_FINAL = frozenset({"filter", "at_least", "order"})
"""The fields of an expectation that stays met, whatever follows."""


class TestRegistry:
    """A registry for one test.

    `registry` is its HOST:PORT and `registry_url` its URL. `namespace` is that of the test, and `client` is
    the client of the control API in this namespace. `ca_file` is the CA that clients must trust, or None.
    """

    __test__ = False  # pytest collects no tests here

    def __init__(
        self, registry_url: str, client: Client, ca_file: Path | None = None, *, is_shared: bool = False
    ) -> None:
        self.registry_url = registry_url
        self.registry = registry_url.partition("://")[2]
        self.client = client
        self.namespace = client.namespace
        self.ca_file = ca_file
        self._is_shared = is_shared
        self._since = _newest_ids(client)
        self._explained: dict[Place, ExchangeDetail] = {}
        """Exchanges as they were when the rules that explain them were still there."""

    def __repr__(self) -> str:
        return f"<{self.registry_url}, namespace {self.namespace}>"

    def image(self, name: str) -> str:
        """Return the full name of an image of the test, such as `team/app:v1` or `broken/error:503`."""
        return f"{self.registry}/{self._repository(name)}"

    def random_image(self, layers: int = 1, size: int | str = 1024, seed: int | None = None) -> str:
        """Return the full name of a fabricated image with that many layers of `size` bytes."""
        seeded = "" if seed is None else f"_seed-{seed}"
        return self.image(f"broken/random:layers-{layers}_size-{size}{seeded}")

    def push(
        self, name: str, layers: Sequence[bytes] = (b"",), *, login: tuple[str, str] = ("test", "test")
    ) -> str:
        """Push an image whose layers are these bytes, and return its full name. Raise `httpx.HTTPError`.

        `login` is a name and a password, for a server that requires a login. The default is enough unless the
        server has `--auth-user`.
        """
        repository, _, tag = name.partition(":")
        repository = self._repository(repository)
        push(self.registry_url, repository, tag or "latest", layers, login, self.ca_file)
        return self.image(name)

    def rule(
        self, fault: Fault | Sequence[Fault], **fields: Unpack[RuleFields]
    ) -> AbstractContextManager[Rule]:
        """Apply a fault while a block runs: `with brokenreg.rule(faults.error(status=503), times=2): ...`.

        The other arguments are the fields of a rule, such as `match`, `times` and `skip`. At the start of the
        block, raise `UsageError` if the rule is invalid. At its end, raise `AssertionError` if the fault was
        not applied, or not as often as `times` says, unless the rule is `optional`.

        A fault of connections affects all tests that use the server. If the server is shared, raise
        `ValueError`.
        """
        rule = NewRule(fault=fault, **fields)
        is_of_connections = isinstance(fault, ConnectFault)
        if is_of_connections and self._is_shared:
            raise ValueError(f"{fault} would affect the connections of others: use a server of your own")
        namespace = "" if is_of_connections else None
        return AppliedRule(self.client, rule, self._settle, self._rule_failed, namespace)

    def exchanges(self, filter: str | None = None) -> list[Exchange]:
        """Return the exchanges of the test so far that match a filter, oldest first. Raise `ControlError`."""
        self._settle()
        return self.client.exchanges(filter, limit=_MOST)

    def expect(self, filter: str | None = None, /, **fields: Unpack[Expectation]) -> None:
        """Raise `AssertionError` if the exchanges so far do not meet an expectation.

        The arguments are the fields of an expectation: `count`, `at_least`, `at_most`, `each` and `spacing`
        with a filter, or else `order`, `leaks` or `connections`. With a filter alone, at least one exchange
        must match. Exchanges that are held do not count yet. If others are still in flight, only expectations
        that stay met are met. Raise `UsageError` if the arguments are invalid.
        """
        __tracebackhide__ = True
        if filter is not None:
            fields["filter"] = filter
        in_flight = self._settle()
        try:
            verdict = self.client.judge(fields, after=self._since)
        except ControlError as error:
            raise error.with_traceback(
                None
            ) from None  # where the client found it says nothing about the test
        if not verdict["met"]:
            got, wanted = verdict["got"], verdict["wanted"]
            raise AssertionError(f"{verdict['filter']}: got {got}, want {wanted}{self._nearest(verdict)}")
        if in_flight and fields.keys() - _FINAL:
            lines = "\n".join(map(line, in_flight))
            raise AssertionError(
                f"{verdict['filter']}: met so far, but there are exchanges in flight\n{lines}"
            )

    def report(self) -> str:
        """Return the exchanges of the test as text: what happened, and why rules were applied or not."""
        try:
            return self._report()
        except ControlError as error:
            return str(error)

    def _report(self) -> str:
        found = self.exchanges()
        shown = found[-_SHOWN:]
        omitted = len(found) - len(shown)
        lines = [f"({counted(omitted, 'earlier exchange')} omitted)"] if omitted else []
        for each in details(self.client, map(place_of, shown)):
            lines += exchange_lines(self._explained.get(place_of(each), each))
        return "\n".join(lines or self._nothing())

    def _nothing(self) -> Iterator[str]:
        return nothing_in(self.client, self._since, is_shared=self._is_shared)

    def _nearest(self, verdict: Verdict) -> str:
        """Return the exchanges nearest to an unmet verdict, as lines that follow it.

        If the test has no exchanges, they are those outside of its namespace, if any.
        """
        found = details(self.client, nearest_to(verdict))
        lines = [text for each in found for text in exchange_lines(each)]
        if lines:
            return "\n".join(["\nnearest exchanges:", *lines])
        outside = [] if self.client.exchanges(limit=1) else list(self._nothing())
        return "\n".join(["", *outside]) if len(outside) > 1 else ""

    def _rule_failed(self, verdict: Verdict) -> str:
        """Keep what became of the rules in each exchange, because the server explains only current rules."""
        newest = map(place_of, self.client.exchanges(limit=_SHOWN))
        self._explained |= {place_of(each): each for each in details(self.client, newest)}
        return self._nearest(verdict)

    def _repository(self, name: str) -> str:
        return f"broken/in/{self.namespace}/{name}"

    def _settle(self) -> list[Exchange]:
        """Wait a moment for exchanges to end, and return those that did not. Held ones are not waited for.

        A client may have read a response before its exchange ends.
        """
        deadline = time.monotonic() + _SETTLE
        while in_flight := self.client.exchanges("ended:no held:false"):
            if time.monotonic() > deadline:
                break
            time.sleep(_PAUSE)
        return in_flight


def _newest_ids(client: Client) -> str:
    """Return the id of the newest exchange, in a fleet at each replica: `1f0a93c2/17,0b12c3d4/20`."""
    status = client.status()
    if status.get("replica") is None:
        return str(status["exchanges"])
    replicas = client.status(replica="*").get("replicas", {})
    return ",".join(f"{name}/{each['exchanges']}" for name, each in replicas.items())
