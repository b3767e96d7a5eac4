"""One run of the client against one scenario, in a namespace of its own."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from brokenreg import __version__
from brokenreg.client import Client
from brokenreg.client.documents import Exchange
from brokenreg.exam.client_process import ClientResult, run_client
from brokenreg.exam.errors import RunError
from brokenreg.exam.intact import intact_verdict
from brokenreg.exam.judging import client_verdicts, in_flight_verdicts, request_verdict, verdict_of
from brokenreg.exam.placeholders import Values, uses, write_auth_file, write_ca_file
from brokenreg.exam.report import EXCHANGES, OUTPUT, RunReport, Verdict
from brokenreg.exam.stop_signals import StopSignals
from brokenreg.exam.tasks import Task, redacted, repeat_line
from brokenreg.redaction import REDACTED, redact_text

_SETTLE = 2.0
_PAUSE = 0.005
"""Seconds that exchanges have to end once the client has ended, and between two looks."""

_DIGEST_TIME = 30.0
_MANIFESTS = ", ".join(
    (
        *("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"),
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)


@dataclass(frozen=True, slots=True)
class RunningRegistry:
    """Where a registry and its control API are. `authority` is the file of its CA, if it made one."""

    registry_url: str
    control_url: str
    authority: Path | None = None


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What all runs of a command line have in common. `shared` says that others use the registry, too."""

    command: tuple[str, ...]
    timeout: float
    seed: int | None
    token: str | None
    shared: bool
    repeat: tuple[str, ...]
    """The options of the command line that repeats a run."""


