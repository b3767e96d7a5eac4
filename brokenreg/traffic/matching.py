"""The `match` of a rule: endpoint, layer, repository, reference, method, client, user, header and more."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
)

from brokenreg.http.authority import ip_address_of
from brokenreg.oci.target import Endpoint, Target
from brokenreg.redaction import REDACTED, SCHEMES, announces_secret, is_flag
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.redaction import redact_header
from brokenreg.validation import InvalidValueError
from brokenreg.wording import printable, quoted

EndpointName = Literal[
    "any",
    "blob",
    "connect",
    "ping",
    "token",
    "manifest",
    "config",
    "layer",
    "upload",
    "tags",
    "referrers",
    "catalog",
]
"""Values of `match.endpoint`: an endpoint, `blob` (config or layer), or `any`."""

OR = "|"
NOT = "!"
"""Before the glob of a header: no value of the header matches it."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_LONGEST_VALUE = 80
"""Maximum number of characters of a value that does not match."""

WILD = re.compile(r"[*?\[]")

Glob = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""A glob in the syntax of `fnmatch`. `*` also matches `/`, and case is significant."""


def _check_alternatives(globs: str) -> str:
    if not all(globs.split(OR)):
        raise InvalidValueError("remove the empty alternative; a|b matches a or b")
    return globs


Globs = Annotated[Glob, AfterValidator(_check_alternatives)]
"""A glob, or alternatives (`a|b`), for texts that never contain `|`."""

Predicate = Callable[[Exchange], object]
Mismatch = Callable[[Exchange], str]
"""Says why a condition is not met."""

Facet = Callable[[Exchange], str]
Positions = Callable[[Target], Collection[int]]

BLOBS = (Endpoint.CONFIG, Endpoint.LAYER)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _method(value: object) -> object:
    """Return a glob on the method in upper case. Raise `InvalidValueError` for a list, `GET, HEAD`."""
    if not isinstance(value, str):
        return value
    words = value.upper().replace(",", " ").split()
    if len(words) > 1 and _METHODS.issuperset(words):
        raise InvalidValueError(f"did you mean {OR.join(words)}?")
    return value.upper()


class Match(BaseModel):
    """The conditions of a rule. A missing field matches all exchanges."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: EndpointName | None = Field(
        None,
        description="what is requested; by default the default endpoint of the fault, or any in an override",
    )
    layer: int | None = Field(None, ge=1, le=10_000, description="number of the layer in its manifest")
    repository: Globs | None = Field(
        None, description="glob on the repository, without prefixes; `a|b` matches a or b"
    )
    reference: Globs | None = Field(
        None, description="glob on the tag, digest or upload ID; `a|b` matches a or b"
    )
    method: Annotated[Globs, BeforeValidator(_method)] | None = Field(
        None, description="glob on the method; `GET|HEAD` matches both"
    )
    client: Glob | None = Field(
        None, description="an address, a network (10.0.0.0/8), or a glob on User-Agent"
    )
    user: Glob | None = Field(
        None, description="glob on the user of Basic credentials, or the subject of a token (JWT)"
    )
    header: dict[Glob, Glob] | None = Field(
        None,
        description="globs on the values of request headers. `!glob` matches if no value does. "
        "Of credentials, only the scheme is matched: `Basic *`",
        max_length=20,
    )
    attempt: int | None = Field(
        None,
        ge=1,
        description="number of the request among those with the same method, repository and reference",
    )
    protocol: Literal["http/1.1", "h2"] | None = Field(None, description="protocol of the request")

    @field_validator("header")
    @classmethod
    def _can_match(cls, header: dict[str, str] | None) -> dict[str, str] | None:
        for name, glob in (header or {}).items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"invalid header name {quoted(name)}: use one such as user-agent")
            if not _may_match(name.lower(), glob.removeprefix(NOT) or glob):
                raise ValueError(
                    f"secrets are not kept, so no rule can match header {quoted(name)}: "
                    'use the field user for a user, "Basic *" or "Bearer *" for a scheme, '
                    '"*" for any value'
                )
        return header

    def allows(self, method: str) -> bool:
        """Return whether this can match a request with that method."""
        return self.method is None or bool(any_of(self.method)(method))

    def endpoints(self, default: str) -> Collection[Endpoint]:
        """Return the endpoints that this matches. `default` is used if it does not name one."""
        name = self.endpoint or default
        if name == "any":
            return tuple(each for each in Endpoint if each is not Endpoint.CONNECT)
        return BLOBS if name == "blob" else (Endpoint(name),)

    def beyond_connections(self) -> list[str]:
        """Return the fields that cannot match a connection, which has no request yet."""
        fields = self.model_dump(exclude_none=True, exclude={"endpoint", "attempt"})
        if self.client is not None and network_of(self.client) is not None:
            del fields["client"]
        return list(fields)

    def facets(self) -> dict[str, Facet]:
        """Return functions for the values of an exchange that the conditions test, by name.

        The endpoint, method and layer are not included.
        """
        found: dict[str, Facet] = {}
        if self.repository is not None:
            found["repository"] = lambda exchange: " ".join(exchange.target.names)
        if self.reference is not None:
            found["reference"] = lambda exchange: exchange.target.reference
        if self.protocol is not None:
            found["protocol"] = lambda exchange: exchange.protocol
        if self.client is not None and network_of(self.client) is not None:
            found["address"] = _host
        elif self.client is not None:
            found["user-agent"] = lambda exchange: exchange.user_agent
        if self.user is not None:
            found["user"] = lambda exchange: exchange.user
        for name in map(str.lower, self.header or ()):
            found[f"header {name}"] = partial(_values, name)
        return found

    def predicates(self) -> list[tuple[Mismatch, Predicate]]:
        """Return the conditions on the method and the facets, each with what says why it is not met."""
        found: list[tuple[Mismatch, Predicate]] = []
        if self.repository is not None:
            repository = any_of(self.repository)
            why = partial(_mismatch, "repository", self.repository, _repository)
            found.append((why, lambda exchange: any(map(repository, exchange.target.names))))
        if self.reference is not None:
            reference = any_of(self.reference)
            why = partial(_mismatch, "reference", self.reference, _reference)
            found.append((why, lambda exchange: reference(exchange.target.reference)))
        if self.method is not None:
            method = any_of(self.method)
            why = partial(_mismatch, "method", self.method, lambda exchange: exchange.method)
            found.append((why, lambda exchange: method(exchange.method)))
        if self.protocol is not None:
            protocol = self.protocol
            why = partial(_mismatch, "protocol", protocol, lambda exchange: exchange.protocol)
            found.append((why, lambda exchange: exchange.protocol == protocol))
        if self.client is not None:
            is_network = network_of(self.client) is not None
            why = partial(_mismatch, "client", self.client, _host if is_network else _user_agent)
            found.append((why, _client(self.client)))
        if self.user is not None:
            user = matcher(self.user)
            why = partial(_mismatch, "user", self.user, lambda exchange: exchange.user)
            found.append((why, lambda exchange: user(exchange.user)))
        for name, value in (self.header or {}).items():
            found.append((partial(_header_mismatch, name, value), _header(name.lower(), value)))
        return found


