"""Measures the time until an installed brokenreg is ready, compared with a bare Python."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_PYTHON = (sys.executable, "-c")
_RUN = "from brokenreg.cli.main import main; main()"
_GOALS = {"ready, new data": 0.370, "--help": 0.100}


class Start(NamedTuple):
    """Seconds and CPU seconds from the start of a process."""

    passed: float
    cpu: float


def measure(folder: Path, rounds: int) -> dict[str, list[Start]]:
    """Measure each kind of start, alternating between them."""
    environment = _installed(folder / "installed")
    kinds: dict[str, Callable[[Path], Start]] = {
        "ready, new data": lambda data: _until_ready(data, environment),
        "ready, existing data": lambda _: _until_ready(folder / "existing", environment),
        "--help": lambda _: _until_ended([*_PYTHON, _RUN, "--help"], environment),
        "serve --help": lambda _: _until_ended([*_PYTHON, _RUN, "serve", "--help"], environment),
        "Python alone": lambda _: _until_ended([*_PYTHON, "pass"], environment),
    }
    _until_ready(folder / "existing", environment)
    starts: dict[str, list[Start]] = {kind: [] for kind in kinds}
    for number in range(rounds):
        for kind, start in kinds.items():
            data = folder / f"data-{number}"
            starts[kind].append(start(data))
            shutil.rmtree(data, ignore_errors=True)
    return starts


def report(starts: Mapping[str, list[Start]]) -> Iterator[tuple[str, str, str, str]]:
    """Yield rows of (kind, median, CPU, goal)."""
    for kind, each in starts.items():
        passed, cpu = (statistics.median(values) * 1000 for values in zip(*each, strict=True))
        goal = f"<= {_GOALS[kind] * 1000:.0f} ms" if kind in _GOALS else ""
        yield kind, f"{passed:.0f} ms", f"{cpu:.0f} ms", goal


def _installed(target: Path) -> dict[str, str]:
    """Install brokenreg without dependencies, and return an environment that uses this installation."""
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), "."]
    subprocess.run(install, check=True)
    environment = {**os.environ, "PYTHONPATH": str(target)}
    environment.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # from the second start on, dependencies also have bytecode
    return environment


def _until_ready(data: Path, environment: Mapping[str, str]) -> Start:
    command = [*_PYTHON, _RUN, "serve", "--headless", "--offline", "--data", str(data)]
    command += ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        start = Start(time.perf_counter() - began, _cpu(process.pid))
        process.send_signal(signal.SIGTERM)
    assert json.loads(line)["event"] == "ready"
    return start


def _until_ended(command: list[str], environment: Mapping[str, str]) -> Start:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    passed, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Start(passed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _cpu(process: int) -> float:
    """Return the seconds of CPU that all threads of a process have used."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