class Run:
    """A client, a scenario and a fresh namespace."""

    def __init__(
        self, task: Task, options: RunOptions, registry: RunningRegistry, signals: StopSignals
    ) -> None:
        self._task = task
        self._options = options
        self._registry = registry
        self._signals = signals
        self._namespace = f"run-{secrets.token_hex(6)}"
        seeds = (options.seed, task.scenario.seed, secrets.randbelow(10**6))
        self._seed = next(each for each in seeds if each is not None)
        self._secrets = [options.token] if options.token else []
        self.har: dict[str, Any] | None = None

    def report(self, *, with_har: bool) -> RunReport:
        """Run the client, and return what it did. Raise `RunError` or `ControlError`."""
        url, token = self._registry.control_url, self._options.token
        with (
            Client(url, token=token, namespace=self._namespace) as control,
            tempfile.TemporaryDirectory(prefix="brokenreg-client-", ignore_cleanup_errors=True) as folder,
        ):
            try:
                return self._reported(control, Path(folder), with_har)
            finally:
                control.reset()

    def _reported(self, control: Client, folder: Path, with_har: bool) -> RunReport:
        options, started = self._options, time.time()
        values = self._values(control, folder)
        with self._scenario(control):
            result = run_client(
                values.fill(options.command), values.environment(os.environ), options.timeout, self._signals
            )
            in_flight = self._settle(control)
            exchanges = control.exchanges(limit=EXCHANGES)
            elsewhere = [] if options.shared else control.exchanges(namespace="", limit=EXCHANGES)
            workdir = Path(values.workdir)
            verdicts = (
                *in_flight_verdicts(in_flight),
                *self._verdicts(control, workdir, result, exchanges, elsewhere),
            )
        self.har = control.har() if with_har else None
        return RunReport(
            version=__version__,
            scenario=self._task.name,
            seed=self._seed,
            started=started,
            duration=result.duration,
            command=redacted(options.command),
            repeat=repeat_line(options.command, self._task, self._seed, options.repeat),
            exit=result.status,
            verdicts=verdicts,
            exchanges=tuple(sorted([*elsewhere, *exchanges], key=lambda each: each["id"])),
            output=self._without_secrets(result.output[-OUTPUT:]),
        )

    def _verdicts(
        self,
        control: Client,
        workdir: Path,
        result: ClientResult,
        own: list[Exchange],
        elsewhere: list[Exchange],
    ) -> Iterator[Verdict]:
        scenario = self._task.scenario
        if scenario.requests is None:
            counted = elsewhere if self._task.has_connection_rules else []
            asked = [*own, *(each for each in counted if each["endpoint"] == "connect")]
            yield request_verdict(asked, elsewhere, self._namespace)
        yield from (verdict_of(each, own) for each in control.verdicts())
        if self._task.has_connection_rules:
            yield from (verdict_of(each, elsewhere) for each in control.verdicts(namespace=""))
        for each in client_verdicts(self._task.client, result, self._options.timeout):
            yield replace(each, got=self._without_secrets(each.got))
        if self._task.client.intact:
            with_wrong_bytes = control.exchanges("wrong-bytes:true", limit=EXCHANGES)
            yield intact_verdict(workdir, result.status, own, with_wrong_bytes)

    @contextmanager
    def _scenario(self, control: Client) -> Iterator[None]:
        """Load the scenario. Rules for connections belong to no namespace."""
        control.load_scenario(self._task.text(self._seed, of_connections=False))
        if not self._options.shared:
            control.reset(namespace="")
        if not self._task.has_connection_rules:
            yield
            return
        control.load_scenario(self._task.text(self._seed, of_connections=True), namespace="")
        try:
            yield
        finally:
            control.clear_rules(namespace="")

    def _values(self, control: Client, folder: Path) -> Values:
        registry = self._registry.registry_url.partition("://")[2]
        name = f"broken/in/{self._namespace}/{self._task.image}"
        repository, tag = _split(name)
        username, password = _credentials()
        self._secrets.append(password)
        workdir, config = folder / "work", folder / "config"
        workdir.mkdir()
        config.mkdir(mode=0o700)
        ca_file = write_ca_file(config, self._registry.authority)
        is_needed = uses(self._options.command, "digest") or self._task.image.startswith("broken/random:")
        return Values(
            registry=registry,
            registry_url=self._registry.registry_url,
            control_url=self._registry.control_url,
            image=f"{registry}/{name}",
            repository=repository,
            tag=tag,
            digest=self._digest(control, ca_file) if is_needed else "",
            workdir=str(workdir),
            username=username,
            password=password,
            auth_file=str(write_auth_file(config, registry, username, password)),
            ca_file=str(ca_file),
        )

    def _digest(self, control: Client, ca_file: Path) -> str:
        """Return the digest of the image, by a request in a namespace that is not judged."""
        namespace = f"{self._namespace}-digest"
        repository, reference = _split(f"broken/in/{namespace}/{self._task.image}")
        if reference.startswith("sha256:"):
            return reference
        url = f"{self._registry.registry_url}/v2/{repository}/manifests/{reference}"
        verify: bool | str = str(ca_file) if url.startswith("https:") else False
        try:
            head = httpx.head(
                url, headers={"accept": _MANIFESTS}, timeout=_DIGEST_TIME, verify=verify, trust_env=False
            )
        except httpx.HTTPError as error:
            raise RunError(f"the digest of the image is unknown: {error}") from None
        finally:
            control.reset(namespace=namespace)
        digest = head.headers.get("docker-content-digest", "") if head.is_success else ""
        if not digest and uses(self._options.command, "digest"):
            raise RunError(f"{{digest}}: the registry has none for {repository} (status {head.status_code})")
        return str(digest)

    def _settle(self, control: Client) -> list[Exchange]:
        """Wait a moment for exchanges to end after the client, and return those that did not."""
        deadline = time.monotonic() + _SETTLE
        while (left := control.exchanges("ended:no")) and time.monotonic() < deadline:
            self._signals.wait(_PAUSE)
        return left

    def _without_secrets(self, text: str) -> str:
        for each in self._secrets:
            text = text.replace(each, REDACTED)
        return redact_text(text)


def _credentials() -> tuple[str, str]:
    """Return the first user that the registry knows, or a name and a password that it accepts as any."""
    users = os.environ.get("BROKENREG_AUTH_USER", "").split()
    name, _, password = users[0].partition(":") if users else ("brokenreg", "", secrets.token_hex(16))
    return name, password


def _split(image: str) -> tuple[str, str]:
    """Return the repository and the reference of an image without a host."""
    if "@" in image:
        repository, _, reference = image.partition("@")
    else:
        repository, _, reference = image.rpartition(":")
    return repository, reference


def merged_har(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the exchanges of several runs as one HAR document."""
    first = parts[0]["log"]
    return {"log": {**first, "entries": [entry for each in parts for entry in each["log"]["entries"]]}}