def any_of(globs: str) -> Callable[[str], object]:
    """Return a function that is true for texts that one of the alternatives matches."""
    matchers = [matcher(glob) for glob in globs.split(OR)]
    return matchers[0] if len(matchers) == 1 else lambda text: any(match(text) for match in matchers)


def matcher(glob: str) -> Callable[[str], object]:
    """Return a function that is true for texts that the glob matches."""
    if not WILD.search(glob):
        return glob.__eq__
    return re.compile(fnmatch.translate(glob)).match


def _may_match(name: str, glob: str) -> bool:
    """Return whether a glob can match a header value as it is recorded, without secrets."""
    if announces_secret(name) and not is_flag(glob):
        kept = [REDACTED, *(f"{scheme} {REDACTED}" for scheme in SCHEMES)]
        return any(map(matcher(glob.lower()), kept))
    redacted = redact_header(name, glob)
    return redacted == glob or bool(matcher(glob)(redacted))


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the text as a network of addresses, or None if it is a glob on User-Agent."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _client(glob: str) -> Predicate:
    network = network_of(glob)
    if network is None:
        agent = matcher(glob)
        return lambda exchange: bool(agent(exchange.user_agent))
    return lambda exchange: ip_address_of(_host(exchange)) in network


def _host(exchange: Exchange) -> str:
    return exchange.client.rpartition(":")[0].strip("[]")


def _values(name: str, exchange: Exchange) -> str:
    """Return all values of a header in one text, or "" if there are none."""
    return "\0".join(f"={value}" for key, value in exchange.request_headers if key == name)


def _mismatch(name: str, glob: str, value_of: Facet, exchange: Exchange) -> str:
    """Return why a condition is not met: the value, if there is one, and the glob."""
    value = printable(value_of(exchange))
    if len(value) > _LONGEST_VALUE:
        value = f"{value[:_LONGEST_VALUE]}…"
    return f"{name} is {value}, not {glob}" if value else f"{name} is not {glob}"


def _repository(exchange: Exchange) -> str:
    return exchange.target.repository


def _reference(exchange: Exchange) -> str:
    return exchange.target.reference


def _user_agent(exchange: Exchange) -> str:
    return exchange.user_agent


def _header_mismatch(name: str, glob: str, _: Exchange) -> str:
    """Return why a header does not match, without its value, which may be a secret."""
    return f"header {name} is {glob[1:]}" if glob.startswith(NOT) else f"header {name} is not {glob}"


def _header(name: str, glob: str) -> Predicate:
    """Return whether a header has a value that the glob matches; with `!`, whether it has none."""
    is_negated = glob.startswith(NOT)
    matches = matcher(glob.removeprefix(NOT))

    def has(exchange: Exchange) -> bool:
        return is_negated != any(key == name and matches(value) for key, value in exchange.request_headers)

    return has
