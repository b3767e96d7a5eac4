"""The page `/docs`, which documents all routes without external resources or scripts."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterator, Sequence
from typing import get_args

from pydantic import BaseModel

from brokenreg import __version__
from brokenreg.control.openapi import path_parameters, query_parameters
from brokenreg.control.routes import JSON, Route

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8882; --accent: #2563c9; }
@media (prefers-color-scheme: dark) { :root { --accent: #8ab4f8; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
h1 small { font-size: 1rem; font-weight: normal; opacity: .7; }
h2 { font-size: 1.1rem; font-family: ui-monospace, monospace; margin: 0 0 .3rem; overflow-wrap: anywhere; }
nav ul { columns: 20rem; padding: 0; list-style: none; }
nav li { font-family: ui-monospace, monospace; font-size: .85rem; }
nav b, h2 b { display: inline-block; min-width: 4.2em; }
a { color: var(--accent); text-decoration: none; } a:hover, a:focus { text-decoration: underline; }
section { border-top: 1px solid var(--line); padding: 1.2rem 0; }
section p { margin: .2rem 0 .6rem; }
table { border-collapse: collapse; font-size: .9rem; }
td, th { text-align: left; vertical-align: top; padding: .15rem 1rem .15rem 0; }
th { font-weight: normal; opacity: .7; }
details { margin: .4rem 0; } summary { cursor: pointer; font-size: .9rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .88em; }
pre { background: var(--soft); padding: .6rem .8rem; border-radius: .4rem; white-space: pre-wrap;
      overflow-wrap: anywhere; }
"""

_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CSP = "; ".join(
    ("default-src 'none'", f"style-src 'sha256-{_DIGEST}'", "base-uri 'none'", "form-action 'none'",
     "frame-ancestors 'none'")
)  # fmt: skip
"""Content-Security-Policy of the page."""


def docs_page(documented: Sequence[Route]) -> str:
    """Return the page as HTML."""
    return "".join(_page_parts(documented))


def _page_parts(documented: Sequence[Route]) -> Iterator[str]:
    yield "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    yield f"<title>brokenreg control API</title><style>{_STYLE}</style><main>"
    yield f"<h1>brokenreg control API <small>{html.escape(__version__)}</small></h1>"
    yield "<p>Use this API to change the rules, hold responses and read the log of a running brokenreg. "
    yield "<a href=openapi.json>openapi.json</a> describes this API for programs, and "
    yield "<a href=v1/faults>v1/faults</a> lists all faults. With a <code>--control-token</code>, "
    yield "send <code>Authorization: Bearer TOKEN</code>. Errors are <code>application/problem+json</code> "
    yield "(RFC 9457): <code>detail</code> says what is wrong, <code>field</code> says where.</p><nav><ul>"
    for route in documented:
        yield f"<li><a href='#{route.name}'><b>{route.method}</b> {html.escape(route.template)}</a>"
    yield "</ul></nav>"
    for route in documented:
        yield from _section(route)
    yield "</main></html>"


def _section(route: Route) -> Iterator[str]:
    yield f"<section id='{route.name}'><h2><b class={route.method.lower()}>{route.method}</b> "
    yield f"{html.escape(route.template)}</h2><p>{_as_html(route.description)}</p>"
    parameters = [*path_parameters(route), *query_parameters(route)]
    if parameters:
        yield "<table><tr><th>parameter<th>in<th>meaning"
        for each in parameters:
            yield f"<tr><td><code>{each['name']}</code><td>{each['in']}<td>{_as_html(each['description'])}"
        yield "</table>"
    if route.body is not None:
        yield from _fields("body", route.body)
    if isinstance(route.answer, type) and issubclass(route.answer, BaseModel):
        yield from _fields("response", route.answer)
    for element in get_args(route.answer):
        yield from _fields("response, a list of", element)
    yield f"<pre>{html.escape(_curl(route))}</pre></section>"


def _fields(title: str, kind: type[BaseModel]) -> Iterator[str]:
    if not kind.model_fields:
        return
    yield f"<details><summary>{title}: {kind.__name__}</summary><table>"
    for name, field in kind.model_fields.items():
        yield f"<tr><td><code>{name}</code><td>{_as_html(field.description or '')}"
    yield "</table></details>"


def _curl(route: Route) -> str:
    parts = ["curl"] + ([f"-X {route.method}"] if route.method != "GET" else [])
    parts += ["-N"] if "text/event-stream" in route.answer_types else []
    parts.append(f"http://127.0.0.1:8081{route.template}")
    if route.example:
        parts += [f"-H 'Content-Type: {JSON}'", f"-d '{route.example}'"]
    return " ".join(parts)


def _as_html(text: str) -> str:
    """Return plain text as HTML, with text in backticks as code."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
