"""Listing faults: tag pages with wrong links, and wrong responses to requests for referrers."""

from __future__ import annotations

import asyncio
import json
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

from pydantic import Field

from brokenreg.faults.catalogue.base import Fault
from brokenreg.faults.context import FaultContext
from brokenreg.faults.response_head import Head
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import OCI_INDEX
from brokenreg.oci.sizes import whole_number
from brokenreg.oci.target import Endpoint
from brokenreg.registry.listings import page_of
from brokenreg.second_origin.signed_urls import Answer
from brokenreg.traffic.exchange import Exchange

_GET = frozenset({"GET"})
_HTML = b"<!doctype html><title>Sign in</title><h1>Sign in</h1>\n"


class TagPages(Fault):
    """Lists tags in pages that clients often handle incorrectly.

    `invented` adds that many fabricated tags. `page` is the page size, even if the client requests larger
    pages or none. `cap` refuses a larger `n` with 400 (code PAGINATION_NUMBER_INVALID), or, with `refusal`
    set to `ecr`, with 405 (code UNSUPPORTED) and a message about `maxResults`. `link` selects what is wrong
    with the Link to the next page:

    - `honest`: nothing
    - `absent`: it is missing although there is another page
    - `malformed`: it has a syntax error
    - `cyclic`: the last page links to the first, so the list never ends
    - `absolute`: it is a URL with a host, which is valid but rare
    - `foreign`: it leads to the second origin, which does not have the fabricated tags and records
      credentials that arrive there
    """

    name = "tag-pages"
    default_endpoint = "tags"
    endpoints = frozenset({Endpoint.TAGS})
    methods = _GET
    clients = (
        "Some clients need all tags in one page, and some follow Link forever "
        "(image-reflector-controller#585, image-reflector-controller#931)."
    )
    example = "invented-9000_page-100_link-absent"

    link: Literal["honest", "absent", "malformed", "cyclic", "absolute", "foreign"] = Field(
        "honest", description="what is wrong with Link"
    )
    page: int | None = Field(None, ge=1, le=10**6, description="maximum page size; by default as requested")
    cap: int | None = Field(None, ge=0, le=10**6, description="largest `n` that is accepted; by default any")
    refusal: Literal["usual", "ecr"] = Field("usual", description="form of the refusal")
    invented: int = Field(0, ge=0, le=100_000, description="number of additional, fabricated tags")

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        del exchange
        return None if head.status == 200 else f"the status is {head.status}, without tags"

    async def apply(self, context: FaultContext) -> None:
        requested = dict(parse_qsl(context.scope["query_string"].decode("latin-1"), keep_blank_values=True))
        head, body = await context.fetch(scope={**context.scope, "query_string": b""})
        there = _listed(head, body, "tags")
        if there is None:
            context.no_effect(f"the status is {head.status}, without tags")
            await context.send_response(head, body)
            return
        wanted = whole_number(requested.get("n", ""))
        if self.cap is not None and wanted is not None and wanted > self.cap:
            await context.respond_error(self._refusal(wanted))
            return
        path = context.scope["path"]
        try:
            original = page_of(requested.get, (there,), path)
        except OCIError as error:
            context.no_effect("the registry refuses the request, too")
            await context.respond_error(error)
            return
        query = dict(requested)
        if self.page is not None and (wanted is None or wanted > self.page):
            query["n"] = str(self.page)
        page, links = page_of(query.get, (there, await self._invented_tags()), path)
        link = self._link(context, links.get("link"), query)
        if (page, link) == (original[0], original[1].get("link")):
            context.no_effect("the page stays the same")
        await _send_response_page(context, head, {"name": context.exchange.target.name, "tags": page}, link)

    def _refusal(self, wanted: int) -> OCIError:
        if self.refusal == "ecr":
            message = f"Invalid parameter at 'maxResults': {wanted} is more than {self.cap}"
            return OCIError(405, ErrorCode.UNSUPPORTED, message)
        return OCIError(400, ErrorCode.PAGINATION_NUMBER_INVALID, f"n={wanted}; the maximum is {self.cap}")

    async def _invented_tags(self) -> list[str]:
        return await asyncio.to_thread(_invented, self.invented) if self.invented else []

    def _link(self, context: FaultContext, link: str | None, query: dict[str, str]) -> str | None:
        """Return the Link header to send, or None for no header."""
        if self.link == "cyclic" and link is None:
            first = urlencode({"n": query["n"]} if "n" in query else {})
            return f'<{context.scope["path"]}?{first}>; rel="next"'
        if link is None or self.link in ("honest", "cyclic"):
            return link
        url, rest = link.removeprefix("<").split(">", 1)
        match self.link:
            case "malformed":
                return f"<{url}; rel=next"
            case "absolute":
                return f"<{context.base_url}{url}>{rest}"
            case "foreign":
                return f"<{context.registry_view.origin.url(context.scope, url)}>{rest}"
        return None


