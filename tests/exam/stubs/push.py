"""A client that pushes the image in the layout of the run, and does everything right."""

from __future__ import annotations

import json
import os
import sys
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from tests.exam.stubs.pull import MANIFEST, PASSING, Puller


class Pusher(Puller):
    """It shares the login and the patience of the puller."""

    actions = "pull,push"

    def __init__(self) -> None:
        super().__init__()
        self.layout = Path(os.environ["BROKENREG_LAYOUT"])

    def push(self) -> None:
        """Push all blobs, then the manifest. Exit with status 1 and a message if that is not possible."""
        self.log_in(self.patiently(lambda: self.request(self.connection, "/v2/")))
        document = self.content(os.environ["BROKENREG_DIGEST"])
        manifest = json.loads(document)
        for each in (*manifest["layers"], manifest["config"]):
            self.push_blob(each["digest"])
        self.push_manifest(document)

    def push_manifest(self, document: bytes) -> None:
        target = f"/v2/{self.repository}/manifests/{os.environ['BROKENREG_TAG']}"
        for _ in range(self.attempts):
            response = self.send("PUT", target, {"content-type": MANIFEST}, document)
            if response is not None and response.status < 300:
                return
        sys.exit(f"gave up after {self.attempts} attempts")

    def push_blob(self, digest: str) -> None:
        """Upload a blob; start a new upload if one fails. It may be there although a response was lost."""
        content = self.content(digest)
        for _ in range(self.attempts):
            there = self.send("HEAD", f"/v2/{self.repository}/blobs/{digest}")
            if there is not None and there.status == 200:
                return
            started = self.send("POST", f"/v2/{self.repository}/blobs/uploads/")
            if started is None or started.status >= 300:
                continue
            target = self.own_target(started.getheader("location"))
            more = "&" if "?" in target else "?"
            headers = {"content-type": "application/octet-stream"}
            done = self.send("PUT", f"{target}{more}digest={digest}", headers, content)
            if done is not None and done.status < 300:
                return
        sys.exit(f"{digest}: gave up after {self.attempts} attempts")

    def own_target(self, location: str | None) -> str:
        """Return the path and query of an upload. Exit if it is not at this registry."""
        if not location:
            sys.exit("the upload has no Location")
        base = f"http://{os.environ['BROKENREG_REGISTRY']}/v2/{self.repository}/blobs/uploads/"
        try:
            found = urlsplit(urljoin(base, location))
        except ValueError as error:
            sys.exit(f"the upload has a Location that is not a URL: {error}")
        if found.netloc != os.environ["BROKENREG_REGISTRY"]:
            sys.exit(f"the upload is at another host: {location}")
        return f"{found.path}?{found.query}" if found.query else found.path

    def send(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> HTTPResponse | None:
        """Return a response that has been read; None if another attempt may help. Exit if none does."""
        given: dict[str, Any] = {**(headers or {}), "content-length": str(len(body))}
        if self.authorization:
            given["authorization"] = self.authorization
        try:
            self.connection.request(method, target, body=body or None, headers=given)
            response = self.connection.getresponse()
            if response.status == 401:
                self.log_in(response)
                return None
            text = response.read().decode(errors="replace")
        except (OSError, HTTPException):
            self.connection.close()
            return None
        if response.status in PASSING:
            if method != "HEAD":
                self.wait(response.getheader("retry-after"))
            return None
        if response.status >= 400 and method != "HEAD" and "BLOB_UPLOAD_" not in text:
            sys.exit(f"{response.status}: {text}")
        return response

    def content(self, digest: str) -> bytes:
        return (self.layout / "blobs" / digest.replace(":", "/")).read_bytes()


if __name__ == "__main__":
    Pusher().push()
