"""Logs in wherever the registry redirects, with a request that names no repository."""

from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

from tests.exam.stubs.pull import REDIRECTS, Puller


class Leaking(Puller):
    def follow(self, response: HTTPResponse, headers: dict[str, str]) -> HTTPResponse:
        if response.status in REDIRECTS:
            elsewhere = HTTPConnection(urlsplit(response.getheader("location", "")).netloc, timeout=2)
            self.request(elsewhere, "/v2/", headers)
        return super().follow(response, headers)


Leaking().pull()