class Referrers(Fault):
    """Responds incorrectly to requests for the referrers of a manifest.

    `form` selects the response:

    - `not-found`, `bad-request`: 404 or 400, as from a registry without this API; clients must then look for
      the tag `sha256-<hex>`
    - `html`: 200 with an HTML page
    - `redirect`: 307 to an HTML page at the second origin
    - `cut-off`: 303 to the second origin with a URL that lacks the digest, and a 429 there
    - `empty`: 200 without a body
    - `none`: an empty index
    - `wrong-type`: a document that is not an index
    - `paged`: one referrer per page, with Link
    """

    name = "referrers"
    default_endpoint = "referrers"
    methods = _GET
    clients = "Clients that look for signatures are affected (oras-go#633, go-containerregistry#1647)."
    example = "form-html"

    form: Literal[
        "not-found", "bad-request", "html", "redirect", "cut-off", "empty", "none", "wrong-type", "paged"
    ] = Field("not-found", description="the response")

    async def apply(self, context: FaultContext) -> None:
        match self.form:
            case "not-found":
                await context.respond_error(
                    OCIError(404, ErrorCode.UNSUPPORTED, "This registry does not have the endpoint")
                )
            case "bad-request":
                await context.respond_error(
                    OCIError(400, ErrorCode.UNSUPPORTED, "This registry does not list referrers")
                )
            case "html":
                await context.respond(200, {"content-type": "text/html"}, _HTML)
            case "redirect":
                url = context.registry_view.origin.url(
                    context.scope, context.scope["path"], answer=Answer.HTML
                )
                await context.respond(307, {"location": url})
            case "cut-off":
                path = context.scope["path"].rpartition("/")[0] + "/"
                url = context.registry_view.origin.url(context.scope, path, answer=Answer.LIMITED)
                await context.respond(303, {"location": url})
            case "empty":
                await context.respond(200, {"content-type": OCI_INDEX})
            case "wrong-type":
                await context.respond(200, {"content-type": "application/json"}, _compact({"referrers": []}))
            case "none" | "paged":
                await self._index(context)

    async def _index(self, context: FaultContext) -> None:
        """Send an index with fewer referrers: none, or one per page."""
        head, body = await context.fetch()
        manifests = _listed(head, body, "manifests")
        if manifests is None:
            context.no_effect(f"the status is {head.status}, without an index")
            await context.send_response(head, body)
            return
        listed, link = manifests[:0], None  # "none" hides the pages after it, too
        if self.form == "paged":
            query = parse_qsl(context.scope["query_string"].decode("latin-1"), keep_blank_values=True)
            page = max(1, whole_number(dict(query).get("page", "")) or 1)
            listed = manifests[page - 1 : page]
            if page < len(manifests):
                others = [pair for pair in query if pair[0] != "page"]
                link = f'<{context.scope["path"]}?{urlencode([*others, ("page", page + 1)])}>; rel="next"'
            else:
                link = head.get("link")  # to referrers that did not fit into the original page
        if listed == manifests:
            context.no_effect("the list stays the same")
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
        await _send_response_page(context, head, index, link)


async def _send_response_page(
    context: FaultContext, head: Head, document: dict[str, Any], link: str | None
) -> None:
    """Send the response with that document and Link; its other headers stay as they are."""
    body = _compact(document)
    head.set("content-length", str(len(body)))
    head.remove("link")
    if link is not None:
        head.add("link", link)
    await context.send_response(head, body)


def _listed(head: Head, body: bytes, member: str) -> list[Any] | None:
    """Return the list in a document; None for an error, or if another fault has changed the document."""
    if head.status != 200:
        return None
    try:
        document = json.loads(body)
    except ValueError:
        return None
    found = document.get(member) if isinstance(document, dict) else None
    return found if isinstance(found, list) else None


@lru_cache(4)
def _invented(count: int) -> list[str]:
    """Return that many fabricated tags in order. The maximum takes a tenth of a second, so it is cached."""
    return [f"invented-{number:06}" for number in range(1, count + 1)]


def _compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
