"""The base classes of all faults, and instructions for writing one.

A fault is a subclass of `Fault` in a module of this package. In `__init__.py`, import it and add it to the
tuple of its family. A new family also needs a line in `CATALOGUE`.

    from pydantic import Field

    from brokenreg.faults.catalogue.base import RespondingFault
    from brokenreg.faults.catalogue.parameters import Size
    from brokenreg.faults.context import FaultContext

    class Teapot(RespondingFault):
        '''Responds with 418 and a body of `size` bytes.

        Further paragraphs describe the response in detail.
        '''

        name = "teapot"
        default_endpoint = "manifest"
        clients = "No client is known to fail."
        example = "size-1kib"

        size: Size = Field(0, description="number of bytes of the body")

        async def respond(self, context: FaultContext) -> None:
            await context.respond(418, {"content-type": "text/plain"}, bytes(self.size))

Everything else is derived from the class: image paths, rules, scenarios, the control API, the command line,
the form in the panel, JSON Schema, docs/reference/faults.md and the constructor in brokenreg/client/faults
(`make reference` writes both).

- The docstring is the help. Its first line is the summary; parameters are in backticks.
- `clients` is one or more full sentences about clients that fail, with the evidence (issue numbers).
- The module (or folder) is the family under which the fault is listed.
- The fields are the parameters. Use the types of `parameters.py` (`Size`, `Duration`, ...), or `HeaderName`
  and `HeaderValue` of `headers.py`: a path can spell them. Each field has a description and, if possible, a
  default. Literals must be lower case, because image paths are.
- `respond` of a `RespondingFault` responds in place of the registry (`context.respond`,
  `context.respond_error`, `context.cut`). `apply` of any other `Fault` lets the registry respond:
  `context.forward_changed` changes status and headers, a `ResponseFilter` also the body, and `context.fetch`
  returns a whole document. If an exchange has several faults, they wrap each other, and `context.handler` is
  the next one.
- Use `context.random` for random numbers. To count something between exchanges, use `context.memory`, whose
  counts all replicas of a fleet share. Only faults that call it cost a request to the database there.
- The fault also gets responses to HEAD. If it needs a body, set `methods`, or return `ends_before(...)` of
  `parameters.py` from `no_effect_reason`. `ends_before` does not check for 204 and 304.
- Protocol `http/1.1` includes HTTP/1.0: check `exchange.http_version` where chunks or keep-alive matter.

If a fault changes nothing, its rule does not count as applied. What you write depends on what reveals this:

- The rule: override `conflict_reason`. The rule is then refused.
- The method: set `methods`. The rule then does not match, and the timeline does not mention it.
- The request: override `inapplicable_reason`. The rule then does not match, and the timeline says why.
- Status and headers: override `no_effect_reason`. A `ResponseFilter` that gets this method calls it;
  otherwise, `apply` must call it. The rule matches.
- The body: call `context.no_effect` in `apply` and forward the response unchanged. The rule matches.

The panel calls `inapplicable_reason` and `no_effect_reason` before it adds a rule.

The wire sends what HTTP cannot express. `context.write` sends bytes outside of the framing, and `context.cut`
ends a connection or stream. A `cut` must follow a `write`: the connection closes, and the exchange ends as
`aborted`. If only HTTP/1.1 can express the fault, set `protocols`. If you remove Content-Length
(`Head.remove`), the server sends the body in chunks. Something that HTTP can express but ASGI cannot (a slow
head) is a key of `http.response.start`, such as `PACE` in `http/asgi.py`. The other faults of the exchange
forward such a key, but not a key of `http.response.body`.

Add a test to `tests/faults`. The fixtures `each` (plain, TLS, HTTP/2) and `http1` of `tests/conftest.py` are
`Registry` objects (`tests/running_registry.py`): `push` pushes an image, `rule` adds a rule for the time of a
`with` block, `ask` returns the response byte for byte, and `rule_state` has the counters `matched` and
`applied`. Tests that run over the whole catalogue include the new fault automatically. Finally, generate what
lists the faults: docs/reference/faults.md, and the panel's screenshots (`make screenshots`).
"""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brokenreg.faults.context import FaultContext
from brokenreg.faults.registry_view import RegistryView
from brokenreg.faults.response_head import Head
from brokenreg.listening.inbound_connection import AcceptDecision
from brokenreg.oci.params import join_params, spell
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.matching import Match
from brokenreg.validation import describe_error, error_location

ANY = "any"
"""Stands for all endpoints that a request can have."""

BLOB = "blob"
"""Stands for the endpoints config and layer."""

HTTP1, HTTP2 = "http/1.1", "h2"

READS = frozenset({"GET", "HEAD"})
WRITES = frozenset({"POST", "PATCH", "PUT"})
CHANGES = WRITES | {"DELETE"}
"""The methods of requests that change what the registry has."""


