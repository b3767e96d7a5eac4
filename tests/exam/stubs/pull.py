"""A client that does everything right. The other stubs change one thing each.

It pulls the image of the run into an OCI layout in the folder of the run, with the standard library alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import ssl
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ACCEPT = ", ".join(
    (
        *(MANIFEST, "application/vnd.oci.image.index.v1+json"),
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
REDIRECTS = (301, 302, 303, 307, 308)
PASSING = (408, 429, 500, 502, 503, 504)
PAUSE = 0.1
LONGEST_PAUSE = 10.0
TIMEOUT = 2
MOST_REDIRECTS = 5
MOST_DEPTH = 20
ALGORITHMS = ("sha256", "sha512")
LEAST_PROGRESS = 10_000


class Puller:
    """The methods that the other stubs change."""

    attempts = 4
    actions = "pull"

    def __init__(self) -> None:
        self.connection = _connection(os.environ["BROKENREG_REGISTRY_URL"])
        self.repository = os.environ["BROKENREG_REPOSITORY"]
        self.layout = Path(os.environ["BROKENREG_WORKDIR"]) / "copy"
        self.authorization = ""

    def pull(self) -> None:
        """Pull the image. Exit with status 1 and a message if it cannot be pulled."""
        self.log_in(self.patiently(lambda: self.request(self.connection, "/v2/")))
        document = self.get(f"manifests/{os.environ['BROKENREG_TAG']}")
        media_type = _json(document, "the manifest").get("mediaType", MANIFEST)
        digest = "sha256:" + hashlib.sha256(document).hexdigest()
        self.pull_manifest(digest, document)
        named = {"mediaType": media_type, "digest": digest, "size": len(document)}
        self.write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        self.write("index.json", json.dumps({"schemaVersion": 2, "manifests": [named]}).encode())

    def pull_manifest(self, digest: str, document: bytes, depth: int = 0) -> None:
        """Keep a manifest and what it names: all images of an index, or all blobs of an image."""
        manifest = _json(document, "the manifest")
        self.store(digest, document)
        if depth > MOST_DEPTH:
            sys.exit("indexes in indexes: too deep")
        for each in _descriptors(manifest, "manifests"):
            self.pull_manifest(each["digest"], self.described("manifests", each), depth + 1)
        blobs = _descriptors(manifest, "layers") + _descriptors(manifest, "config")
        if not blobs and not manifest.get("manifests"):
            sys.exit("the manifest names nothing: not an image")
        for each in blobs:
            self.store(each["digest"], self.described("blobs", each))

    def described(self, kind: str, descriptor: dict[str, Any]) -> bytes:
        """Return what a descriptor names, if it is as the descriptor says."""
        content = self.get(f"{kind}/{descriptor['digest']}")
        self.verify(descriptor["digest"], content)
        if descriptor.get("size") != len(content):
            self.refuse(f"{descriptor['digest']}: {len(content)} bytes, not {descriptor.get('size')}")
        return content

    def refuse(self, reason: str) -> None:
        sys.exit(reason)

    def log_in(self, response: HTTPResponse) -> None:
        """Get a token, if the response asks for one."""
        response.read()
        if response.status != 401:
            return
        user = f"{os.environ['BROKENREG_USERNAME']}:{os.environ['BROKENREG_PASSWORD']}"
        basic = f"Basic {base64.b64encode(user.encode()).decode()}"
        challenge = ", ".join(response.headers.get_all("www-authenticate") or ())
        if re.search(r"\bbearer\b", challenge, re.IGNORECASE):
            self.authorization = f"Bearer {self.token(challenge, basic)}"
        elif re.match(r"basic\b", challenge, re.IGNORECASE):
            self.authorization = basic
        else:
            sys.exit(f"401: cannot log in with {challenge!r}")

    def token(self, challenge: str, basic: str) -> str:
        """Return a token from the service that the challenge names."""
        _, _, bearer = re.sub("bearer", "bearer", challenge, flags=re.IGNORECASE).partition("bearer")
        parts = {name: quoted or word for name, quoted, word in re.findall(_PARAMETER, bearer)}
        realm = urlsplit(urljoin(f"http://{os.environ['BROKENREG_REGISTRY']}/", parts.get("realm", "")))
        if realm.netloc != os.environ["BROKENREG_REGISTRY"]:
            sys.exit(f"401: {realm.netloc} is not trusted with a password")
        query = {"scope": f"repository:{self.repository}:{self.actions}"}
        query |= {name: parts[name] for name in ("service",) if name in parts}

        def fetch() -> bytes | HTTPResponse:
            target = f"{realm.path}?{urlencode(query)}"
            response = self.request(self.connection, target, {"authorization": basic})
            if response.status != 200:
                return response
            body, is_complete = _read(response, b"")
            if not is_complete:
                raise HTTPException("the token is not complete")
            return body

        body = self.patiently(fetch)
        if isinstance(body, HTTPResponse):
            sys.exit(f"{body.status} from the token service")
        document = _json(body, "the token")
        token = document.get("token") or document.get("access_token")
        return token if isinstance(token, str) else sys.exit("the token service sent no token")

    def patiently(self, send: Callable[[], Any]) -> Any:
        """Return what a request returns; repeat it if the registry or the connection fails."""
        for _ in range(self.attempts):
            try:
                response = send()
                if not isinstance(response, HTTPResponse) or response.status not in PASSING:
                    return response
                response.read()
                self.wait(response.getheader("retry-after"))
            except (OSError, HTTPException):
                self.connection.close()
        sys.exit(f"gave up after {self.attempts} attempts")

    def get(self, what: str) -> bytes:
        """Return a document; request what is missing of it again if the registry or the connection fails."""
        kept, left = b"", self.attempts
        while left > 0:
            left -= 1
            try:
                more, is_complete = self.piece(f"/v2/{self.repository}/{what}", kept)
            except (OSError, HTTPException):
                self.connection.close()
                continue
            if is_complete:
                return more
            left += self.attempts > 1 and len(more) - len(kept) >= LEAST_PROGRESS  # it gets on
            kept = more
        sys.exit(f"gave up after {self.attempts} attempts")

    def piece(self, target: str, kept: bytes) -> tuple[bytes, bool]:
        """Return what is there after another request, and whether that is everything."""
        headers = {"accept": ACCEPT, "authorization": self.authorization}
        if kept:
            headers["range"] = f"bytes={len(kept)}-"
        first = self.request(self.connection, target, headers)
        response = self.follow(first, headers)
        if response.status in (200, 206):
            if response.status == 206 and not _continues(response, kept):
                raise HTTPException("not the range that was requested")
            kept, is_complete = _read(response, kept if response.status == 206 else b"")
            if is_complete:
                self.verify(response.getheader("docker-content-digest", ""), kept)
            else:
                self.connection.close()
            return kept, is_complete
        if response.status == 401:
            self.log_in(response)
        elif response.status == 416:
            response.read()
            return b"", False
        elif response.status in PASSING or response is not first:  # another URL may work
            response.read()
            self.wait(response.getheader("retry-after"))
        else:
            sys.exit(f"{response.status}: {response.read().decode(errors='replace')}")
        return kept, False

    def request(
        self, connection: HTTPConnection, target: str, headers: dict[str, str] | None = None
    ) -> HTTPResponse:
        given = {name: value for name, value in (headers or {}).items() if value}
        connection.request("GET", target, headers=given)
        return connection.getresponse()

    def follow(self, response: HTTPResponse, headers: dict[str, str]) -> HTTPResponse:
        """Return the response at the end of some redirects."""
        for _ in range(MOST_REDIRECTS):
            if response.status not in REDIRECTS:
                return response
            response.read()
            location = urlsplit(response.getheader("location", ""))
            elsewhere = _connection(f"{location.scheme}://{location.netloc}")
            target = f"{location.path}?{location.query}"
            response = self.request(elsewhere, target, self.for_another_host(headers))
        sys.exit("too many redirects")

    def for_another_host(self, headers: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in headers.items() if name != "authorization"}

    def wait(self, retry_after: str | None) -> None:
        """Wait as long as the registry says, if that is a number. Exit if it is too long."""
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else PAUSE
        if seconds > LONGEST_PAUSE:
            sys.exit(f"the registry says to wait for {seconds:.0f} s")
        time.sleep(seconds)

    def verify(self, digest: str, content: bytes) -> None:
        if digest:
            algorithm, _, encoded = digest.partition(":")
            if algorithm not in ALGORITHMS or hashlib.new(algorithm, content).hexdigest() != encoded:
                self.refuse(f"{digest}: the digest does not match")

    def store(self, digest: str, content: bytes) -> None:
        self.write(f"blobs/{digest.replace(':', '/')}", content)

    def write(self, name: str, content: bytes) -> None:
        path = self.layout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _connection(url: str) -> HTTPConnection:
    """Return a connection to the host of a URL. With TLS, it trusts the CAs of the run alone."""
    found = urlsplit(url)
    if found.scheme != "https":
        return HTTPConnection(found.netloc, timeout=TIMEOUT)
    context = ssl.create_default_context(cafile=os.environ["BROKENREG_CA_FILE"])
    return HTTPSConnection(found.netloc, timeout=TIMEOUT, context=context)


_PARAMETER = r'(\w+)=(?:"([^"]*)"|([^\s",]+))'


def _json(document: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(document)
    except (ValueError, RecursionError) as error:
        sys.exit(f"{what} is not JSON: {error}")
    return found if isinstance(found, dict) else sys.exit(f"{what} is not a JSON object")


def _descriptors(manifest: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the descriptors in a member of a manifest, which can be one, several, null or absent."""
    found = manifest.get(name) or []
    found = found if isinstance(found, list) else [found]
    if not all(isinstance(each, dict) and isinstance(each.get("digest"), str) for each in found):
        sys.exit(f"the manifest has {name} without a digest")
    return found


def _continues(response: HTTPResponse, kept: bytes) -> bool:
    """Return whether a partial response starts where the content that is there ends."""
    return response.getheader("content-range", "").startswith(f"bytes {len(kept)}-")


def _read(response: HTTPResponse, kept: bytes) -> tuple[bytes, bool]:
    """Return what has arrived in all, and whether that is everything."""
    length = response.getheader("content-length")
    announced = None if length is None else len(kept) + int(length)
    try:
        while piece := response.read1(1 << 16):
            kept += piece
        response.read()  # so that the connection can be used again
    except (OSError, HTTPException):
        return kept, False
    return kept, announced is None or len(kept) >= announced


if __name__ == "__main__":
    Puller().pull()
