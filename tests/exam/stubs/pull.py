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
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from pathlib import Path


class Puller:
    """The methods that the other stubs change."""

    attempts = 4

    def __init__(self) -> None:
        self.registry = os.environ["BROKENREG_REGISTRY_URL"]
        self.repository = os.environ["BROKENREG_REPOSITORY"]
        self.layout = Path(os.environ["BROKENREG_WORKDIR"]) / "copy"
        self.credentials = f"{os.environ['BROKENREG_USERNAME']}:{os.environ['BROKENREG_PASSWORD']}"
        self.authorization = ""

    def pull(self) -> None:
        self.log_in()
        document = self.get(f"manifests/{os.environ['BROKENREG_TAG']}")
        manifest = json.loads(document)
        digest = "sha256:" + hashlib.sha256(document).hexdigest()
        self.store(digest, document)
        for each in (*manifest["layers"], manifest["config"]):
            blob = self.get(f"blobs/{each['digest']}")
            self.verify(each["digest"], blob)
            self.store(each["digest"], blob)
        named = {"mediaType": manifest["mediaType"], "digest": digest, "size": len(document)}
        self.write("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        self.write("index.json", json.dumps({"schemaVersion": 2, "manifests": [named]}).encode())

    def log_in(self) -> None:
        """Get a token, if the registry has a token service."""
        try:
            urllib.request.urlopen(f"{self.registry}/v2/")
        except urllib.error.HTTPError as error:
            challenge = dict(re.findall(r'(\w+)="([^"]*)"', error.headers["WWW-Authenticate"]))
            scope = f"repository:{self.repository}:pull"
            query = urllib.parse.urlencode({"service": challenge["service"], "scope": scope})
            request = urllib.request.Request(f"{challenge['realm']}?{query}")
            basic = base64.b64encode(self.credentials.encode()).decode()
            request.add_header("Authorization", f"Basic {basic}")
            with urllib.request.urlopen(request) as response:
                self.authorization = f"Bearer {json.load(response)['token']}"

    def get(self, what: str) -> bytes:
        """Return a document, after some attempts if the registry or the connection fails."""
        for attempt in range(1, self.attempts + 1):
            request = urllib.request.Request(f"{self.registry}/v2/{self.repository}/{what}")
            request.add_header("Accept", "application/vnd.oci.image.manifest.v1+json")
            if self.authorization:
                self.authorize(request)
            try:
                with urllib.request.urlopen(request, timeout=2) as response:
                    return bytes(response.read())
            except urllib.error.HTTPError as error:
                if attempt == self.attempts or error.code not in (429, 503):
                    raise
                self.wait(error.headers.get("Retry-After"))
            except (OSError, HTTPException):
                if attempt == self.attempts:
                    raise
        raise AssertionError

    def authorize(self, request: urllib.request.Request) -> None:
        """Send the token to the registry, and not to where it redirects."""
        request.add_unredirected_header("Authorization", self.authorization)

    def wait(self, retry_after: str | None) -> None:
        time.sleep(float(retry_after or 0))

    def verify(self, digest: str, blob: bytes) -> None:
        if digest != "sha256:" + hashlib.sha256(blob).hexdigest():
            sys.exit(f"{digest}: the digest does not match")

    def store(self, digest: str, content: bytes) -> None:
        self.write(f"blobs/{digest.replace(':', '/')}", content)

    def write(self, name: str, content: bytes) -> None:
        path = self.layout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    Puller().pull()
