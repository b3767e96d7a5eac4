"""What a test gets from the fixture `brokenreg`: a registry in a namespace of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, cast

from brokenreg.client import Client, ControlError, LocalRegistry
from brokenreg.client.documents import Exchange, Rule
from brokenreg.client.exchange_text import line
from brokenreg.client.request_documents import NewRule
from brokenreg.pytest_plugin.pushing import push
from brokenreg.wording import counted

_MOST = 10_000
"""Maximum number of exchanges that an expectation counts, which is that of the control API."""

_SHOWN = 50
"""Maximum number of exchanges in the report of a failed test."""

_SETTLE = 1.0
_PAUSE = 0.01
"""Seconds that an exchange has to end after its client has read the response, and between two looks."""


_OF_RULE = ("times", "skip", "probability", "per", "name")
"""The fields of a rule that are options of `TestRegistry.rule`; all others are parameters of the fault."""


_NUMBERS = count(1)
"""The numbers of the namespaces of this process, whose server no other process uses."""


@contextmanager
def registry_for_a_test(server: LocalRegistry) -> Iterator[TestRegistry]:
    """Yield a registry in a namespace of its own, which is reset at the end."""
    with Client(server.control_url, namespace=f"test-{next(_NUMBERS)}") as client:
        yield TestRegistry(server.host, client)
        client.reset()


class TestRegistry:
    """A registry for one test.

    `registry` is its HOST:PORT, `namespace` that of the test, and `client` the client of the control API.
    """

    __test__ = False  # pytest collects no tests here

    def __init__(self, registry: str, client: Client) -> None:
        self.registry = registry
        self.registry_url = f"http://{registry}"
        self.client = client
        self.namespace = client.namespace

    def image(self, name: str) -> str:
        """Return the full name of an image of the test, such as `team/app:v1` or `broken/error:503`."""
        return f"{self.registry}/{self._repository(name)}"

    def random_image(self, layers: int = 1, size: int | str = 1024, seed: int | None = None) -> str:
        """Return the full name of a fabricated image with that many layers of `size` bytes."""
        seeded = "" if seed is None else f"_seed-{seed}"
        return self.image(f"broken/random:layers-{layers}_size-{size}{seeded}")

    def push(self, name: str, layers: Sequence[bytes] = (b"",)) -> str:
        """Push an image whose layers are these bytes, and return its full name."""
        repository, _, tag = name.partition(":")
        push(self.registry_url, self._repository(repository), tag or "latest", layers)
        return self.image(name)

    @contextmanager
    def rule(
        self, fault: str, /, *, match: Mapping[str, Any] | None = None, optional: bool = False, **options: Any
    ) -> Iterator[Rule]:
        """Apply a fault while a block runs: `rule("error", status=503, match={"endpoint": "manifest"})`.

        `times`, `skip`, `probability`, `per` and `name` are those of a rule; other options are parameters of
        the fault. Raise `AssertionError` at the end if the fault was not applied, or not as often as `times`
        says, unless the rule is optional.
        """
        own: dict[str, Any] = {key: options.pop(key) for key in _OF_RULE if key in options}
        parameters = {"type": fault, **options}
        rule = {"fault": parameters, "match": dict(match or {}), **own}
        added = self.client.add_rule(cast(NewRule, rule))
        try:
            yield added
            self._settle()
            applied = next(each["applied"] for each in self.client.rules() if each["id"] == added["id"])
        finally:
            self.client.remove_rule(added["id"])
        wanted = own.get("times", 1)
        if applied < wanted and not optional:
            raise AssertionError(
                f"the rule {own.get('name', fault)} was applied {counted(applied, 'time')}, "
                f"want {counted(wanted, 'time')}"
            )

    def exchanges(self, filter: str | None = None) -> list[Exchange]:
        """Return the exchanges of the test so far that match a filter, oldest first."""
        self._settle()
        return self.client.exchanges(filter, limit=_MOST)

    def expect(
        self,
        filter: str,
        *,
        count: int | None = None,
        at_least: int | None = None,
        at_most: int | None = None,
    ) -> None:
        """Raise `AssertionError` if not that many exchanges match. Without a number, at least one must."""
        if count is not None and (at_least is not None or at_most is not None):
            raise TypeError("count excludes at_least and at_most")
        if count is at_least is at_most is None:
            at_least = 1
        got = len(self.exchanges(filter))
        wants = {"exactly": count, "at least": at_least, "at most": at_most}
        is_met = (
            (count is None or got == count)
            and (at_least is None or got >= at_least)
            and (at_most is None or got <= at_most)
        )
        if not is_met:
            want = ", ".join(f"{word} {number}" for word, number in wants.items() if number is not None)
            raise AssertionError(f"{filter}: got {got}, want {want}")

    def report(self) -> str:
        """Return the exchanges of the test as text, one line for each."""
        try:
            found = self.exchanges()
        except ControlError as error:
            return str(error)
        omitted = len(found) - _SHOWN
        lines = [f"({counted(omitted, 'earlier exchange')} omitted)"] if omitted > 0 else []
        return "\n".join([*lines, *map(line, found[-_SHOWN:])]) or "no exchanges: the client sent no request"

    def _repository(self, name: str) -> str:
        return f"broken/in/{self.namespace}/{name}"

    def _settle(self) -> None:
        """Wait a moment for exchanges to end: their clients may have read the response before."""
        deadline = time.monotonic() + _SETTLE
        while any(not each["held"] for each in self.client.exchanges("ended:no")):
            if time.monotonic() > deadline:
                return
            time.sleep(_PAUSE)