class Fault(BaseModel, ABC):
    """A kind of failure. Its fields are its parameters, and its docstring is its help."""

    # Starting would take a tenth longer without `defer_build`, or if this module imported `annotations` from
    # `__future__`: pydantic would then compile the annotations below once for each fault.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: ClassVar[str]
    default_endpoint: ClassVar[str]
    """The endpoint of a rule that names none: an endpoint, `blob` or `any`."""

    methods: ClassVar[frozenset[str] | None] = None
    """The methods to which it can be applied; None for all."""

    protocols: ClassVar[frozenset[str]] = frozenset({HTTP1, HTTP2})
    """The protocols that can express it."""

    endpoints: ClassVar[frozenset[Endpoint] | None] = None
    """The endpoints at which it can have an effect; None for all."""

    clients: ClassVar[str]
    """Full sentences that say which clients are known to fail, and how."""

    example: ClassVar[str]
    """Parameters for the examples in the help, as an image path spells them; empty for the defaults."""

    @abstractmethod
    async def apply(self, context: FaultContext) -> None:
        """Apply the fault to one exchange."""

    def inapplicable_reason(self, exchange: Exchange) -> str | None:
        """Return why the fault cannot be applied to a request that its rule matches, or None.

        Subclasses add reasons that depend on their parameters.
        """
        if exchange.protocol not in self.protocols:
            return f"{exchange.protocol} cannot express it"
        return None

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        """Return why the fault would not change a response with that head, or None if it might.

        Subclasses override this if the request, the status or the headers can show it.
        """
        del exchange, head
        return None

    def conflict_reason(self, match: Match, endpoints: Collection[Endpoint]) -> str | None:
        """Return why the fault can never be applied to what a rule matches at these endpoints, or None.

        The reason is one line. Subclasses add reasons that depend on their parameters.
        """
        if match.protocol is not None and match.protocol not in self.protocols:
            spelled = " and ".join(sorted(self.protocols))
            return f"{self.name} needs protocol {spelled}, and match.protocol is {match.protocol}"
        if self.methods is not None and not any(map(match.allows, self.methods)):
            spelled = ", ".join(sorted(self.methods))
            return f"{self.name} applies only to {spelled}, and match.method is {match.method}"
        if self.endpoints is not None and not self.endpoints & set(endpoints):
            spelled = ", ".join(sorted(self.endpoints))
            return f"{self.name} applies only at {spelled}, and the endpoint is {next(iter(endpoints))}"
        return None

    @property
    def is_final(self) -> bool:
        """Return whether the faults that it wraps, and the registry, never get a request to respond to."""
        return False

    def shadows(self, inner: "Fault") -> bool:
        """Return whether `inner` is never reached if this fault wraps it."""
        is_always = (
            type(self).inapplicable_reason is Fault.inapplicable_reason and inner.protocols <= self.protocols
        )
        covers = self.methods is None or (inner.methods is not None and inner.methods <= self.methods)
        return self.is_final and is_always and covers

    @classmethod
    def family(cls) -> str:
        """Return the family of the fault: its module or folder in the catalogue."""
        return cls.__module__.removeprefix(f"{__package__}.").partition(".")[0]

    @classmethod
    def summary(cls) -> str:
        """Return the first line of the help."""
        return (cls.__doc__ or "").partition("\n")[0]

    @classmethod
    def applies_to(cls, method: str) -> bool:
        """Return whether the fault can be applied to a request with that method."""
        return cls.methods is None or method in cls.methods

    @classmethod
    def short_form(cls, tag: str) -> dict[str, str] | None:
        """Return the parameters of a tag in the short form of the predecessor (`404`), or None."""
        del tag
        return None

    @classmethod
    def tag_problem(cls, tag: str, problem: str) -> str:
        """Return the error message for an invalid tag."""
        return f"broken/{cls.name}:{tag}: {problem} (for example broken/{cls.name}:{cls.example or 'latest'})"

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """Return a fault with these parameters. Raise `ValueError` with one line that names the wrong one."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ValueError(first_problem(error, cls)) from None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that were given, in the form that JSON has."""
        return self.model_dump(mode="json", exclude_unset=True)

    def spelled(self) -> str:
        """Return the given parameters as an image path spells them: `key-value`, joined by `_`."""
        given = self.parameters()
        return join_params({name: _text(given[name]) for name in sorted(given) if given[name] is not None})


class RespondingFault(Fault):
    """A fault that responds in place of the registry, which may have carried out the request before."""

    processed: bool = Field(
        False,
        description="whether the registry carries out the request first; its response is dropped. Only POST, "
        "PUT, PATCH and DELETE are carried out",
    )

    def conflict_reason(self, match: Match, endpoints: Collection[Endpoint]) -> str | None:
        if "processed" in self.model_fields_set and self.processed and not any(map(match.allows, CHANGES)):
            return f"processed needs POST, PUT, PATCH or DELETE, and match.method is {match.method}"
        return super().conflict_reason(match, endpoints)

    @property
    def is_final(self) -> bool:
        return not self.processed

    async def apply(self, context: FaultContext) -> None:
        if self.processed and context.exchange.method in CHANGES:
            await context.carry_out()
        await self.respond(context)

    @abstractmethod
    async def respond(self, context: FaultContext) -> None:
        """Respond in place of the registry."""


class ConnectFault(Fault):
    """A fault that is applied to a connection, before there is a request or an exchange."""

    default_endpoint: ClassVar[str] = "connect"

    @abstractmethod
    def decision(self, registry_view: RegistryView) -> AcceptDecision:
        """Return what to do with the connection. Raise `OSError` if the fault cannot be applied."""

    async def apply(self, context: FaultContext) -> None:
        raise NotImplementedError(f"{self.name} is applied before there is a request")


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first error of an invalid document, as one line that names the parameter."""
    names = [part for part in error_location(error) if isinstance(part, str)]
    name = ".".join(spell(part) for part in names)
    return f"{name}: {describe_error(error, model)}" if name else describe_error(error, model)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
