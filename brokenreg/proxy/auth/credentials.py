"""The credentials of whoever runs this: found where podman and Docker keep them, when an upstream asks."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from brokenreg.oci.upstreams import DOCKER_HUB
from brokenreg.proxy.auth.credential_files import (
    CredentialFile,
    CredentialFileError,
    places,
    read_credentials,
)
from brokenreg.proxy.auth.credential_helpers import HelperError, ask_helper
from brokenreg.proxy.auth.tokens import Login
from brokenreg.wording import counted

logger = logging.getLogger(__name__)

_DOCKER_HUB_SERVER = "https://index.docker.io/v1/"
"""What Docker calls its hub before its helpers."""

_MOST_HELPERS = 8
"""Maximum number of concurrent helpers: clients choose for how many repositories they are needed."""

_MOST_TOLD = 1000
"""Maximum number of log lines that are remembered: some name the upstream, which clients choose."""


class Credentials:
    """What is found in the files that `environ` and `home` lead to, and by the helpers that they name.

    What cannot be used is left out, and told in one line of the log, once.
    """

    def __init__(self, environ: Mapping[str, str], home: Path) -> None:
        self._environ = environ
        self._places = places(environ, home)
        self._read: dict[Path, tuple[os.stat_result, CredentialFile]] = {}
        self._told: set[str] = set()
        self._turns = asyncio.Semaphore(_MOST_HELPERS)

    async def find(self, upstream: str, repository: str, tell: Callable[[str], None]) -> Login | None:
        """The login for an upstream, by its logical name, and a repository there; None if there is none.

        `tell` is given a line for each helper that failed.
        """
        for path in self._places:
            file = await asyncio.to_thread(self._file, path)
            login = await self._find_in(file, upstream, repository, tell)
            if login is not None:
                return login
        return None

    async def _find_in(
        self, file: CredentialFile, upstream: str, repository: str, tell: Callable[[str], None]
    ) -> Login | None:
        login = await self._ask(file.helpers.get(upstream), upstream, tell)
        login = login or file.login(upstream, repository)
        return login or await self._ask(file.store, upstream, tell)

    async def _ask(self, helper: str | None, upstream: str, tell: Callable[[str], None]) -> Login | None:
        if helper is None:
            return None
        servers = [_DOCKER_HUB_SERVER, DOCKER_HUB] if upstream == DOCKER_HUB else [upstream]
        for server in servers:
            try:
                async with self._turns:
                    login = await ask_helper(helper, server, self._environ)
            except HelperError as error:
                tell(str(error))
                self._tell(f"no credentials of a helper: {error}")
                return None
            if login is not None:
                return login
        return None

    def _file(self, path: Path) -> CredentialFile:
        """As it stands there now; read again only if it has changed."""
        try:
            now = path.stat()
            before, file = self._read.get(path, (None, CredentialFile()))
            if before is not None and _is_same(before, now):
                return file
            file = self._load(path)
        except (FileNotFoundError, NotADirectoryError):
            return CredentialFile()
        except OSError as error:
            self._tell(f"no credentials of {path}: {error.strerror}")
            return CredentialFile()
        self._read[path] = now, file
        return file

    def _load(self, path: Path) -> CredentialFile:
        try:
            file = read_credentials(path)
        except CredentialFileError as error:
            self._tell(f"no credentials of {path}: it {error}")
            return CredentialFile()
        if file.malformed:
            self._tell(f"{path}: left out {counted(file.malformed, 'entry', 'entries')} without credentials")
        return file

    def _tell(self, line: str) -> None:
        if line not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(line)
            logger.warning("%s", line)


def _is_same(before: os.stat_result, now: os.stat_result) -> bool:
    return (before.st_mtime_ns, before.st_size, before.st_ino) == (now.st_mtime_ns, now.st_size, now.st_ino)
