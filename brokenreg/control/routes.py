"""The table of routes of the control API, from which they are served and documented."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from quart import Response

from brokenreg.concurrency import paced
from brokenreg.control.problems import APIError
from brokenreg.oci.names import is_component
from brokenreg.oci.upstreams import is_upstream
from brokenreg.rules.rule import FieldError
from brokenreg.runtime.operations import Operations
from brokenreg.runtime.runtime import ALL_NAMESPACES, Runtime
from brokenreg.storage.records import CACHE_MARK
from brokenreg.traffic.bodies import Bodies
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filters import FilterError, parse_filter
from brokenreg.wording import quoted

JSON = "application/json"
YAML = "application/yaml"
"""The media type of YAML (RFC 9512)."""

MAX_LIMIT = 10_000
_AFTER = re.compile(r"[0-9]{1,15}|[0-9a-f]{1,32}/[0-9]{1,15}(,[0-9a-f]{1,32}/[0-9]{1,15}){0,99}")
_PARAMETER = re.compile(r"<(?:(int|path):)?([a-z_]+)>")

Model = TypeVar("Model", bound=BaseModel)


def _namespace(value: str) -> str:
    is_cache = value.startswith(CACHE_MARK) and is_upstream(value.removeprefix(CACHE_MARK))
    if value not in ("", ALL_NAMESPACES) and not is_component(value) and not is_cache:
        raise ValueError(
            f"invalid namespace {quoted(value)}: use a component of a repository name, as in broken/in/team, "
            f"or an upstream, as in {CACHE_MARK}quay.io"
        )
    return value


def _after(value: str) -> str:
    if _AFTER.fullmatch(value) is None:
        raise ValueError(
            f"invalid id {quoted(value)}: use a number, at most 15 digits, or REPLICA/NUMBER for each replica"
        )
    return value


class Query(BaseModel):
    """The query parameters of all routes. Each route accepts some of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: Annotated[str, AfterValidator(_namespace)] = Field(
        "",
        description="as in broken/in/<namespace>/...; @<upstream> for content cached from an upstream; "
        "by default the namespace without a name",
    )
    filter: str | None = Field(None, description="filter expression, for example `endpoint:layer status:5xx`")
    limit: int = Field(1000, ge=1, le=MAX_LIMIT, description="maximum number of results")
    after: Annotated[str, AfterValidator(_after)] = Field(
        "0",
        description="only exchanges with a higher ID; for several replicas, `1f0a93c2/17,0b12c3d4/20`",
    )
    replica: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="name of a replica of the fleet, from `GET /v1/status`, or `*` for all replicas",
    )


@dataclass(frozen=True, slots=True)
class APIRequest:
    """A request to the API: its path parameters, query parameters and body.

    `operations` changes the runtime, as far as the sender may.
    """

    operations: Operations
    path: Mapping[str, str | int]
    query: Query
    content: bytes
    content_type: str
    accept: str

    @property
    def id(self) -> int:
        """Return the id in the path."""
        return int(self.path["id"])

    def text(self, parameter: str) -> str:
        """Return a text parameter in the path."""
        return str(self.path[parameter])

    @property
    def namespace(self) -> str:
        return self.query.namespace

    @property
    def has_own_after(self) -> bool:
        """Return whether `after` is an id without its replica."""
        return self.query.after.isdigit() and int(self.query.after) > 0

    @property
    def after(self) -> int:
        """Return the id that `after` has for the replica that the request names, or 0."""
        for each in self.query.after.split(","):
            replica, _, number = each.rpartition("/")
            if replica in ("", self.query.replica):
                return int(number)
        return 0

    def one_namespace(self) -> str:
        """Return the namespace. Raise `APIError` 400 if the request names all namespaces."""
        if self.query.namespace == ALL_NAMESPACES:
            raise APIError(
                400, f'invalid namespace "{ALL_NAMESPACES}": name one namespace', field="namespace"
            )
        return self.query.namespace

    def concerns(self, exchange: Exchange) -> bool:
        """Return whether an exchange is in the namespace."""
        return self.namespace in (ALL_NAMESPACES, exchange.target.namespace)

    def filtered(self, bodies: Bodies | None = None) -> Callable[[Exchange], bool]:
        """Return a predicate for exchanges in the namespace that match the filter. Raise `APIError` 400.

        The filter may search `bodies`.
        """
        try:
            matches = parse_filter(self.query.filter or "", bodies=bodies)
        except FilterError as error:
            raise APIError(400, str(error), field="filter", problem=str(error)) from None
        return lambda exchange: self.concerns(exchange) and matches(exchange)

    def document(self) -> Any:
        """Return the body as JSON. Raise `APIError` 400."""
        try:
            return json.loads(self.content, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
        except RecursionError:
            raise APIError(400, "the body is JSON that is nested too deeply") from None
        except ValueError as error:
            raise APIError(400, f"the body is not JSON: {error}") from None

    def model(self, kind: type[Model]) -> Model:
        """Return the body as a model; an empty body means all defaults. Raise `APIError` or `FieldError`."""
        document = self.document() if self.content.strip() else {}
        try:
            return kind.model_validate(document)
        except ValidationError as error:
            raise FieldError.of(error, kind) from None


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object. Raise `ValueError` for duplicate keys, which are ambiguous (RFC 8259)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for place, key in enumerate(keys) if key in keys[:place])
        raise ValueError(f'the key "{repeated[:100]}" is repeated')
    return found


