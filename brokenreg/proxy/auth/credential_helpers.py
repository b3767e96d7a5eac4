"""Runs credential helpers: `docker-credential-NAME get` reads a host and writes JSON."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
from collections.abc import Mapping

from brokenreg.proxy.auth.tokens import Login

_NAME = re.compile(r"[a-z0-9-]+")
_TIMEOUT = 10.0
"""Seconds that a helper may run."""

_MAX_OUTPUT = 64 * 1024
"""Maximum size of a helper's output, in bytes."""

_NOT_FOUND = b"credentials not found"
_IDENTITY = "<token>"
"""The user name that marks the secret as an identity token."""


class HelperError(Exception):
    """A helper failed. The message does not quote its output."""


async def ask_helper(
    name: str, server: str, environ: Mapping[str, str], limit: float = _TIMEOUT
) -> Login | None:
    """Return the login for `server` from a helper, or None if it has none. Raise `HelperError`."""
    if not _NAME.fullmatch(name):
        raise HelperError("invalid name of a credential helper: use a-z, 0-9 and hyphens")
    program = shutil.which(f"docker-credential-{name}", path=environ.get("PATH", os.defpath))
    if program is None:
        raise HelperError(f"docker-credential-{name} is not in PATH")
    try:
        async with asyncio.timeout(limit):
            status, output = await _run(program, server, environ)
    except TimeoutError:
        raise HelperError(f"docker-credential-{name} took more than {limit:g} s") from None
    except OSError as error:
        raise HelperError(f"docker-credential-{name} cannot be run: {error.strerror}") from None
    if status != 0:
        if _NOT_FOUND in output:
            return None
        raise HelperError(f"docker-credential-{name} ended with status {status}")
    return _read(name, output)


def _read(name: str, output: bytes) -> Login | None:
    try:
        document = json.loads(output)
        user, secret = document.get("Username", ""), document.get("Secret", "")
    except (ValueError, AttributeError, RecursionError):
        raise HelperError(f"docker-credential-{name} did not print JSON") from None
    if not (isinstance(user, str) and isinstance(secret, str) and secret):
        return None
    return Login(identity=secret) if user == _IDENTITY else Login(user, secret)


async def _run(program: str, server: str, environ: Mapping[str, str]) -> tuple[int, bytes]:
    """Run a helper and return its status and standard output.

    The helper and all processes that it started end with this call. Raise `HelperError` for too much output.
    """
    process = await asyncio.create_subprocess_exec(
        program,
        "get",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=dict(environ),
        start_new_session=True,
        limit=_MAX_OUTPUT,
    )
    assert process.stdin is not None  # noqa: S101 - for the type checker
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(server.encode())
        process.stdin.close()
        output = await _read_all(program, process.stdout)
        await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            # With a full buffer, reading is paused, and `wait` would never notice the end of the pipe.
            while await process.stdout.read(_MAX_OUTPUT):
                pass
            await process.wait()
    return await process.wait(), output


async def _read_all(program: str, stream: asyncio.StreamReader) -> bytes:
    """Read the output to its end, with a limit. `communicate` has none."""
    output = bytearray()
    while chunk := await stream.read(_MAX_OUTPUT):
        output += chunk
        if len(output) > _MAX_OUTPUT:
            raise HelperError(f"{os.path.basename(program)} printed more than {_MAX_OUTPUT} bytes")
    return bytes(output)
