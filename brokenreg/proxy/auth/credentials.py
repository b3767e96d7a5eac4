"""Finds the credentials of podman and Docker on this machine."""

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
    credential_paths,
    read_credentials,
)
from brokenreg.proxy.auth.credential_helpers import HelperError, ask_helper
from brokenreg.proxy.auth.tokens import Login
from brokenreg.wording import counted

logger = logging.getLogger(__name__)

_DOCKER_HUB_SERVER = "https://index.docker.io/v1/"
"""Docker Hub's name in Docker's credential helpers."""

_MAX_HELPERS = 8
"""Maximum number of concurrent helpers: clients choose how many upstreams need credentials."""

_MAX_LOGGED = 1000
"""Maximum number of log lines that are remembered: some contain the upstream, which clients choose."""


class CredentialFinder:
    """Finds credentials in the files that `environ` and `home` lead to, and with the helpers named in them.

    Files and helpers that cannot be used are ignored, and logged once.
    """

    def __init__(self, environ: Mapping[str, str], home: Path) -> None:
        self._environ = environ
        self._paths = credential_paths(environ, home)
        self._read: dict[Path, tuple[os.stat_result, CredentialFile]] = {}
        self._logged: set[str] = set()
        self._slots = asyncio.Semaphore(_MAX_HELPERS)

    async def find(self, upstream: str, repository: str, report: Callable[[str], None]) -> Login | None:
        """Return the login for an upstream and a repository there, or None if there is none.

        `upstream` is a logical name. `report` gets a line for each helper that failed.
        """
        for path in self._paths:
            file = await asyncio.to_thread(self._file, path)
            login = await self._find_in(file, upstream, repository, report)
            if login is not None:
                return login
        return None

    async def _find_in(
        self, file: CredentialFile, upstream: str, repository: str, report: Callable[[str], None]
    ) -> Login | None:
        login = await self._ask_helper(file.helpers.get(upstream), upstream, report)
        login = login or file.login(upstream, repository)
        return login or await self._ask_helper(file.store, upstream, report)

    async def _ask_helper(
        self, helper: str | None, upstream: str, report: Callable[[str], None]
    ) -> Login | None:
        if helper is None:
            return None
        servers = [_DOCKER_HUB_SERVER, DOCKER_HUB] if upstream == DOCKER_HUB else [upstream]
        for server in servers:
            try:
                async with self._slots:
                    login = await ask_helper(helper, server, self._environ)
            except HelperError as error:
                report(str(error))
                self._log_once(f"cannot use a credential helper: {error}")
                return None
            if login is not None:
                return login
        return None

    def _file(self, path: Path) -> CredentialFile:
        """Return the file at `path`. It is read again only if it has changed."""
        try:
            now = path.stat()
            before, file = self._read.get(path, (None, CredentialFile()))
            if before is not None and _is_same(before, now):
                return file
            file = self._load(path)
        except (FileNotFoundError, NotADirectoryError):
            return CredentialFile()
        except OSError as error:
            self._log_once(f"cannot read credentials from {path}: {error.strerror}")
            return CredentialFile()
        self._read[path] = now, file
        return file

    def _load(self, path: Path) -> CredentialFile:
        try:
            file = read_credentials(path)
        except CredentialFileError as error:
            self._log_once(f"cannot read credentials from {path}: it {error}")
            return CredentialFile()
        if file.malformed:
            self._log_once(
                f"{path}: ignored {counted(file.malformed, 'entry', 'entries')} without valid credentials"
            )
        return file

    def _log_once(self, line: str) -> None:
        if line not in self._logged and len(self._logged) < _MAX_LOGGED:
            self._logged.add(line)
            logger.warning("%s", line)


def _is_same(before: os.stat_result, now: os.stat_result) -> bool:
    return (before.st_mtime_ns, before.st_size, before.st_ino) == (now.st_mtime_ns, now.st_size, now.st_ino)
