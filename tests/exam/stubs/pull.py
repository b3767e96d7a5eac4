"""A client that does everything right. The other stubs change one thing each.

It pulls the image of the run into an OCI layout in the folder of the run, with the standard library alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import sys
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode, urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
REDIRECTS = (301, 302, 303, 307, 308)
PASSING = (429, 502, 503, 504)


class Puller:
    """The methods that the other stubs change."""

    attempts = 4

    def __init__(self) -> None:
        self.connection = HTTPConnection(os.environ["BROKENREG_REGISTRY"], timeout=2)
        self.repository = os.environ["BROKENREG_REPOSITORY"]
        self.layout = Path(os.environ["BROKENREG_WORKDIR"]) / "copy"
        self.authorization = ""

    def pull(self) -> None:
        """Pull the image. Exit with status 1 and a message if it cannot be pulled."""
        self.log_in(self.request(self.connection, "/v2/"))
        document = self.get(f"manifests/{os.environ['BROKENREG_TAG']}")
        manifest = json.loads(document)
        digest = "sha256:" + hashlib.sha256(document).hexdigest()
        self.store(digest, document)
        for each in (*manifest["layers"], manifest["config"]):
            blob = self.get(f"blobs/{each['digest']}")
            self.verify(each["digest"], blob)
            self.store(each["digest"], blob)
        named = {"mediaType": MANIFEST, "digest": digest, "size": len(document)}
        self.write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        self.write("index.json", json.dumps({"schemaVersion": 2, "manifests": [named]}).encode())

    def log_in(self, response: HTTPResponse) -> None:
        """Get a token, if the response asks for one."""
        response.read()
        challenge = dict(re.findall(r'(\w+)="([^"]*)"', response.getheader("www-authenticate", "")))
        if response.status == 401:
            scope = f"repository:{self.repository}:pull"
            query = urlencode({"service": challenge["service"], "scope": scope})
            user = f"{os.environ['BROKENREG_USERNAME']}:{os.environ['BROKENREG_PASSWORD']}"
            basic = f"Basic {base64.b64encode(user.encode()).decode()}"
            target = f"{urlsplit(challenge['realm']).path}?{query}"
            token = self.request(self.connection, target, {"authorization": basic})
            self.authorization = f"Bearer {json.load(token)['token']}"

    def get(self, what: str) -> bytes:
        """Return a document; request what is missing of it again if the registry or the connection fails."""
        kept, target = b"", f"/v2/{self.repository}/{what}"
        for _ in range(self.attempts):
            headers = {"accept": MANIFEST, "authorization": self.authorization}
            if kept:
                headers["range"] = f"bytes={len(kept)}-"
            try:
                response = self.follow(self.request(self.connection, target, headers), headers)
                if response.status in (200, 206):
                    kept, is_complete = _read(response, kept if response.status == 206 else b"")
                    if is_complete:
                        self.verify(response.getheader("docker-content-digest", ""), kept)
                        return kept
                    self.connection.close()
                elif response.status == 401:
                    self.log_in(response)
                elif response.status in PASSING:
                    response.read()
                    self.wait(response.getheader("retry-after"))
                else:
                    sys.exit(f"{response.status}: {response.read().decode()}")
            except (OSError, HTTPException):
                self.connection.close()
        sys.exit(f"gave up after {self.attempts} attempts")

    def request(
        self, connection: HTTPConnection, target: str, headers: dict[str, str] | None = None
    ) -> HTTPResponse:
        given = {name: value for name, value in (headers or {}).items() if value}
        connection.request("GET", target, headers=given)
        return connection.getresponse()

    def follow(self, response: HTTPResponse, headers: dict[str, str]) -> HTTPResponse:
        """Return the response at the end of a redirect."""
        if response.status not in REDIRECTS:
            return response
        response.read()
        location = urlsplit(response.getheader("location", ""))
        elsewhere = HTTPConnection(location.netloc, timeout=2)
        return self.request(elsewhere, f"{location.path}?{location.query}", self.for_another_host(headers))

    def for_another_host(self, headers: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in headers.items() if name != "authorization"}

    def wait(self, retry_after: str | None) -> None:
        time.sleep(float(retry_after or 0))

    def verify(self, digest: str, content: bytes) -> None:
        if digest and digest != "sha256:" + hashlib.sha256(content).hexdigest():
            sys.exit(f"{digest}: the digest does not match")

    def store(self, digest: str, content: bytes) -> None:
        self.write(f"blobs/{digest.replace(':', '/')}", content)

    def write(self, name: str, content: bytes) -> None:
        path = self.layout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _read(response: HTTPResponse, kept: bytes) -> tuple[bytes, bool]:
    """Return what has arrived in all, and whether that is everything."""
    announced = len(kept) + int(response.getheader("content-length", "0"))
    try:
        while response.length and (piece := response.read1(1 << 16)):
            kept += piece
        response.read()  # so that the connection can be used again
    except (OSError, HTTPException):
        return kept, False
    return kept, len(kept) >= announced


if __name__ == "__main__":
    Puller().pull()
