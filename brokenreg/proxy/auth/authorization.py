"""Authentication at upstreams (CNCF distribution, "Token Authentication"; RFC 7617; RFC 6749, section 6).

Credentials are sent only after a 401, and only to the upstream and to token services that belong to it.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncGenerator
from typing import Any

import httpx

from brokenreg.oci.scopes import Scope
from brokenreg.proxy.auth.challenges import Challenge, parse_challenges
from brokenreg.proxy.auth.credentials import CredentialFinder
from brokenreg.proxy.auth.realms import is_named, may_see_credentials
from brokenreg.proxy.auth.tokens import MIN_LIFETIME, Grant, Login, TokenCache
from brokenreg.proxy.errors import (
    UpstreamContentError,
    UpstreamSilentError,
    UpstreamStatusError,
    UpstreamTokenServiceError,
)
from brokenreg.proxy.http.bodies import ENCODING, limit_body, with_encoding
from brokenreg.proxy.http.client import NO_CREDENTIALS_REASON, request_extensions
from brokenreg.proxy.http.failures import Destination, redirect_errors
from brokenreg.proxy.http.pools import FOR_AUTH
from brokenreg.proxy.http.rate_limits import retry_rate_limited
from brokenreg.proxy.routes import Route
from brokenreg.traffic.timeline_events import AddEvent
from brokenreg.traffic.upstream_events import CredentialHelperFailed, CredentialsWithheld

_CLIENT = "brokenreg"
_WITHHELD = (
    "none were sent: --upstream-auth is off, or it is auto and other machines can reach brokenreg; "
    "use --upstream-auth on to send those of Docker and podman"
)
_VISIBLE = re.compile(r"[!-~]{1,65536}")
"""A value that is valid in a header and short enough to be kept. The HTTP library's errors quote invalid
values in full."""

_TIMEOUT = 30.0
"""Seconds for a request to a token service, with all its redirects."""


class UpstreamAuth(httpx.Auth):
    """Authenticates the requests for one route.

    `client` sends the requests to token services. Without `credentials`, tokens are requested anonymously.
    `realms` are the token services of other hosts that may get the credentials.
    """

    def __init__(
        self,
        route: Route,
        client: httpx.AsyncClient,
        credentials: CredentialFinder | None,
        tokens: TokenCache,
        add_event: AddEvent,
        realms: tuple[httpx.URL, ...] = (),
    ) -> None:
        self._route = route
        self._realms = realms
        self._client = client
        self._credentials = credentials
        self._tokens = tokens
        self._add_event = add_event
        self._scope = str(Scope.repository(route.repository, "pull"))
        self._key = (route.upstream, self._scope)
        self._no_credentials_reason = ""

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request with a cached header, if any. After a 401, send it again to meet the challenge.

        Raise `UpstreamError` if a token service fails. If it refuses a token, the 401 is the response.
        """
        header = self._tokens.get(self._key)
        response = yield _with_authorization(request, header)
        if not _is_unauthorized(request, response):
            return
        if header is not None:
            self._tokens.drop(self._key, header)
        challenges = parse_challenges(response.headers.get_list("www-authenticate"))
        header = await self._tokens.obtain(self._key, lambda: self._grant(request.url, challenges))
        if header is None:
            response.extensions[NO_CREDENTIALS_REASON] = self._no_credentials_reason
            return
        await _read(response, self._route.upstream)
        response = yield _with_authorization(request, header)
        if _is_unauthorized(request, response):
            self._tokens.drop(self._key, header)
            response.extensions[NO_CREDENTIALS_REASON] = self._no_credentials_reason

    async def _grant(self, upstream: httpx.URL, challenges: list[Challenge]) -> Grant | None:
        """Return a grant that meets the challenges: a token, or else the password. None if there is none."""
        schemes = {challenge.scheme: challenge for challenge in reversed(challenges)}
        bearer = schemes.get("bearer")
        if bearer is not None:
            return await self._token(upstream, bearer)
        if "basic" in schemes:
            login = await self._login()
            if login is not None and not login.identity:
                return Grant(login.basic)
        return None

    async def _login(self) -> Login | None:
        self._no_credentials_reason = ""
        upstream, problems = self._route.upstream, list[str]()
        if self._credentials is None:
            self._no_credentials_reason = _WITHHELD
            return None
        login = await self._credentials.find(upstream, self._route.repository, problems.append)
        for problem in problems:
            self._add_event(CredentialHelperFailed(problem))
        if login is None:
            found = f"none found for {upstream} (docker login {upstream}, podman login {upstream})"
            self._no_credentials_reason = "; ".join((found, *problems))
        return login

    async def _token(self, upstream: httpx.URL, challenge: Challenge) -> Grant | None:
        """Request a token. Return None if it is refused. Raise `UpstreamError` if the token service fails."""
        realm = self._realm(challenge)
        place = realm.netloc.decode("ascii")
        login = None
        if await self._is_trusted(upstream, realm):
            login = await self._login()
        elif self._credentials is not None:
            owner = upstream.netloc.decode("ascii")
            self._no_credentials_reason = (
                f"no credentials were sent to {place}: it is not known to belong to {owner}; if it does, add "
                f"--upstream-realm {self._route.upstream}={realm.scheme}://{place}"
            )
            self._add_event(CredentialsWithheld(self._no_credentials_reason))
        name = f"{place} (the token service of {self._route.upstream})"
        destination = Destination(name, realm)
        service = challenge.parameters.get("service")
        try:
            response = await retry_rate_limited(
                lambda: self._request_token(destination, service, login),
                lambda answer: destination.name_at(answer.url),
                self._add_event,
            )
        except UpstreamContentError as error:
            raise UpstreamTokenServiceError(error.message) from None
        return _granted(destination.name_at(response.url), response)

    async def _is_trusted(self, upstream: httpx.URL, realm: httpx.URL) -> bool:
        """Return whether a realm belongs to the upstream: by its address, its name, or the settings."""
        return (
            is_named(realm, self._realms)
            or await may_see_credentials(upstream, realm)
            or await may_see_credentials(httpx.URL(f"https://{self._route.upstream}"), realm)
        )

    async def _request_token(
        self, destination: Destination, service: str | None, login: Login | None
    ) -> httpx.Response:
        """Return the response of a token service, including its body. Raise `UpstreamError`."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                with redirect_errors(destination):
                    response = await self._send_request(destination, service, login)
                try:
                    await _read(response, destination.name_at(response.url))
                finally:
                    await response.aclose()
        except TimeoutError:
            raise UpstreamSilentError(
                f"{destination.name_at(destination.url)} did not respond in time"
            ) from None
        return response

    def _realm(self, challenge: Challenge) -> httpx.URL:
        try:
            realm = httpx.URL(challenge.parameters.get("realm", ""))
            is_valid = realm.scheme in ("http", "https") and bool(realm.host) and not realm.userinfo
        except (httpx.InvalidURL, UnicodeError):  # the host may begin with xn-- and be invalid
            is_valid = False
        if not is_valid:
            raise UpstreamContentError(f"{self._route.upstream} names an invalid token service")
        return realm.copy_with(fragment=None)

    async def _send_request(
        self, destination: Destination, service: str | None, login: Login | None
    ) -> httpx.Response:
        parameters = {"scope": self._scope} if service is None else {"service": service, "scope": self._scope}
        more = {**request_extensions(destination, self._add_event), FOR_AUTH: True}
        if login is not None and login.identity:
            form = {"grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": login.identity}
            data = {**form, **parameters}
            request = self._client.build_request("POST", destination.url, data=data, extensions=more)
            # A redirect could send the form to any host.
            return await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        headers = {} if login is None else {"authorization": login.basic}
        url = destination.url.copy_merge_params(parameters)
        request = self._client.build_request("GET", url, headers=headers, extensions=more)
        return await self._client.send(request, stream=True, auth=None)


def _granted(server: str, response: httpx.Response) -> Grant | None:
    """Return what a token service grants, or None if it refuses. Raise `UpstreamError` if it fails."""
    status, document = response.status_code, _document(response.content)
    if status in (401, 403) or (status == 400 and document.get("error") == "invalid_grant"):
        return None  # RFC 6749, section 5.2: 400 means that an identity token is no longer valid
    if status == 429:
        raise UpstreamStatusError.too_many_requests(server, response.headers.get("retry-after"))
    if status != 200:
        raise UpstreamTokenServiceError(f"{server} responded with {status}")
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not _VISIBLE.fullmatch(token):
        sender = with_encoding(server, response.extensions.get(ENCODING))
        raise UpstreamTokenServiceError(f"{sender} sent no valid token")
    return Grant(f"Bearer {token}", _lifetime(document.get("expires_in")))


def _document(body: bytes) -> dict[str, Any]:
    """Return the JSON object in the response of a token service, or an empty one if there is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _lifetime(expires_in: Any) -> float:
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return MIN_LIFETIME
    seconds = float(min(max(expires_in, 0), 10**9))  # in this order: JSON integers can exceed a float
    return seconds if math.isfinite(seconds) else MIN_LIFETIME


def _is_unauthorized(request: httpx.Request, response: httpx.Response) -> bool:
    """Return whether the upstream itself responded with 401, and not a redirect target."""
    requested, responding = request.url, response.url
    return response.status_code == 401 and (
        (requested.scheme, requested.netloc) == (responding.scheme, responding.netloc)
    )


def _with_authorization(request: httpx.Request, header: str | None) -> httpx.Request:
    request.headers.pop("authorization", None)
    if header is not None:
        request.headers["authorization"] = header
    return request


async def _read(response: httpx.Response, server: str) -> bytes:
    """Return the whole body, undecoded. Raise `UpstreamError` if it is too long or too slow."""
    limit_body(response, server, _TIMEOUT)
    return await response.aread()
