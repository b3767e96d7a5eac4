"""Real upstreams: Debian's docker-registry on 127.0.0.1, open, with passwords, with tokens, under TLS.

```python
with plain(tmp_path / "upstream") as upstream:
    upstream.push("org/image", "v1", manifest, config, layer)
    ...
    assert upstream.count("GET", "/v2/org/image/blobs/") == 2
```
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import trustme

from tests.clients.programs import daemon, need, search_path
from tests.registry.pushing import OCI_MANIFEST, digest_of

USER = "robot"
PASSWORD = "s3cret-pass"
IDENTITY = "identity-of-the-robot"
"""The refresh token that the token server takes."""

_HTPASSWD = f"{USER}:$2b$04$.mPQMsQ56J1WFkbmNQg7VuN7FJ92.SbIbEjInogfMcFBxELI0mdT6\n"
_ISSUER = "test-issuer"
_SERVICE = "test-registry"
_CONFIGURATION: dict[str, Any] = {
    "version": 0.1,
    "log": {"accesslog": {"disabled": False}},
    "storage": {"delete": {"enabled": True}, "maintenance": {"uploadpurging": {"enabled": False}}},
    "http": {"addr": "127.0.0.1:0", "secret": "test"},
}
_LINE = re.compile(
    r'^\S+ - - \[[^]]*\] "(?P<method>[A-Z]+) (?P<target>\S+) HTTP/[0-9.]+" (?P<status>[0-9]+)', re.M
)


@dataclass(frozen=True)
class Request:
    """A request that an upstream has answered. `target` is its path and query."""

    method: str
    target: str
    status: int


@dataclass
class Upstream:
    """A running docker-registry. With TLS, `ca` is the PEM file to trust."""

    host: str
    folder: Path
    scheme: str = "http"
    login: tuple[str, str] | None = None
    tokens: TokenServer | None = None
    ca: Path | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def requests(self) -> list[Request]:
        """Return all requests so far from the registry's log, in the order of their ends."""
        mark = f"/v2/?mark={uuid.uuid4().hex}"
        with httpx.Client(verify=self._verify(), trust_env=False) as client:
            client.get(f"{self.url}{mark}")
        until = time.monotonic() + 10
        while mark not in (text := (self.folder / "log").read_text()):
            assert time.monotonic() < until, "docker-registry does not write its log"
            time.sleep(0.005)
        found = [
            Request(line["method"], line["target"], int(line["status"])) for line in _LINE.finditer(text)
        ]
        return [request for request in found if "?mark=" not in request.target]

    def count(self, method: str, prefix: str = "") -> int:
        """Return the number of requests with that method and that beginning of the path."""
        return sum(each.method == method and each.target.startswith(prefix) for each in self.requests())

    def push(
        self, repository: str, tag: str, manifest: bytes, *blobs: bytes, kind: str = OCI_MANIFEST
    ) -> str:
        """Push blobs and a manifest of that media type, and return its digest."""
        headers = self._authorization(repository)
        with httpx.Client(
            base_url=self.url, headers=headers, verify=self._verify(), trust_env=False
        ) as client:
            for blob in blobs:
                started = client.post(f"/v2/{repository}/blobs/uploads/")
                assert started.status_code == 202, started.text
                place = httpx.URL(started.headers["location"]).copy_merge_params({"digest": digest_of(blob)})
                response = client.put(place, content=blob)
                assert response.status_code == 201, response.text
            kind_of = {"content-type": kind}
            response = client.put(f"/v2/{repository}/manifests/{tag}", content=manifest, headers=kind_of)
        assert response.status_code == 201, response.text
        return str(response.headers["docker-content-digest"])

    def _authorization(self, repository: str) -> Mapping[str, str]:
        if self.tokens is not None:
            return {
                "authorization": f"Bearer {self.tokens.issue(USER, [f'repository:{repository}:pull,push'])}"
            }
        if self.login is not None:
            return {"authorization": f"Basic {_basic(*self.login)}"}
        return {}

    def _verify(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))


@contextmanager
def plain(folder: Path) -> Iterator[Upstream]:
    """Run one without authentication."""
    with _serving(folder, {}) as host:
        yield Upstream(host, folder)


@contextmanager
def with_schema_1(folder: Path) -> Iterator[Upstream]:
    """Run one that accepts schema 1 with a valid signature."""
    with _serving(folder, {"compatibility": {"schema1": {"enabled": True}}}) as host:
        yield Upstream(host, folder)


