"""What a fault is: one kind of failure with its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from brokenreg.faults.context import FaultContext, Head
from brokenreg.faults.registry_view import RegistryView
from brokenreg.oci.params import join_params, spell
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.matching import Match
from brokenreg.validation import place_of, told
from brokenreg.wire.inbound_connection import AcceptDecision

ANY = "any"
"""In place of an endpoint: all that a request can address."""

BLOB = "blob"
"""In place of an endpoint: config or layer."""

HTTP1, HTTP2 = "http/1.1", "h2"

READS = frozenset({"GET", "HEAD"})
WRITES = frozenset({"POST", "PATCH", "PUT"})


class Fault(BaseModel, ABC):
    """One kind of failure with its parameters.

    A subclass is one entry of the catalogue. Its docstring says what goes over the wire: one line first, then
    the rest. Its fields are its parameters.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    default_endpoint: ClassVar[str]
    """Where it is applied unless a rule says otherwise: an endpoint, `blob` or `any`."""

    methods: ClassVar[frozenset[str] | None] = None
    """The methods that it can strike; None for all."""

    protocols: ClassVar[frozenset[str]] = frozenset({HTTP1, HTTP2})
    """The protocols that can express it."""

    endpoints: ClassVar[frozenset[Endpoint] | None] = None
    """The endpoints at which it can change anything; None for all."""

    responds: ClassVar[bool] = False
    """Whether it answers in the registry's stead, so that nothing further inside is asked."""

    clients: ClassVar[str]
    """Which clients are known to care, and how."""

    example: ClassVar[str]
    """Parameters that show it, as a path spells them; empty for the defaults."""

    @abstractmethod
    async def apply(self, context: FaultContext) -> None:
        """Spoil one exchange."""

    def inapplicable_reason(self, exchange: Exchange) -> str | None:
        """Why it cannot strike that exchange though its rule matches; None if it can.

        A subclass adds to this what depends on its parameters.
        """
        if exchange.protocol not in self.protocols:
            return f"{exchange.protocol} cannot express it"
        return None

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        """Return why it would change nothing of a response with that head; None if it would, or may.

        A subclass says so where the request, status or headers suffice to tell. What else turns out to
        have no effect, it finds out when it is applied.
        """
        del exchange, head
        return None

    def conflict_reason(self, match: Match, endpoints: Collection[Endpoint]) -> str | None:
        """Why it can never be applied to what a rule matches at these endpoints, in one line; None if it can.

        A subclass adds to this what depends on its parameters.
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

    def shadows(self, inner: Fault) -> bool:
        """True if `inner` is never reached where this one is nearer to the client."""
        is_always = (
            type(self).inapplicable_reason is Fault.inapplicable_reason and inner.protocols <= self.protocols
        )
        covers = self.methods is None or (inner.methods is not None and inner.methods <= self.methods)
        return self.responds and is_always and covers

    @classmethod
    def family(cls) -> str:
        """The family that it belongs to: the module or the folder of the catalogue that it is in."""
        return cls.__module__.removeprefix(f"{__package__}.").partition(".")[0]

    @classmethod
    def summary(cls) -> str:
        """One line of help."""
        return (cls.__doc__ or "").partition("\n")[0]

    @classmethod
    def applies_to(cls, method: str) -> bool:
        """Return whether it can be applied to a request with that method."""
        return cls.methods is None or method in cls.methods

    @classmethod
    def short_form(cls, tag: str) -> dict[str, str] | None:
        """Parameters of a tag in the predecessor's form; None if the tag is not in it."""
        del tag
        return None

    @classmethod
    def tag_problem(cls, tag: str, problem: str) -> str:
        """What a client is told of a tag that cannot be read."""
        return f"broken/{cls.name}:{tag}: {problem}; for instance broken/{cls.name}:{cls.example or 'latest'}"

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """From parameters as any door gives them. Raise `ValueError`, a line that names the parameter."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ValueError(first_problem(error, cls)) from None

    def parameters(self) -> dict[str, Any]:
        """The parameters that were given, as JSON has them."""
        return self.model_dump(mode="json", exclude_unset=True)

    def spelled(self) -> str:
        """The parameters that were given, in one canonical spelling (`key-value` joined by `_`)."""
        given = self.parameters()
        return join_params({name: _text(given[name]) for name in sorted(given) if given[name] is not None})


class ConnectFault(Fault):
    """A fault of the connection itself, before any request: it has no exchange to spoil."""

    default_endpoint: ClassVar[str] = "connect"
    responds: ClassVar[bool] = True

    @abstractmethod
    def decision(self, registry_view: RegistryView) -> AcceptDecision:
        """What is done with the connection. Raise `OSError` if it cannot be done."""

    async def apply(self, context: FaultContext) -> None:
        raise NotImplementedError(f"{self.name} strikes before there is a request")


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """The first thing wrong with what should have been a `model`, in one line that names the parameter."""
    names = [part for part in place_of(error) if isinstance(part, str)]
    name = ".".join(spell(part) for part in names)
    return f"{name}: {told(error, model)}" if name else told(error, model)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
