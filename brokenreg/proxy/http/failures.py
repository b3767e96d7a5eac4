"""What the network does to requests, told as an `UpstreamError` of one line that names the host that failed.

Of URLs nothing but host and port is told: a password may stand before them, and queries carry signatures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpcore
import httpx

from brokenreg.proxy.errors import UpstreamContentError, UpstreamSilentError, UpstreamUnreachableError
from brokenreg.proxy.http.addresses import host_and_port
from brokenreg.redaction import REDACTED, redact_text
from brokenreg.wording import printable

_BYTES = re.compile(r"\b(?:bytearray\()?b(['\"].*['\"])\)?")
"""What h11 quotes of an answer, as Python writes bytes; their text is in the group."""

_HEADER_VALUE = re.compile(r"(illegal header line: (['\"])[^\s:'\"]{0,40}+).*(['\"])", re.DOTALL)
"""The rest of a header line without a colon, after the name: it may contain a secret in any header."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom a request is for: `name`, as messages call it, at `url`; redirects may lead on to others."""

    name: str
    url: httpx.URL

    def who(self, url: httpx.URL) -> str:
        """Who answers at `url`, which is its own or what it redirects to."""
        if host_and_port(url) == host_and_port(self.url):
            return self.name
        return f"{_host(url)} (to which {self.name} redirects)"

    def where(self, url: httpx.URL) -> str:
        """As `who`, with the host by all means: an upstream may stand elsewhere than its name says."""
        who, host = self.who(url), _host(url)
        return who if who.partition(" ")[0] == host else f"{who} (at {host})"


@contextmanager
def told_failures(asked: Asked, url: httpx.URL) -> Iterator[None]:
    """Raise `UpstreamError` for what happens to a request to `url`, which is made for whom `asked` names."""
    who = asked.where(url)
    try:
        yield
    except httpcore.ConnectTimeout:
        raise UpstreamSilentError(f"{who} let nobody connect in time") from None
    except httpcore.TimeoutException:
        raise UpstreamSilentError(f"{who} did not answer, or stopped in the middle, in time") from None
    except httpcore.UnsupportedProtocol:
        raise UpstreamContentError(f"{who} is asked by http and https alone, not by {url.scheme}") from None
    except httpcore.ProtocolError as error:
        raise UpstreamUnreachableError(f"{who} does not speak HTTP as it should: {_words(error)}") from None
    except (httpcore.NetworkError, OSError) as error:
        raise UpstreamUnreachableError(f"cannot reach {who}: {_words(error)}") from None


@contextmanager
def told_redirects(asked: Asked) -> Iterator[None]:
    """Raise `UpstreamError` for redirects that lead nowhere."""
    try:
        yield
    except httpx.TooManyRedirects:
        raise UpstreamContentError(f"{asked.name} redirects too many times, perhaps in a circle") from None
    except httpx.RemoteProtocolError as error:
        raise UpstreamContentError(f"{asked.who(error.request.url)} redirects to what is no URL") from None
    except (httpx.InvalidURL, UnicodeError):  # the host begins with xn-- and is invalid
        raise UpstreamContentError(f"{asked.name} redirects to what is no URL") from None


def _host(url: httpx.URL) -> str:
    return url.netloc.decode("ascii")


def _words(error: Exception) -> str:
    words = _BYTES.sub(r"\1", str(error).partition("\n")[0])
    words = _HEADER_VALUE.sub(rf"\1 {REDACTED}\3", words)
    return printable(redact_text(words.rstrip(". ")))[:200] or type(error).__name__
