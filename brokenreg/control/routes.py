"""What a route is: the table from which requests are dispatched and /openapi.json and /docs are made."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from quart import Response

from brokenreg.concurrency import paced
from brokenreg.control.problems import Problem
from brokenreg.oci.names import is_component
from brokenreg.oci.upstreams import is_upstream
from brokenreg.rules.rule import FieldError
from brokenreg.runtime.runtime import ALL_NAMESPACES, Runtime
from brokenreg.storage.records import CACHE_MARK
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.filters import FilterError, parse_filter

JSON = "application/json"
YAML = "application/yaml"
"""RFC 9512."""

MAX_LIMIT = 10_000
_PARAMETER = re.compile(r"<(?:(int|path):)?([a-z_]+)>")

Model = TypeVar("Model", bound=BaseModel)


def _namespace(value: str) -> str:
    is_cache = value.startswith(CACHE_MARK) and is_upstream(value.removeprefix(CACHE_MARK))
    if value not in ("", ALL_NAMESPACES) and not is_component(value) and not is_cache:
        raise ValueError(
            f"{value[:100]!r} is no namespace: one component of a repository name, as in broken/in/<it>, or "
            f"an upstream, as in {CACHE_MARK}quay.io"
        )
    return value


class Query(BaseModel):
    """The query parameters that routes choose from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: Annotated[str, AfterValidator(_namespace)] = Field(
        "",
        description="as in broken/in/<namespace>/...; @<upstream> for what is cached of it; "
        "absent: the one without a name",
    )
    filter: str | None = Field(
        None, description="a filter expression, for instance `endpoint:layer status:5xx`"
    )
    limit: int = Field(1000, ge=1, le=MAX_LIMIT, description="the newest so many at most")
    after: int = Field(0, ge=0, le=2**53, description="those with a higher id alone")


@dataclass(frozen=True, slots=True)
class APIRequest:
    """One request to a route: what stands in its path, its query, its body."""

    path: Mapping[str, Any]
    query: Query
    content: bytes
    content_type: str
    accept: str

    @property
    def namespace(self) -> str:
        return self.query.namespace

    def one_namespace(self) -> str:
        """The namespace, of which there must be one. Raise `Problem` 400."""
        if self.query.namespace == ALL_NAMESPACES:
            raise Problem(400, "one namespace is wanted here, not all", field="namespace")
        return self.query.namespace

    def concerns(self, exchange: Exchange) -> bool:
        """Whether an exchange is of the namespace that was asked for."""
        return self.namespace in (ALL_NAMESPACES, exchange.target.namespace)

    def filtered(self) -> Callable[[Exchange], bool]:
        """Whether an exchange is of the namespace and passes the filter. Raise `Problem` 400."""
        try:
            matches = parse_filter(self.query.filter or "")
        except FilterError as error:
            raise Problem(400, str(error), field="filter") from None
        return lambda exchange: self.concerns(exchange) and matches(exchange)

    def document(self) -> Any:
        """The body as JSON. Raise `Problem` 400."""
        try:
            return json.loads(self.content, parse_constant=_refuse_constant, object_pairs_hook=_without_twins)
        except RecursionError:
            raise Problem(400, "the body is JSON nested too deep") from None
        except ValueError as error:
            raise Problem(400, f"the body is not JSON: {error}") from None

    def model(self, kind: type[Model]) -> Model:
        """The body as that model; an empty one has all defaults. Raise `Problem` 400, or `FieldError`."""
        document = self.document() if self.content.strip() else {}
        try:
            return kind.model_validate(document)
        except ValidationError as error:
            raise FieldError.of(error, kind) from None


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Which of two equal keys was meant, nobody knows (RFC 8259, section 4)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for place, key in enumerate(keys) if key in keys[:place])
        raise ValueError(f"the key {twin[:100]!r} stands there twice")
    return found


Handler = Callable[[Runtime, APIRequest], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path, as Quart writes paths (`/v1/rules/<int:id>`).

    `query` names the parameters of `Query` that it takes; `body` and `answer` are models or other types for
    the document, and None where there is none; `problems` are the error statuses of its own. `example` is a
    body that works. What people read of it is the handler's docstring.
    """

    method: str
    path: str
    handler: Handler
    query: tuple[str, ...] = ()
    body: Any = None
    body_types: tuple[str, ...] = (JSON,)
    answer: Any = None
    answer_types: tuple[str, ...] = (JSON,)
    status: int = 200
    problems: tuple[int, ...] = ()
    example: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def template(self) -> str:
        """The path as OpenAPI writes it."""
        return _PARAMETER.sub(r"{\2}", self.path)

    @property
    def path_parameters(self) -> list[tuple[str, str]]:
        """(name, kind) of what stands in the path; a kind is `int`, `path` (slashes within) or empty."""
        return [(name, kind) for kind, name in _PARAMETER.findall(self.path)]

    @property
    def words(self) -> str:
        """What it does, for people."""
        return " ".join((self.handler.__doc__ or "").split())

    @property
    def name(self) -> str:
        """A word for it, for programs."""
        return self.handler.__name__


def json_response(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`document` as JSON; models within are dumped."""
    return Response(_written(document), status, headers=dict(headers or {}), content_type=JSON)


async def json_list(documents: Iterable[Any]) -> Response:
    """A JSON array of `documents`, made one by one: a long list stops nobody else for long."""
    parts = [part async for part in paced(map(_written, documents))]
    return Response(f"[{','.join(parts)}]", content_type=JSON)


def no_content() -> Response:
    """204, which has neither a body nor a type of it."""
    response = Response(status=204)
    del response.headers["content-type"]
    return response


def _written(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=_dumped)


def _dumped(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value)} is no JSON")