Handler = Callable[[Runtime, APIRequest], Awaitable[Response]]

Merge = Callable[[Runtime, APIRequest, Mapping[str, bytes]], Awaitable[Response]]
"""Makes one response of the bodies that the replicas with these names responded with."""


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a path in Quart's syntax (`/v1/rules/<int:id>`), described by its handler's docstring.

    `query` names the parameters of `Query` that the route accepts. `body` and `answer` are the types of the
    documents, or None. `reads` is true if the route changes nothing, although its method is not GET.
    `is_shared` is true if it changes rules or breakpoints, which all replicas of a fleet share.
    `merge` makes one response of those of all replicas of a fleet; None if `replica=*` is refused. It is also
    used without `replica`, unless `is_of_one_replica` is true. If `gathers` is true, the handler itself
    gathers from all replicas, or from the one that the request names.
    `problems` are the error statuses that only some routes have. `example` is a valid body.
    """

    method: str
    path: str
    handler: Handler
    query: tuple[str, ...] = ()
    body: type[BaseModel] | None = None
    body_types: tuple[str, ...] = (JSON,)
    answer: type[object] | None = None
    answer_types: tuple[str, ...] = (JSON,)
    status: int = 200
    problems: tuple[int, ...] = ()
    merge: Merge | None = None
    is_of_one_replica: bool = False
    gathers: bool = False
    example: str | None = None
    reads: bool = False
    is_shared: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Return whether it is refused with the read token. True unless the table says otherwise."""
        return self.method != "GET" and not self.reads

    @property
    def template(self) -> str:
        """Return the path in the syntax of OpenAPI (`/v1/rules/{id}`)."""
        return _PARAMETER.sub(r"{\2}", self.path)

    @property
    def path_parameters(self) -> list[tuple[str, str]]:
        """Return (name, kind) of the path parameters; a kind is `int`, `path` (with slashes) or empty."""
        return [(name, kind) for kind, name in _PARAMETER.findall(self.path)]

    @property
    def description(self) -> str:
        """Return the description of the route."""
        return " ".join((self.handler.__doc__ or "").split())

    @property
    def name(self) -> str:
        """Return the identifier of the route."""
        return self.handler.__name__


def json_response(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a JSON document, which may contain models."""
    return Response(_to_json(document), status, headers=dict(headers or {}), content_type=JSON)


async def json_list(documents: Iterable[object]) -> Response:
    """Return a response with a JSON array, encoded in slices so that the event loop is not blocked."""
    return json_array([part async for part in paced(map(_to_json, documents))])


_SEPARATOR = ",\n"
"""What separates the documents of an array. No document contains a line break."""


def json_array(documents: Iterable[str]) -> Response:
    """Return a response with a JSON array of documents that are encoded."""
    return Response(f"[{_SEPARATOR.join(documents)}]", content_type=JSON)


def documents_in(array: bytes) -> list[bytes]:
    """Return the encoded documents of a body that `json_array` created."""
    content = array[1:-1]
    return content.split(_SEPARATOR.encode("ascii")) if content else []


def no_content() -> Response:
    """Return a response with status 204, without body and Content-Type."""
    response = Response(status=204)
    del response.headers["content-type"]
    return response


def _to_json(document: object) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=_dump)


def _dump(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value)} cannot be JSON")
