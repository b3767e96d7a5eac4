"""The base classes of all faults, and how to write one.

A fault is a subclass of `Fault` in a module of this package. `__init__.py` imports it and has it in the tuple
of its family; a new family also needs a line in `CATALOGUE`.

    from pydantic import Field

    from brokenreg.faults.catalogue.base import Fault
    from brokenreg.faults.catalogue.parameters import Size
    from brokenreg.faults.context import FaultContext

    class Teapot(Fault):
        '''Responds with 418 and a body of `size` bytes.

        Further paragraphs say what exactly is sent.
        '''

        name = "teapot"
        default_endpoint = "manifest"
        responds = True
        clients = "none that we know of"
        example = "size-1kib"

        size: Size = Field(0, description="bytes of the body")

        async def apply(self, context: FaultContext) -> None:
            await context.respond(418, {"content-type": "text/plain"}, bytes(self.size))

Everything else is derived from the class: image paths, rules, scenarios, the control API, the command line,
the form in the panel, JSON Schema and docs/reference/faults.md (`brokenreg faults --markdown` prints it).

- The docstring is the help. Its first line is the summary; parameters are in backticks.
- The module (or the folder) is the family under which the fault is listed.
- The fields are the parameters. Use the types of `parameters.py` (`Size`, `Duration`, ...), or `HeaderName`
  and `HeaderValue` of `headers.py`: they can be written in a path. Each field has a description and, where
  possible, a default. Literals must be lower case, because paths are.
- `apply` either responds itself (`context.respond`, `context.respond_error`, `context.cut`), or lets the
  registry respond: `context.forward_changed` changes status and headers, a `ResponseFilter` also the body,
  `context.fetch` returns a whole document. Several faults of one exchange wrap each other, and `context.app`
  is the next one.
- Randomness comes from `context.random`. To remember something between exchanges, declare a class for it and
  call `context.memory.get`; bound its size.
- Responses to HEAD also reach the fault: set `methods`, or return `ends_before(...)` of `parameters.py` from
  `no_effect_reason`. It does not know 204 and 304.
- Protocol `http/1.1` includes HTTP/1.0: check `exchange.http_version` where chunks or keep-alive matter.

When a fault changes nothing, its rule does not count as applied:

- If the rule shows it, override `conflict_reason`: the rule is refused.
- If the method shows it, set `methods`: the rule does not match, and the timeline does not mention it.
- If the request shows it, override `inapplicable_reason`: the rule does not match, and the timeline says why.
- If status and headers show it, override `no_effect_reason`. A `ResponseFilter` that gets this method calls
  it; otherwise `apply` must. The rule matches.
- If the body shows it, `apply` calls `context.no_effect` and forwards the response unchanged. The rule
  matches.

The panel calls `inapplicable_reason` and `no_effect_reason` before it adds a rule.

What HTTP cannot express is sent by the wire. `context.write` sends bytes outside of the framing, and
`context.cut` ends a connection or stream. After a `write` there must be a `cut`: the connection closes, and
the exchange is `aborted`. If only HTTP/1.1 can express the fault, set `protocols`. If Content-Length is
removed (`Head.remove`), the server sends the body in chunks. What HTTP can express but the server cannot (a
slow head) is a key of `http.response.start` in `http/asgi.py`, as `PACE` is. Such a key also passes the other
faults of the exchange, while a key of `http.response.body` does not.

The test belongs to `tests/faults`. The fixtures `each` (plain, TLS, HTTP/2) and `http1` of
`tests/conftest.py` are `Registry` objects (`tests/running_registry.py`): `push` pushes an image, `rule` adds
a rule for a block, `ask` returns the response byte for byte, `rule_state` has the counters `matched` and
`applied`. Tests that go through all faults include a new one without a change. Two things are generated:
docs/reference/faults.md, and the panel's pictures (`make screenshots`), which list the faults.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from brokenreg.faults.context import FaultContext, Head
from brokenreg.faults.registry_view import RegistryView
from brokenreg.listening.inbound_connection import AcceptDecision
from brokenreg.oci.params import join_params, spell
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.matching import Match
from brokenreg.validation import describe_error, error_location

ANY = "any"
"""In place of an endpoint: everything that a request can address."""

BLOB = "blob"
"""In place of an endpoint: config or layer."""

HTTP1, HTTP2 = "http/1.1", "h2"

READS = frozenset({"GET", "HEAD"})
WRITES = frozenset({"POST", "PATCH", "PUT"})


class Fault(BaseModel, ABC):
    """One kind of failure with its parameters, which are its fields. Its docstring is its help."""

    # Built when first used; and this module is without `from __future__ import annotations`, or pydantic
    # would compile the annotations below for each of the faults. Both would be a tenth of a start.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: ClassVar[str]
    default_endpoint: ClassVar[str]
    """Where it is applied unless a rule says otherwise: an endpoint, `blob` or `any`."""

    methods: ClassVar[frozenset[str] | None] = None
    """The methods to which it can be applied; None for all."""

    protocols: ClassVar[frozenset[str]] = frozenset({HTTP1, HTTP2})
    """The protocols that can express it."""

    endpoints: ClassVar[frozenset[Endpoint] | None] = None
    """The endpoints at which it can have an effect; None for all."""

    responds: ClassVar[bool] = False
    """True if it responds in place of the registry, so that faults further inside are never reached."""

    clients: ClassVar[str]
    """Which clients are known to fail, and how."""

    example: ClassVar[str]
    """Parameters for the examples in its help, as a path spells them; empty for the defaults."""

    @abstractmethod
    async def apply(self, context: FaultContext) -> None:
        """Apply the fault to one exchange."""

    def inapplicable_reason(self, exchange: Exchange) -> str | None:
        """Return why it cannot be applied to a request that its rule matches, or None.

        A subclass adds the reasons that depend on its parameters.
        """
        if exchange.protocol not in self.protocols:
            return f"{exchange.protocol} cannot express it"
        return None

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        """Return why it would change nothing of a response with that head, or None if it would, or might.

        A subclass overrides it if the request, the status or the headers suffice to tell.
        """
        del exchange, head
        return None

    def conflict_reason(self, match: Match, endpoints: Collection[Endpoint]) -> str | None:
        """Return in one line why it can never be applied to what a rule matches at these endpoints, or None.

        A subclass adds the reasons that depend on its parameters.
        """
        if match.protocol is not None and match.protocol not in self.protocols:
            spelled = " and ".join(sorted(self.protocols))
            return f"match.protocol is {match.protocol}, and {self.name} is for {spelled}"
        if self.methods is not None and not any(map(match.allows, self.methods)):
            spelled = ", ".join(sorted(self.methods))
            return f"{self.name} is for {spelled}, and match.method is {match.method}"
        if self.endpoints is not None and not self.endpoints & set(endpoints):
            spelled = ", ".join(sorted(self.endpoints))
            return f"{self.name} has an effect at {spelled}, and the endpoint is {next(iter(endpoints))}"
        return None

    def shadows(self, inner: "Fault") -> bool:
        """Return whether `inner` is never reached if this fault is nearer to the client."""
        is_always = (
            type(self).inapplicable_reason is Fault.inapplicable_reason and inner.protocols <= self.protocols
        )
        covers = self.methods is None or (inner.methods is not None and inner.methods <= self.methods)
        return self.responds and is_always and covers

    @classmethod
    def family(cls) -> str:
        """Return its family: the module or the folder of the catalogue that it is in."""
        return cls.__module__.removeprefix(f"{__package__}.").partition(".")[0]

    @classmethod
    def summary(cls) -> str:
        """Return the first line of its help."""
        return (cls.__doc__ or "").partition("\n")[0]

    @classmethod
    def applies_to(cls, method: str) -> bool:
        """Return whether it can be applied to a request with that method."""
        return cls.methods is None or method in cls.methods

    @classmethod
    def short_form(cls, tag: str) -> dict[str, str] | None:
        """Return the parameters of a tag in the predecessor's form, or None if it has another form."""
        del tag
        return None

    @classmethod
    def tag_problem(cls, tag: str, problem: str) -> str:
        """Return the error message for a tag that is invalid."""
        return f"broken/{cls.name}:{tag}: {problem}; for instance broken/{cls.name}:{cls.example or 'latest'}"

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """Return the fault with these parameters. Raise `ValueError`: one line that names the parameter."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ValueError(first_problem(error, cls)) from None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that were given, as JSON."""
        return self.model_dump(mode="json", exclude_unset=True)

    def spelled(self) -> str:
        """Return the parameters that were given as a path spells them: `key-value`, joined by `_`."""
        given = self.parameters()
        return join_params({name: _text(given[name]) for name in sorted(given) if given[name] is not None})


class ConnectFault(Fault):
    """A fault of a connection, which is applied before there is a request or an exchange."""

    default_endpoint: ClassVar[str] = "connect"
    responds: ClassVar[bool] = True

    @abstractmethod
    def decision(self, registry_view: RegistryView) -> AcceptDecision:
        """Return what to do with the connection. Raise `OSError` if that is impossible."""

    async def apply(self, context: FaultContext) -> None:
        raise NotImplementedError(f"{self.name} is applied before there is a request")


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first error of a document that is no valid `model`: one line that names the parameter."""
    names = [part for part in error_location(error) if isinstance(part, str)]
    name = ".".join(spell(part) for part in names)
    return f"{name}: {describe_error(error, model)}" if name else describe_error(error, model)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
