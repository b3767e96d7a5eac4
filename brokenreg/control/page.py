"""How `/docs` looks. Nothing is loaded from anywhere, and no script runs."""

from __future__ import annotations

import base64
import hashlib

STYLE = """
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

_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

CSP = "; ".join(
    ("default-src 'none'", f"style-src 'sha256-{_DIGEST}'", "base-uri 'none'", "form-action 'none'",
     "frame-ancestors 'none'")
)  # fmt: skip
"""Content-Security-Policy of the page."""
