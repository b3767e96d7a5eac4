"""The fault that replaces the body of a response, or changes members of its JSON."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    model_validator,
)

from brokenreg.faults.catalogue.base import ANY, Fault
from brokenreg.faults.catalogue.headers import HeaderValue
from brokenreg.faults.context import FaultContext, ResponseFilter
from brokenreg.faults.response_head import Head
from brokenreg.oci.mediatypes import MAX_MANIFEST, has_too_many_values
from brokenreg.traffic.exchange import Exchange
from brokenreg.validation import InvalidValueError

MAX_BODY = 1024 * 1024
"""Maximum size of a body, in bytes."""

_HTML, _XML, _TEXT = "text/html; charset=utf-8", "application/xml", "text/plain; charset=utf-8"

_NAMED = {
    "empty": (_TEXT, ""),
    "sign-in": (
        _HTML,
        "<!doctype html><title>Sign in</title><form method=post><h1>Sign in</h1>"
        "<label>User <input name=user></label> <label>Password <input type=password name=password></label>"
        "<button>Sign in</button></form>\n",
    ),
    "blocked": (
        _HTML,
        "<!doctype html><title>403 ERROR</title><h1>403 ERROR</h1><p>The request could not be satisfied."
        "<p>Request blocked.\n",
    ),
    "captcha": (
        _HTML,
        "<!doctype html><title>One moment</title><h1>Please confirm that you are a person</h1>"
        "<p>This page needs JavaScript and cookies.\n",
    ),
    "not-allowed": (
        _HTML,
        "<html>\r\n<head><title>405 Not Allowed</title></head>\r\n<body>\r\n<center><h1>405 Not Allowed</h1>"
        "</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
    ),
    "access-denied": (
        _XML,
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
        "<Message>Access Denied</Message></Error>",
    ),
}
"""The bodies that an image path can name, with their Content-Type."""

Name = Literal["empty", "sign-in", "blocked", "captcha", "not-allowed", "access-denied"]
Member = Annotated[str, StringConstraints(min_length=1, max_length=256)]


def _read_value(value: Any) -> Any:
    """Return what a text stands for: in YAML and on the command line, `5` is the text 5 at first."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return _with_each(_read_value, value)


def _write_value(value: Any) -> Any:
    """Return a value so that `_read_value` returns it again."""
    if isinstance(value, str):
        return value if _read_value(value) == value else json.dumps(value)
    return _with_each(_write_value, value)


def _with_each(change: Callable[[Any], Any], value: Any) -> Any:
    """Return a list or an object with each value changed; any other value as it is."""
    if isinstance(value, list):
        return [change(each) for each in value]
    if isinstance(value, dict):
        return {key: change(each) for key, each in value.items()}
    return value


Value = Annotated[Any, BeforeValidator(_read_value), PlainSerializer(_write_value)]
"""A JSON value. A text that is JSON stands for that value, so the text `5` is written as `"5"` in quotes."""


def _check_base64(text: str) -> str:
    try:
        size = len(base64.b64decode(text, validate=True))
    except ValueError:  # binascii.Error, or a character beyond ASCII
        raise InvalidValueError("use base64, as in RFC 4648, section 4") from None
    if size > MAX_BODY:
        raise InvalidValueError(f"use at most {MAX_BODY} bytes")
    return text


