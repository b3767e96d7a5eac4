"""Converts the failures of a request into an `UpstreamError` of one line that names the failed host.

Messages contain only the host and port of a URL, because its user information may be a password, and its
query a signature.
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
"""The parts of a response that h11 quotes, as Python writes bytes. The group is their text."""

_HEADER_VALUE = re.compile(r"(illegal header line: (['\"])[^\s:'\"]{0,40}+).*(['\"])", re.DOTALL)
"""The rest of a header line without a colon, after the name: it may contain a secret in any header."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The destination of a request: its `name` in messages, and its `url`, which may redirect to others."""

    name: str
    url: httpx.URL

    def name_at(self, url: httpx.URL) -> str:
        """Return the name of the server at `url`, which is the destination or a redirect target."""
        if host_and_port(url) == host_and_port(self.url):
            return self.name
        return f"{_host(url)} (to which {self.name} redirects)"

    def name_and_host_at(self, url: httpx.URL) -> str:
        """Return the name of the server at `url`, and its host, which may differ from the name."""
        name, host = self.name_at(url), _host(url)
        return name if name.partition(" ")[0] == host else f"{name} (at {host})"


@contextmanager
def upstream_errors(destination: Destination, url: httpx.URL) -> Iterator[None]:
    """Raise `UpstreamError` for the network errors of a request to `url`."""
    server = destination.name_and_host_at(url)
    try:
        yield
    except httpcore.ConnectTimeout:
        raise UpstreamSilentError(f"{server} did not accept a connection in time") from None
    except httpcore.TimeoutException:
        raise UpstreamSilentError(
            f"{server} did not respond in time, or stopped during its response"
        ) from None
    except httpcore.UnsupportedProtocol:
        raise UpstreamContentError(
            f"{server} cannot be reached over {url.scheme}: use http or https"
        ) from None
    except httpcore.ProtocolError as error:
        raise UpstreamUnreachableError(f"{server} violated HTTP: {_description(error)}") from None
    except (httpcore.NetworkError, OSError) as error:
        raise UpstreamUnreachableError(f"cannot reach {server}: {_description(error)}") from None


@contextmanager
def redirect_errors(destination: Destination) -> Iterator[None]:
    """Raise `UpstreamError` for invalid redirects, and for too many."""
    name = destination.name
    try:
        yield
    except httpx.TooManyRedirects:
        raise UpstreamContentError(f"{name} redirects too many times, perhaps in a loop") from None
    except httpx.RemoteProtocolError as error:
        sender = destination.name_at(error.request.url)
        raise UpstreamContentError(f"{sender} redirects to an invalid URL") from None
    except (httpx.InvalidURL, UnicodeError):  # the host begins with xn-- and is invalid
        raise UpstreamContentError(f"{name} redirects to an invalid URL") from None


def _host(url: httpx.URL) -> str:
    return url.netloc.decode("ascii")


def _description(error: Exception) -> str:
    """Return the first line of an error's message, without secrets."""
    text = _BYTES.sub(r"\1", str(error).partition("\n")[0])
    text = _HEADER_VALUE.sub(rf"\1 {REDACTED}\3", text)
    return printable(redact_text(text.rstrip(". ")))[:200] or type(error).__name__
