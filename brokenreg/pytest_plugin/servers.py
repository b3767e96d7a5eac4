"""The server that tests use: one that is started for the session, or one that is already running."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import httpx

from brokenreg.client import Client, local_registry
from brokenreg.pytest_plugin.registry import TestRegistry

_START = 10.0
"""Seconds that a running server has to become ready."""

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared, not listened on


class TestServer:
    """Gives each test a registry in a namespace of its own. `is_shared`: others use the server, too."""

    __test__ = False  # pytest collects no tests here

    def __init__(
        self,
        registry_url: str,
        control_url: str,
        *,
        token: str | None = None,
        ca_file: Path | None = None,
        is_shared: bool = False,
    ) -> None:
        self._registry_url = registry_url
        self._control_url = control_url
        self._token = token
        self._ca_file = ca_file
        self._is_shared = is_shared
        self._prefix = f"test-{secrets.token_hex(4)}" if is_shared else "test"
        self._numbers = count(1)

    @contextmanager
    def registry_for_a_test(self) -> Iterator[TestRegistry]:
        """Yield a registry. At the end, what it holds is aborted, and its namespace is reset.

        A shared server forgets what was pushed, too. Another one soon forgets everything.
        """
        namespace = f"{self._prefix}-{next(self._numbers)}"
        with Client(self._control_url, token=self._token, namespace=namespace) as client:
            yield TestRegistry(self._registry_url, client, self._ca_file, is_shared=self._is_shared)
            client.abort_all()
            client.reset()
            if self._is_shared:
                for each in client.repositories():
                    client.delete_repository(each["name"])
            else:
                client.clear_breakpoints()  # those of a shared server may be somebody else's


@contextmanager
def server_for_tests(url: str, options: Sequence[str]) -> Iterator[TestServer]:
    """Yield the running server with the control API at `url`, or start one if `url` is empty.

    Raise `ControlError` or `NotStartedError`.
    """
    if not url:
        with local_registry(options) as started:
            yield TestServer(started.registry_url, started.control_url, ca_file=started.authority)
        return
    token = os.environ.get("BROKENREG_CONTROL_TOKEN") or None
    with Client(url, token=token) as client:
        listening = httpx.URL(client.wait(_START)["registry"][0])
        if listening.host in _EVERYWHERE:
            listening = listening.copy_with(host=httpx.URL(client.url).host)
        yield TestServer(str(listening).rstrip("/"), client.url, token=token, is_shared=True)
