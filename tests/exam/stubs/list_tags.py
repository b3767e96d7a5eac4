"""A client that lists the tags of the repository of the run, and does everything right."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urljoin, urlsplit

from tests.exam.stubs.pull import PASSING, Puller, _json, _read

_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


class Lister(Puller):
    """It shares the login and the patience of the puller."""

    def list_tags(self) -> None:
        """Print all tags. Exit with status 1 and a message if that is not possible."""
        self.start()
        found: list[str] = []
        for page in self.pages(f"/v2/{self.repository}/tags/list"):
            if "tags" not in page:
                sys.exit("the list has no tags")
            found += page["tags"] or []
        print("\n".join(found))

    def start(self) -> None:
        self.log_in(self.patiently(lambda: self.request(self.connection, "/v2/")))

    def pages(self, target: str) -> Iterator[dict[str, Any]]:
        """Yield the pages of a list. Exit if there is a page that cannot be had."""
        seen = set()
        while target:
            if target in seen:
                sys.exit(f"the pages go in a circle: {target}")
            seen.add(target)
            response, body = self.document(target)
            if response.status != 200:
                sys.exit(f"{response.status}: {body.decode(errors='replace')}")
            yield _json(body, "the list")
            target = self.next_target(target, response.getheader("link"))

    def document(self, target: str) -> tuple[HTTPResponse, bytes]:
        """Return a response and its whole body, after as many attempts as may help."""

        def fetch() -> HTTPResponse | tuple[HTTPResponse, bytes]:
            headers = {"accept": "*/*", "authorization": self.authorization}
            response = self.follow(self.request(self.connection, target, headers), headers)
            if response.status == 401:
                self.log_in(response)
                raise HTTPException("with another token, it may work")
            if response.status in PASSING:
                return response
            body, is_complete = _read(response, b"")
            if not is_complete:
                raise HTTPException("the document is not complete")
            return response, body

        found: tuple[HTTPResponse, bytes] = self.patiently(fetch)
        return found

    def next_target(self, target: str, link: str | None) -> str:
        """Return the path and query of the next page; empty without one. Exit if it is at another host."""
        if not link:
            return ""
        found = _NEXT.search(link)
        if found is None:
            sys.exit(f"the Link to the next page is not valid: {link}")
        here = f"http://{self.connection.host}:{self.connection.port}"
        url = urlsplit(urljoin(f"{here}{target}", found[1]))
        if url.netloc != urlsplit(here).netloc:
            sys.exit(f"the next page is at another host: {url.netloc}")
        return f"{url.path}?{url.query}"


if __name__ == "__main__":
    Lister().list_tags()
