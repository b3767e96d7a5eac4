"""Cheap clients: raw sockets that read into one buffer and send directly from a file."""

from __future__ import annotations

import hashlib
import http.client
import json
import multiprocessing
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from bench.load import Request, wrk

BUFFER = 1 << 20
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def make_content(path: Path, size: int) -> str:
    """Create a file of `size` bytes, and return its digest."""
    hasher = hashlib.sha256()
    with path.open("wb") as file, open("/dev/urandom", "rb") as source:
        for _ in range(size // BUFFER):
            chunk = source.read(BUFFER)
            hasher.update(chunk)
            file.write(chunk)
    return f"sha256:{hasher.hexdigest()}"


def push(host: str, path: Path, digest: str) -> float:
    """Push a file as one blob (POST, PUT), and return the bytes per second."""
    began = time.perf_counter()
    location = _request(host, "POST", "/v2/bench/blobs/uploads/", 202)["location"]
    target = location.removeprefix(f"http://{host}")
    target += ("&" if "?" in target else "?") + f"digest={digest}"
    size = path.stat().st_size
    with connect(host) as connection, path.open("rb") as file:
        head = f"PUT {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n"
        connection.sendall(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode())
        connection.sendfile(file)
        answer = connection.recv(4096)
    if b" 201 " not in answer.partition(b"\r\n")[0]:
        sys.exit(f"bench: a push to {host} was answered {answer[:200]!r}")
    return size / (time.perf_counter() - began)


def delete(host: str, digest: str) -> None:
    """Delete the blob from the repository, so that the next push transfers it again."""
    _request(host, "DELETE", f"/v2/bench/blobs/{digest}", 202)


def pull(host: str, digest: str, clients: int) -> float:
    """Pull the blob with that many clients at the same time, and return the total bytes per second."""
    with multiprocessing.get_context("fork").Pool(clients) as pool:
        began = time.perf_counter()
        sizes = pool.starmap(download, [(host, digest)] * clients, chunksize=1)
        return sum(sizes) / (time.perf_counter() - began)


def put_manifest(host: str, repository: str = "bench", tag: str = "v1") -> str:
    """Push a manifest of about 1 KiB, and return its digest."""
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [],
        "annotations": {"filler": "x" * 900},
    }
    return _put(host, tag, document, repository)


def push_image(host: str, path: Path, digest: str) -> None:
    """Push bench:image with the file as its only layer, uncompressed."""
    config = path.with_name("config.json")
    rootfs = {"type": "layers", "diff_ids": [digest]}
    config.write_text(json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}))
    config_digest = f"sha256:{hashlib.sha256(config.read_bytes()).hexdigest()}"
    push(host, path, digest)
    push(host, config, config_digest)
    document = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": config_digest, "size": config.stat().st_size},
        "layers": [{"mediaType": _LAYER, "digest": digest, "size": path.stat().st_size}],
    }
    _put(host, "image", document)


def pull_image(host: str, folder: Path) -> float:
    """Pull bench:image with skopeo, which verifies it and stores it in `folder`; return the seconds."""
    program = shutil.which("skopeo")
    if program is None:
        sys.exit("bench: skopeo is not installed; apt-get install skopeo")
    source = f"docker://{host}/bench:image"
    command = [program, "copy", "--quiet", "--src-tls-verify=false", source, f"dir:{folder}"]
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def manifest_rate(host: str, seconds: int, connections: int = 16) -> float:
    """Return the manifest GETs per second with wrk over that many connections."""
    headers = {"Accept": "application/vnd.oci.image.index.v1+json"}
    load = wrk(host, Request("GET", ["/v2/bench/manifests/v1"], headers), seconds, connections)
    return load.requests / load.seconds


def download(host: str, digest: str) -> int:
    """Pull the blob with one client, and return the number of bytes, including the head."""
    buffer = bytearray(BUFFER)
    size = 0
    with connect(host) as connection:
        head = f"GET /v2/bench/blobs/{digest} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        while count := connection.recv_into(buffer):
            size += count
    return size


def _put(host: str, tag: str, document: dict[str, object], repository: str = "bench") -> str:
    connection = http.client.HTTPConnection(host)
    headers = {"Content-Type": str(document["mediaType"])}
    connection.request("PUT", f"/v2/{repository}/manifests/{tag}", json.dumps(document), headers)
    response = connection.getresponse()
    connection.close()
    if response.status != 201:
        sys.exit(f"bench: {host} does not take a manifest")
    return response.headers["Docker-Content-Digest"]


def connect(host: str) -> socket.socket:
    name, port = host.rsplit(":", 1)
    return socket.create_connection((name, int(port)))


def _request(host: str, method: str, path: str, status: int) -> dict[str, str]:
    connection = http.client.HTTPConnection(host)
    connection.request(method, path)
    response = connection.getresponse()
    if response.status != status:
        sys.exit(f"bench: {method} {path} at {host} was answered {response.status}")
    return {name.lower(): value for name, value in response.getheaders()}
