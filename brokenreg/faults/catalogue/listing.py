"""Faults of lists: pages of tags that lead nowhere or never end, and referrers that are not told."""

from __future__ import annotations

import asyncio
import json
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

from pydantic import Field

from brokenreg.faults.catalogue.base import Fault
from brokenreg.faults.context import FaultContext, Head
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.oci.mediatypes import OCI_INDEX
from brokenreg.oci.target import Endpoint
from brokenreg.registry.listings import page_of
from brokenreg.second_origin.signed_urls import Answer
from brokenreg.traffic.exchange import Exchange

_GET = frozenset({"GET"})
_DIGITS = 18
_HTML = b"<!doctype html><title>Sign in</title><h1>Sign in</h1>\n"


class TagPages(Fault):
    """Lists tags in pages that clients get wrong.

    `invented` adds so many made-up tags. `page` is the size of a page, also for a client that asks for none
    or for larger ones. `cap`: a larger `n` is refused with 400 PAGINATION_NUMBER_INVALID. `link` says what
    is wrong with the Link to the next page: `absent` though there is one, `malformed`, `cyclic` (from the
    last page to the first: it never ends), `absolute` (a URL with host: right, and rarely met), `foreign` (at
    the second origin, which knows no made-up tags, and records credentials that arrive there).
    """

    name = "tag-pages"
    default_endpoint = "tags"
    endpoints = frozenset({Endpoint.TAGS})
    methods = _GET
    clients = "those that ask for all at once, or follow Link for ever: image-reflector-controller#585, #931"
    example = "invented-9000_page-100_link-absent"

    link: Literal["honest", "absent", "malformed", "cyclic", "absolute", "foreign"] = Field(
        "honest", description="what is wrong with Link"
    )
    page: int | None = Field(None, ge=1, le=10**6, description="tags of a page at most; absent: as asked for")
    cap: int | None = Field(None, ge=0, le=10**6, description="largest `n` that is not refused; absent: any")
    invented: int = Field(0, ge=0, le=100_000, description="made-up tags, beside those that are there")

    def no_effect_reason(self, exchange: Exchange, head: Head) -> str | None:
        del exchange
        return None if head.status == 200 else f"the status is {head.status}, without tags"

    async def apply(self, context: FaultContext) -> None:
        asked = dict(parse_qsl(context.scope["query_string"].decode("latin-1"), keep_blank_values=True))
        head, body = await context.fetch(scope={**context.scope, "query_string": b""})
        there = _listed(head, body, "tags")
        if there is None:
            context.no_effect(f"the status is {head.status}, without tags")
            await context.send_response(head, body)
            return
        wanted = _number(asked.get("n"))
        if self.cap is not None and wanted is not None and wanted > self.cap:
            await context.respond_error(
                OCIError(400, ErrorCode.PAGINATION_NUMBER_INVALID, f"n={wanted}; at most {self.cap} at once")
            )
            return
        path = context.scope["path"]
        try:
            honest = page_of(asked.get, (there,), path)
        except OCIError as error:
            context.no_effect("it is refused without a fault as well")
            await context.respond_error(error)
            return
        query = dict(asked)
        if self.page is not None and (wanted is None or wanted > self.page):
            query["n"] = str(self.page)
        page, links = page_of(query.get, (there, await self._made_up()), path)
        link = self._link(context, links.get("link"), query)
        if (page, link) == (honest[0], honest[1].get("link")):
            context.no_effect("the page is as it would be")
        await _send_response_page(context, head, {"name": context.exchange.target.name, "tags": page}, link)

    async def _made_up(self) -> list[str]:
        return await asyncio.to_thread(_invented, self.invented) if self.invented else []

    def _link(self, context: FaultContext, link: str | None, query: dict[str, str]) -> str | None:
        """The Link header, from the honest one."""
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
    """Does not tell who refers to a manifest, though it would know.

    `not-found` and `bad-request`: 404 and 400, as registries without the API answer, so that clients must
    look for the tag `sha256-<hex>`; `html`: 200 with a page; `redirect`: 307 to such a page at the second
    origin; `empty`: 200 without a body; `none`: an index of nothing; `wrong-type`: a document that is no
    index; `paged`: one referrer a page, with Link.
    """

    name = "referrers"
    default_endpoint = "referrers"
    methods = _GET
    clients = "those that look for signatures: oras-go#633, go-containerregistry#1647"
    example = "form-html"

    form: Literal["not-found", "bad-request", "html", "redirect", "empty", "none", "wrong-type", "paged"] = (
        Field("not-found", description="what is answered")
    )

    async def apply(self, context: FaultContext) -> None:
        match self.form:
            case "not-found":
                await context.respond_error(
                    OCIError(404, ErrorCode.UNSUPPORTED, "There is no such endpoint here")
                )
            case "bad-request":
                await context.respond_error(
                    OCIError(400, ErrorCode.UNSUPPORTED, "No referrers are told here")
                )
            case "html":
                await context.respond(200, {"content-type": "text/html"}, _HTML)
            case "redirect":
                url = context.registry_view.origin.url(
                    context.scope, context.scope["path"], answer=Answer.HTML
                )
                await context.respond(307, {"location": url})
            case "empty":
                await context.respond(200, {"content-type": OCI_INDEX})
            case "wrong-type":
                await context.respond(200, {"content-type": "application/json"}, _compact({"referrers": []}))
            case "none" | "paged":
                await self._index(context)

    async def _index(self, context: FaultContext) -> None:
        """Less than there is: nothing, or one referrer a page."""
        head, body = await context.fetch()
        manifests = _listed(head, body, "manifests")
        if manifests is None:
            context.no_effect(f"the status is {head.status}, without an index")
            await context.send_response(head, body)
            return
        told, link = manifests[:0], None  # "none" hides the pages after it, too
        if self.form == "paged":
            query = parse_qsl(context.scope["query_string"].decode("latin-1"), keep_blank_values=True)
            page = max(1, _number(dict(query).get("page")) or 1)
            told = manifests[page - 1 : page]
            if page < len(manifests):
                others = [pair for pair in query if pair[0] != "page"]
                link = f'<{context.scope["path"]}?{urlencode([*others, ("page", page + 1)])}>; rel="next"'
            else:
                link = head.get("link")  # to what did not fit into one honest page
        if told == manifests:
            context.no_effect("there are no more of them")
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": told}
        await _send_response_page(context, head, index, link)


async def _send_response_page(
    context: FaultContext, head: Head, document: dict[str, Any], link: str | None
) -> None:
    """The honest response with another document and Link; its other headers stay."""
    body = _compact(document)
    head.set("content-length", str(len(body)))
    head.remove("link")
    if link is not None:
        head.add("link", link)
    await context.send_response(head, body)


def _listed(head: Head, body: bytes, member: str) -> list[Any] | None:
    """What a document lists; None if it is none of that kind: an error, or spoiled further inside."""
    if head.status != 200:
        return None
    try:
        document = json.loads(body)
    except ValueError:
        return None
    found = document.get(member) if isinstance(document, dict) else None
    return found if isinstance(found, list) else None


def _number(text: str | None) -> int | None:
    """A whole number in a query; None if it is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


@lru_cache(4)
def _invented(count: int) -> list[str]:
    """So many made-up tags, in order: a tenth of a second's work for the most."""
    return [f"invented-{number:06}" for number in range(1, count + 1)]


def _compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