class Body(Fault):
    """Replaces the body of a response, or changes members of its JSON. The status stays the same.

    Set one of these; the default is `sign-in` as `named`:

    - `named`: a body by name, such as the page of a login portal, with its Content-Type
    - `text`: the body itself
    - `base64`: the body in base64
    - `file`: a file of at most 1 MiB; its path is relative to the scenario file. You can use it only in
      a scenario file that you name on the command line; its content then becomes `text` or `base64`
    - `members` and `remove`: the JSON of the registry, where these members have another value (null is also
      a value) or are missing. `token` is a member of the document itself, and `layers.0.size` a member of a
      part of it. `5`, `true` and `[]` are JSON; to get the text 5, write `'"5"'`

    `content_type` replaces the Content-Type. The digest headers stay as the registry sends them.
    """

    name = "body"
    default_endpoint = ANY
    clients = (
        "Clients that parse a page as JSON fail without saying what they got (apache/arrow#40746, "
        "curiefense#824). Some panic if a member has another type than they expect."
    )
    example = "named-sign-in"

    named: Name | None = Field(None, description="name of a body")
    text: str | None = Field(None, max_length=MAX_BODY, description="the body")
    base64: Annotated[str, AfterValidator(_check_base64)] | None = Field(
        None, description="the body in base64"
    )
    file: str | None = Field(None, description="path of a file with the body")
    members: dict[Member, Value] | None = Field(
        None, min_length=1, max_length=100, description="values of members of the registry's JSON"
    )
    remove: tuple[Member, ...] | None = Field(
        None, min_length=1, max_length=100, description="members to remove from the registry's JSON"
    )
    content_type: HeaderValue | None = Field(
        None, description="Content-Type; by default that of the named body, or the registry's"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.file is not None:
            raise ValueError("file is only for scenario files that are given on the command line")
        whole = [each for each in (self.named, self.text, self.base64) if each is not None]
        if len(whole) + (self.members is not None or self.remove is not None) > 1:
            raise ValueError(
                "named, text, base64, file, and members with remove exclude each other; keep one"
            )
        return self

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        if exchange.method == "HEAD" or head.status in (204, 304):
            return "the response has no body"
        if self.members is None and self.remove is None:
            return None
        if head.length is None or head.length > MAX_MANIFEST:
            return "the body is not a document of known length, at most 4 MiB"
        return None

    async def apply(self, context: FaultContext) -> None:
        if self.members is not None or self.remove is not None:
            await _ChangedMembers(context, self).run()
        else:
            await _Replaced(context, self).run()

    def replacement(self) -> tuple[str | None, bytes]:
        """Return the Content-Type, None for that of the registry, and the body."""
        if self.base64 is not None:
            return self.content_type, base64.b64decode(self.base64)
        if self.text is not None:
            return self.content_type, self.text.encode()
        content_type, text = _NAMED[self.named or "sign-in"]
        return self.content_type or content_type, text.encode()

    def changed(self, body: bytes) -> bytes | None:
        """Return a JSON document with other members. None if it is not JSON, or stays the same."""
        try:
            document = None if has_too_many_values(body) else json.loads(body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(document, dict):
            return None
        for path, value in (self.members or {}).items():
            _set(document, path.split("."), value)
        for path in self.remove or ():
            _remove(document, path.split("."))
        changed = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
        return None if json.loads(changed) == json.loads(body) else changed


class _Replaced(ResponseFilter):
    """Sends another body in place of the registry's."""

    def __init__(self, context: FaultContext, fault: Body) -> None:
        super().__init__(context, fault.no_effect_reason)
        self._content_type, self._body = fault.replacement()
        self._is_sent = False

    async def head(self, head: Head) -> None:
        head.set("content-length", str(len(self._body)))
        if self._content_type is not None:
            head.set("content-type", self._content_type)
        self.context.mark_wrong_bytes()
        await super().head(head)

    async def body(self, data: bytes, *, more: bool) -> None:
        if not self._is_sent:
            self._is_sent = True
            await super().body(self._body, more=more)
        elif not more:
            await super().body(b"", more=False)


class _ChangedMembers(ResponseFilter):
    """Collects a document, and sends it with other members."""

    def __init__(self, context: FaultContext, fault: Body) -> None:
        super().__init__(context, fault.no_effect_reason)
        self._fault = fault
        self._head: Head | None = None
        self._parts: list[bytes] = []

    async def head(self, head: Head) -> None:
        self._head = head

    async def body(self, data: bytes, *, more: bool) -> None:
        self._parts.append(data)
        if more or self._head is None:
            return
        body = b"".join(self._parts)
        changed = await asyncio.to_thread(self._fault.changed, body)
        if changed is None:
            self.context.no_effect("the document is not a JSON object, or stays the same")
        else:
            body = changed
            self.context.mark_wrong_bytes()
            self._head.set("content-length", str(len(body)))
            if self._fault.content_type is not None:
                self._head.set("content-type", self._fault.content_type)
        await super().head(self._head)
        await super().body(body, more=False)


def _set(value: Any, path: list[str], new: Any) -> None:
    """Set a member, which may be new, of the document or of an existing part of it."""
    place = _part(value, path[:-1])
    if isinstance(place, dict):
        place[path[-1]] = new
    elif isinstance(place, list) and (number := _number(path[-1], place)) is not None:
        place[number] = new


def _remove(value: Any, path: list[str]) -> None:
    place = _part(value, path[:-1])
    if isinstance(place, dict):
        place.pop(path[-1], None)
    elif isinstance(place, list) and (number := _number(path[-1], place)) is not None:
        del place[number]


def _part(value: Any, path: list[str]) -> Any:
    """Return a part of a document; None if it does not exist."""
    for name in path:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and (number := _number(name, value)) is not None:
            value = value[number]
        else:
            return None
    return value


def _number(name: str, listed: list[Any]) -> int | None:
    number = int(name) if name.isdecimal() and len(name) < 8 else len(listed)
    return number if number < len(listed) else None
