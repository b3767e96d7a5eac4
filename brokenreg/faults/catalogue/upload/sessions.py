"""Upload faults: sessions that are lost, have an unusual Location, or report a wrong range."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import Field

from brokenreg.faults.catalogue.addresses import another_address
from brokenreg.faults.catalogue.base import Fault
from brokenreg.faults.catalogue.parameters import Size
from brokenreg.faults.context import FaultContext
from brokenreg.faults.response_head import Head
from brokenreg.http.asgi import Scope
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.matching import Match

_SESSION = frozenset({"PATCH", "PUT", "GET", "DELETE"})
_STATE = "_state"


class UploadLost(Fault):
    """Loses an upload session: responds with 404 (code BLOB_UPLOAD_UNKNOWN) from request `step` on.

    The POST that starts the session is request 1. So request 2 is the first PATCH, or the PUT of a client
    that sends the blob in one piece. A request that gets a 401 does not count. With `once`, only that request
    fails and the next one finds the session again, as behind a load balancer. To respond to the PUT with 401
    or 500, use `error` with `match.method`.
    """

    name = "upload-lost"
    default_endpoint = "upload"
    methods = _SESSION
    clients = (
        "Docker and podman upload the blob again from the start. skopeo 1.9 and containerd 1.6 give up "
        "(containerd#2385, image#756, containerization#790)."
    )
    example = "step-3"

    step: int = Field(
        2, ge=2, le=10**6, description="the request at which the session is lost; the POST is request 1"
    )
    once: bool = Field(False, description="whether only that request fails")

    async def apply(self, context: FaultContext) -> None:
        session = f"steps of {context.exchange.target.reference}"
        step = (await context.memory.add(session, first=1)).count
        if step == self.step or (step > self.step and not self.once):
            await context.respond_error(
                OCIError(404, ErrorCode.BLOB_UPLOAD_UNKNOWN, f"Session lost at step {step}, on purpose")
            )
        else:
            context.no_effect(f"step {step} of the session")

            async def count(head: Head) -> None:
                if head.status == 401:
                    await context.memory.add_to_existing(session, -1)

            await context.forward_noting(count)


class UploadLocation(Fault):
    """Sends the Location of an upload session in a form that clients often handle incorrectly.

    This changes the Location in responses to POST, PATCH and GET, and in a 416. The usual Location is an
    absolute path. `form` selects what is sent instead:

    - `absolute`: a URL with a host
    - `relative`: a reference relative to the path of the request (RFC 3986, section 4.2)
    - `query`: a path with a state in its query; the session is not found without it
    - `foreign`: a URL at the second origin, which accepts the upload and records credentials that arrive
      there
    - `other-scheme`, `other-host`, `no-port`: a URL with the scheme, the host or the port that a registry
      behind a proxy sends if it does not know its own address
    - `missing`: no Location
    - `garbage`: something that is not a URL
    """

    name = "upload-location"
    default_endpoint = "upload"
    endpoints = frozenset({Endpoint.UPLOAD})
    methods = _SESSION | {"POST"}
    clients = (
        "Some clients build the URL by hand, drop the query, or send credentials to any Location "
        "(image#756, containerization#790, oras-go#1197)."
    )
    example = "form-relative"

    form: Literal[
        "absolute",
        "relative",
        "query",
        "foreign",
        "other-scheme",
        "other-host",
        "no-port",
        "missing",
        "garbage",
    ] = Field("relative", description="form of the Location")

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        if self.form == "query" and exchange.target.reference:
            return None
        return None if _session_of(head) else f"the status is {head.status}, without a session"

    async def apply(self, context: FaultContext) -> None:
        if self.form == "query" and context.exchange.target.reference and not _has_state(context.scope):
            await context.respond_error(
                OCIError(
                    404,
                    ErrorCode.BLOB_UPLOAD_UNKNOWN,
                    f"The request lacks the query of Location, {_STATE}=...",
                )
            )
            return
        await context.forward_changed(lambda head: self._change(context, head))

    def _change(self, context: FaultContext, head: Head) -> None:
        location = _session_of(head)
        if location is None:
            context.no_effect(f"the status is {head.status}, without a session")
            return
        head.remove("location")
        if self.form != "missing":
            head.add("location", self._spelled(context, location))

    def _spelled(self, context: FaultContext, location: str) -> str:
        scope, session = context.scope, location.rpartition("/")[2]
        match self.form:
            case "absolute":
                return context.base_url + location
            case "relative":
                return session if scope["path"].rpartition("/uploads")[2] else f"uploads/{session}"
            case "query":
                state = urlencode({_STATE: _state(session.partition("?")[0])})
                return f"{location}{'&' if '?' in location else '?'}{state}"
            case "foreign":
                return context.registry_view.origin.url(scope, location)
            case "other-scheme" | "other-host" | "no-port":
                return another_address(context.base_url, self.form) + location
        return "http://[no-host/%zz"


class UploadRange(Fault):
    """Reports a wrong number of uploaded bytes, in Range or with a 416.

    `form` selects what is wrong:

    - `refuse`: 416 to a PATCH or PUT, with a correct Range; the body is not stored
    - `stale`: like `refuse`, but Range is `by` bytes too low
    - `behind`, `ahead`: Range in the response to a PATCH or GET is `by` bytes too low or too high
    - `absent`: no Range in the response to a PATCH or GET
    """

    name = "upload-range"
    default_endpoint = "upload"
    endpoints = frozenset({Endpoint.UPLOAD})
    methods = _SESSION - {"DELETE"}
    clients = "Clients that send blobs in chunks continue where Range says (image#756)."
    example = "form-behind_by-100"

    form: Literal["refuse", "stale", "behind", "ahead", "absent"] = Field(
        "refuse", description="what is wrong"
    )
    by: Size = Field(1, ge=1, description="number of bytes, for `stale`, `behind` and `ahead`")

    def conflict_reason(self, match: Match, endpoints: Collection[Endpoint]) -> str | None:
        if self.form in ("refuse", "stale") and not (match.allows("PATCH") or match.allows("PUT")):
            return f"only PATCH and PUT are refused, and match.method is {match.method}"
        return super().conflict_reason(match, endpoints)

    def inapplicable_reason(self, exchange: Exchange) -> str | None:
        if exchange.method == "GET" and self.form in ("refuse", "stale"):
            return "only PATCH and PUT are refused"
        return super().inapplicable_reason(exchange)

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        del exchange
        original = head.get("range")
        if self.form in ("refuse", "stale"):
            return None
        if head.status not in (202, 204) or original is None:
            return f"the status is {head.status}, which has no Range"
        is_same = self.form != "absent" and self._miscounted(original) == original
        return "nothing has arrived yet" if is_same else None

    async def apply(self, context: FaultContext) -> None:
        if self.form in ("refuse", "stale"):
            await self._refuse(context)
        else:
            await context.forward_changed(lambda head: self._change(context, head))

    async def _refuse(self, context: FaultContext) -> None:
        """Respond with 416 and the range of the session, and discard what the client sends."""
        head, body = await context.fetch(scope={**context.scope, "method": "GET", "query_string": b""})
        if head.status != 204:
            context.no_effect(f"the status is {head.status}")
            await context.send_response(head, body)
            return
        headers = {name: head.get(name) or "" for name in ("location", "range", "docker-upload-uuid")}
        if self.form == "stale":
            headers["range"] = self._miscounted(headers["range"])
        await context.respond_error(
            OCIError(416, ErrorCode.RANGE_INVALID, "Out of order, on purpose", headers=headers)
        )

    def _change(self, context: FaultContext, head: Head) -> None:
        why = self.no_effect_reason(context.exchange, head)
        if why is not None:
            context.no_effect(why)
        elif self.form == "absent":
            head.remove("range")
        else:
            head.set("range", self._miscounted(head.get("range") or ""))

    def _miscounted(self, original: str) -> str:
        last = int(original.removeprefix("0-")) + (self.by if self.form == "ahead" else -self.by)
        return f"0-{max(0, last)}"


def _session_of(head: Head) -> str | None:
    """Return the Location of an upload session in a response; None if the response has none."""
    return head.get("location") if head.status in (202, 204, 416) else None


def _state(session: str) -> str:
    """Return the state that the client must send back: opaque, and with characters that need escaping."""
    return f"{session[::-1]}.1/+="


def _has_state(scope: Scope) -> bool:
    session = urlsplit(scope["path"]).path.rpartition("/")[2]
    query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    return query.get(_STATE) == _state(session)
