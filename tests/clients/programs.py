"""Programs that tests run: found, run with a deadline, started as daemons and stopped by pid."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

DEADLINE = 60.0
"""Seconds that one command may take. Each needs well under one; a hang is what this is for."""

_DAEMON_DEADLINE = 30.0


def need(*programs: str, module: str = "", root: bool = False) -> None:
    """Skip the test if a program is missing. With BROKENREG_REQUIRE_CLIENTS=1, fail it."""
    reason = missing(*programs, module=module, root=root)
    if not reason:
        return
    if os.environ.get("BROKENREG_REQUIRE_CLIENTS") == "1":
        pytest.fail(f"{reason}, and BROKENREG_REQUIRE_CLIENTS=1 demands it", pytrace=False)
    pytest.skip(reason)


def missing(*programs: str, module: str = "", root: bool = False) -> str:
    """Return what is missing in one line, or "" if nothing is missing."""
    found = [f"{name} is not installed" for name in programs if not shutil.which(name, path=search_path())]
    if module and importlib.util.find_spec(module) is None:
        found.append(f"the Python package {module} is not installed")
    if root and os.geteuid() != 0:
        found.append(f"{programs[0]} needs root here")
    return ", ".join(found)


def search_path() -> str:
    """Return PATH with the folders of daemons, which a user's PATH may not contain."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def attempt(
    *command: str | Path, env: Mapping[str, str] | None = None, deadline: float = DEADLINE
) -> subprocess.CompletedProcess[bytes]:
    """Run a program until it ends, with any status. Raise `AssertionError` if it does not end in time."""
    words = [str(word) for word in command]
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    try:
        stdout, stderr = process.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        process.kill()
        done = subprocess.CompletedProcess(words, -1, *process.communicate())
        raise AssertionError(f"not done in {deadline:.0f} s: {_transcript(done)}") from None
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)


def run(*command: str | Path, env: Mapping[str, str] | None = None, deadline: float = DEADLINE) -> bytes:
    """Run a program and return its standard output. Raise `AssertionError` with its output if it fails."""
    done = attempt(*command, env=env, deadline=deadline)
    if done.returncode != 0:
        raise AssertionError(f"status {done.returncode}: {_transcript(done)}")
    return done.stdout


def _transcript(done: subprocess.CompletedProcess[bytes]) -> str:
    return f"{' '.join(done.args)}\n{(done.stdout + done.stderr).decode(errors='replace')}"


@contextmanager
def daemon(
    command: list[str], *, log: Path, env: Mapping[str, str], ready: Callable[[], bool]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process within the block, which begins when it is ready. Wait for its end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        until = time.monotonic() + _DAEMON_DEADLINE
        while not ready():
            if process.poll() is not None:
                raise AssertionError(
                    f"{command[0]} ended with {process.returncode}:\n{log.read_text()[-4000:]}"
                )
            if time.monotonic() > until:
                raise AssertionError(f"{command[0]} is not ready:\n{log.read_text()[-4000:]}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=_DAEMON_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=_DAEMON_DEADLINE)


def unmount_below(folder: Path) -> list[str]:
    """Unmount file systems at or below a folder, the deepest first, and return them."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    left = sorted((point for point in mounted if Path(point).is_relative_to(folder)), reverse=True)
    for point in left:
        subprocess.run(["umount", "--lazy", point], check=False)
    return left
