"""One run of the client against one scenario, in a namespace of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from brokenreg import __version__
from brokenreg.client import AsyncClient, ControlError
from brokenreg.client.documents import Exchange
from brokenreg.client.request_documents import Expectation
from brokenreg.concurrency import in_own_thread, shielded
from brokenreg.exam.client_process import ClientProcess, ClientResult, client_process
from brokenreg.exam.details import fetch_details, fetch_rules
from brokenreg.exam.exchange_numbers import ExchangeNumbers, number_of
from brokenreg.exam.intact import intact_verdict
from brokenreg.exam.judging import (
    client_verdicts,
    in_flight_verdicts,
    request_verdict,
    silence_verdicts,
    verdict_of,
)
from brokenreg.exam.options import RunOptions
from brokenreg.exam.placeholders import Values
from brokenreg.exam.pushed import pushed_verdict
from brokenreg.exam.referred import push_referred
from brokenreg.exam.registry_variables import with_variables
from brokenreg.exam.report import EXCHANGES, OUTPUT, RunReport, Verdict
from brokenreg.exam.results import RunResult
from brokenreg.exam.run_values import RunningRegistry, digest_namespace, values_of_run
from brokenreg.exam.secrets_of_runs import without_secrets
from brokenreg.exam.tasks import Task, redacted, repeat_line
from brokenreg.redaction import REDACTED, redact_text

_SETTLE = 2.0
_PAUSE = 0.005
"""Seconds that exchanges have to end once the client has ended, and between two looks."""

_CLEANUP = 60.0
"""Seconds that a command has to remove what a client keeps."""

_FORGET = 1.0
"""Seconds that a shared registry has to forget a run."""


_NO_LEAK_ELSEWHERE: Expectation = {"name": "no credential leaks outside of its namespace", "leaks": 0}


class Run:
    """A client, a scenario and a fresh namespace."""

    def __init__(
        self, task: Task, options: RunOptions, registry: RunningRegistry, client: ClientProcess
    ) -> None:
        self._task = task
        self._options = options
        self._registry = registry
        self._client = client
        self._namespace = f"run-{secrets.token_hex(6)}"
        seeds = (options.seed, task.scenario.seed, secrets.randbelow(10**6))
        self._seed = next(each for each in seeds if each is not None)
        self._secrets = [options.token] if options.token else []

    async def result(self) -> RunResult:
        """Run the client, and return what it did. Raise `RunError` or `ControlError`."""
        url, token, namespace = self._registry.control_url, self._options.token, self._namespace
        async with AsyncClient(url, token=token, namespace=namespace) as control:
            try:
                return await self._result(control)
            finally:
                if self._options.is_shared:  # our own registry ends soon
                    await shielded(_forget(control, namespace, digest_namespace(namespace)))

    async def _result(self, control: AsyncClient) -> RunResult:
        options = self._options
        values = await self._prepare(control)
        filled, environment = values.fill(options.command), values.environment(os.environ)
        started = time.time()
        client = await self._client.run(filled, environment, options.timeout)
        in_flight = await _settled(control)
        own, elsewhere, judged, har = await asyncio.gather(
            control.exchanges(limit=EXCHANGES),
            self._elsewhere(control),
            self._judged(control),
            self._har(control),
        )
        numbers = ExchangeNumbers()
        for each in (own, elsewhere, in_flight):
            numbers.add(each)
        verdicts = [
            *in_flight_verdicts(in_flight),
            *self._request_verdicts(own, elsewhere),
            *(verdict_of(numbers.add_nearest(each), own if is_own else elsewhere) for each, is_own in judged),
            *self._client_verdicts(client),
            *await self._intact_verdicts(control, Path(values.workdir), client, own, numbers),
        ]
        rules = await fetch_rules(control) if options.with_details else {}
        if self._task.pushes:
            await control.load_scenario("rules: []")  # our own requests must not fail
            verdicts.append(
                await pushed_verdict(
                    self._registry.registry_url, values.repository, values.tag, values.ca_file, client.status
                )
            )
        if options.cleanup:
            await _clean_up(values.fill(options.cleanup), environment)
        exchanges = sorted([*elsewhere, *own], key=number_of)
        details = await fetch_details(control, exchanges, verdicts) if options.with_details else ()
        report = RunReport(
            version=__version__,
            scenario=self._task.name,
            seed=self._seed,
            started=started,
            duration=client.duration,
            command=redacted(options.command),
            repeat=self._repeat(),
            exit=client.status,
            verdicts=tuple(verdicts),
            exchanges=tuple(exchanges),
            output=self._without_secrets(client.output[-OUTPUT:]),
            details=details,
            rules=rules,
        )
        return without_secrets(RunResult(report, client.output, client.dropped, har), self._secrets)

    def _repeat(self) -> str:
        options = self._options
        line = repeat_line(options.command, self._task, self._seed, options.repeated)
        return line if options.is_shared else with_variables(line, os.environ)

    async def _prepare(self, control: AsyncClient) -> Values:
        """Load the scenario, and return the values. Rules for everyone belong to no namespace."""
        task, seed = self._task, self._seed
        await self._forget_the_run_before(control)
        if task.has_referrers:
            repository, _, _ = task.image.partition(":")
            in_namespace = f"broken/in/{self._namespace}/{repository}"
            await push_referred(self._registry.registry_url, in_namespace, seed)
            await control.reset()  # our own requests do not count
        values, _ = await asyncio.gather(
            self._values(),
            control.load_scenario(task.text(seed, for_everyone=False)),
        )
        self._secrets.append(values.password)
        if task.has_rules_for_everyone:
            await control.load_scenario(task.text(seed, for_everyone=True), namespace="")
        return values

    async def _values(self) -> Values:
        command, folder = self._options.command, self._client.folder
        return await values_of_run(self._task, command, self._registry, self._namespace, folder, self._seed)

    async def _forget_the_run_before(self, control: AsyncClient) -> None:
        """Remove what belongs to no namespace. On a shared registry, it belongs to others."""
        if not self._options.is_shared:
            await control.reset(namespace="")

    async def _elsewhere(self, control: AsyncClient) -> list[Exchange]:
        """Return the exchanges without a namespace. On a shared registry, they are those of others."""
        return [] if self._options.is_shared else await control.exchanges(namespace="", limit=EXCHANGES)

    async def _judged(self, control: AsyncClient) -> list[tuple[Any, bool]]:
        """Return the verdicts of the server, and whether each one is about the namespace of the run."""
        own = [(each, True) for each in await control.verdicts()]
        if self._task.has_rules_for_everyone:
            own += [(each, False) for each in await control.verdicts(namespace="")]
        if not self._options.is_shared and any(each.leaks is not None for each in self._task.scenario.expect):
            elsewhere = await control.judge(_NO_LEAK_ELSEWHERE, namespace="")
            own += [] if elsewhere["met"] else [(elsewhere, False)]
        return own

    async def _har(self, control: AsyncClient) -> dict[str, Any] | None:
        return await control.har() if self._options.with_har else None

    def _request_verdicts(self, own: list[Exchange], elsewhere: list[Exchange]) -> Iterator[Verdict]:
        if self._task.scenario.requests is None:
            counted = elsewhere if self._task.has_rules_for_everyone else []
            asked = [*own, *(each for each in counted if each["endpoint"] == "connect")]
            has_tls = self._registry.registry_url.startswith("https:")
            yield request_verdict(asked, elsewhere, self._namespace, has_tls=has_tls)
        else:
            yield from silence_verdicts(elsewhere)

    def _client_verdicts(self, client: ClientResult) -> Iterator[Verdict]:
        for each in client_verdicts(self._task.client, client, self._options.timeout):
            yield replace(each, got=self._without_secrets(each.got))

    async def _intact_verdicts(
        self,
        control: AsyncClient,
        workdir: Path,
        client: ClientResult,
        own: list[Exchange],
        numbers: ExchangeNumbers,
    ) -> list[Verdict]:
        if not self._task.client.intact:
            return []
        with_wrong_bytes = await control.exchanges("wrong-bytes:true", limit=EXCHANGES)
        numbers.add(with_wrong_bytes)
        may_fail = self._task.client.exit != "0"
        judge = partial(intact_verdict, workdir, client.status, own, with_wrong_bytes, may_fail=may_fail)
        return [await in_own_thread(judge, "verification of the copy")]

    def _without_secrets(self, text: str) -> str:
        for each in self._secrets:
            text = text.replace(each, REDACTED)
        return redact_text(text)


async def _forget(control: AsyncClient, *namespaces: str) -> None:
    """Reset namespaces of a shared registry, if it still responds."""
    with contextlib.suppress(ControlError, TimeoutError):
        async with asyncio.timeout(_FORGET):
            await asyncio.gather(*map(control.reset, namespaces))


async def _clean_up(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run the command that removes what the client keeps. It may fail: perhaps there is nothing."""
    async with client_process(passes_on=False) as process:
        await process.run(command, environment, _CLEANUP)


async def _settled(control: AsyncClient) -> list[Exchange]:
    """Wait a moment for exchanges to end after the client, and return those that did not."""
    deadline = time.monotonic() + _SETTLE
    while True:
        left = await control.exchanges("ended:no")
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(_PAUSE)