@contextmanager
def htpasswd(folder: Path) -> Iterator[Upstream]:
    """Run one with Basic authentication for `USER` and `PASSWORD`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "htpasswd"
    path.write_text(_HTPASSWD)
    with _serving(folder, {"auth": {"htpasswd": {"realm": "basic-realm", "path": str(path)}}}) as host:
        yield Upstream(host, folder, login=(USER, PASSWORD))


@contextmanager
def token(folder: Path, *, anonymous: bool = False, expires_in: int | None = 300) -> Iterator[Upstream]:
    """Run one with a token service, for `USER` and `PASSWORD`, or for anonymous clients if `anonymous`.

    If `expires_in` is None, the token service does not send it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TokenServer.serving(folder, anonymous=anonymous, expires_in=expires_in) as tokens:
        settings = {
            "realm": tokens.realm,
            "service": _SERVICE,
            "issuer": _ISSUER,
            "rootcertbundle": str(folder / "token.pem"),
        }
        with _serving(folder, {"auth": {"token": settings}}) as host:
            yield Upstream(host, folder, login=(USER, PASSWORD), tokens=tokens)


@contextmanager
def tls(folder: Path, *names: str) -> Iterator[Upstream]:
    """Run one with TLS. A private CA has signed its certificate for 127.0.0.1 and these names."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost", *names)
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    settings = {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    with _serving(folder, {"http": {**_CONFIGURATION["http"], "tls": settings}}) as host:
        yield Upstream(host, folder, scheme="https", ca=folder / "ca.pem")


@contextmanager
def _serving(folder: Path, more: Mapping[str, Any]) -> Iterator[str]:
    """Yield its `127.0.0.1:port`. Skip the test if docker-registry is not installed."""
    need("docker-registry")
    folder.mkdir(parents=True, exist_ok=True)
    storage = {**_CONFIGURATION["storage"], "filesystem": {"rootdirectory": str(folder / "data")}}
    configuration = folder / "config.yml"
    configuration.write_text(json.dumps({**_CONFIGURATION, "storage": storage, **more}))  # JSON is YAML
    log = folder / "log"

    def port() -> str | None:
        found = re.search(r"listening on 127\.0\.0\.1:([0-9]+)", log.read_text())
        return None if found is None else found[1]

    command = ["docker-registry", "serve", str(configuration)]
    with daemon(command, log=log, env={"PATH": search_path()}, ready=lambda: port() is not None):
        yield f"127.0.0.1:{port()}"


class TokenServer:
    """A token service (CNCF distribution, "Token Authentication") in its own thread."""

    def __init__(self, folder: Path, *, anonymous: bool, expires_in: int | None) -> None:
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        leaf = authority.issue_cert("token.test", key_type=trustme.KeyType.ECDSA)
        authority.cert_pem.write_to_path(folder / "token.pem")
        chain = leaf.cert_chain_pems[0].bytes().decode()
        self._x5c = ["".join(chain.split("-----")[2].split())]
        self._key = leaf.private_key_pem.bytes()
        self._anonymous = anonymous
        self._expires_in = expires_in
        self.asked: list[dict[str, str]] = []
        """Of each request `method`, `user` (empty: nobody) and its parameters."""
        self.realm = ""

    @classmethod
    @contextmanager
    def serving(cls, folder: Path, *, anonymous: bool, expires_in: int | None) -> Iterator[TokenServer]:
        tokens = cls(folder, anonymous=anonymous, expires_in=expires_in)
        handler = type("_Handler", (_TokenHandler,), {"tokens": tokens})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            tokens.realm = f"http://127.0.0.1:{server.server_address[1]}/token"
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield tokens
            finally:
                server.shutdown()
                thread.join()

    def issue(self, user: str, scopes: list[str]) -> str:
        now = int(time.time())
        access = [
            {"type": kind, "name": rest.rpartition(":")[0], "actions": rest.rpartition(":")[2].split(",")}
            for kind, _, rest in (scope.partition(":") for scope in scopes)
        ]
        claims = {"iss": _ISSUER, "sub": user, "aud": _SERVICE, "iat": now, "nbf": now - 10, "exp": now + 300}
        headers = {"x5c": self._x5c}
        return jwt.encode({**claims, "jti": uuid.uuid4().hex, "access": access}, self._key, "ES256", headers)

    def answer(self, method: str, header: str, parameters: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Return the status and document for one request."""
        refresh = parameters.get("refresh_token")
        user = USER if header == f"Basic {_basic(USER, PASSWORD)}" or refresh == IDENTITY else ""
        self.asked.append({"method": method, "user": user, **parameters})
        given = bool(header or refresh)
        if given != bool(user) or not (user or self._anonymous):
            return 401, {"details": "incorrect username or password"}
        scopes = parameters.get("scope", "").split()
        document: dict[str, Any] = {"access_token" if refresh else "token": self.issue(user, scopes)}
        if self._expires_in is not None:
            document["expires_in"] = self._expires_in
        return 200, document


class _TokenHandler(BaseHTTPRequestHandler):
    tokens: TokenServer

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["content-length"])).decode())

    def _answer(self, encoded: str) -> None:
        parameters = {name: " ".join(values) for name, values in parse_qs(encoded).items()}
        header = self.headers.get("authorization", "")
        status, document = self.tokens.answer(self.command, header, parameters)
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Print nothing: requests are recorded in `asked`."""


def _basic(name: str, password: str) -> str:
    return base64.b64encode(f"{name}:{password}".encode()).decode()
