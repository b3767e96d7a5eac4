"""A PostgreSQL server for measurements and tests: Debian's, in a temporary folder.

`python -m bench.postgresql PORT` runs one until it is stopped.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 30.0


def programs() -> Path:
    """Return the folder of the newest server's programs. Raise `FileNotFoundError` without one."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parents[1].name)
    )
    if not found:
        raise FileNotFoundError("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent


class PostgreSQLServer:
    """A server in a folder. It can be stopped, started again and frozen."""

    def __init__(self, folder: Path, port: int, *, fsync: bool) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._fsync = fsync
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://brokenreg:a-secret@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make the folder of the server. The user `brokenreg` has the password of `url`."""
        password = self._folder / "password"
        password.write_text("a-secret")
        password.chmod(0o644)
        options = ["-U", "brokenreg", "-A", "scram-sha-256", "--pwfile", str(password), "-E", "UTF8", "-N"]
        subprocess.run(
            [
                *_unprivileged(),
                str(programs() / "initdb"),
                "-D",
                str(self._data),
                "--locale=C.UTF-8",
                *options,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,  # the user may not be allowed to look at ours
        )

    def start(self) -> None:
        """Start, and wait until connections are accepted."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._folder),
            "fsync": "on" if self._fsync else "off",
            "shared_buffers": "16MB",
        }
        command = [*_unprivileged(), str(programs() / "postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, cwd=self._folder
        )
        deadline = time.monotonic() + PATIENCE
        ready = [str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready).returncode:
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            assert self._process.poll() is None, (self._folder / "log").read_text()
            time.sleep(0.05)

    def stop(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: with SIGINT, connections are cut; with SIGQUIT, it is as after a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def create_database(self, name: str) -> str:
        """Create an empty database, and return its URL."""
        self.run_sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def run_sql(self, sql: str, url: str = "") -> str:
        """Run statements in the database with that URL, and return what they printed."""
        psql = [str(programs() / "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", url or self.url()]
        return subprocess.run(
            [*psql, "-c", sql], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all its processes without ending them, as on a machine that does not respond."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        for child in self._children():
            os.kill(child, signal.SIGSTOP)
        try:
            yield
        finally:
            for child in self._children():
                os.kill(child, signal.SIGCONT)
            os.killpg(self._process.pid, signal.SIGCONT)

    def _children(self) -> list[int]:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [int(child) for child in children.split()]


@contextlib.contextmanager
def running_server(*, port: int = 0, fsync: bool = False) -> Iterator[PostgreSQLServer]:
    """Yield a running server in a temporary folder, on any free port if `port` is 0.

    Without `fsync`, it is faster, but not durable.

    Raise `FileNotFoundError` if PostgreSQL is not installed.
    """
    folder = Path(tempfile.mkdtemp(prefix="brokenreg-postgresql-", dir="/tmp"))  # the user may enter it
    if os.getuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    server = PostgreSQLServer(folder, port or _free_port(), fsync=fsync)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _unprivileged() -> list[str]:
    """Return the beginning of a command that PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def _main() -> None:
    with running_server(port=int(sys.argv[1])) as server:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        print(server.create_database("brokenreg"), flush=True)
        signal.pause()


if __name__ == "__main__":
    _main()
