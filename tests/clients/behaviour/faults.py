"""The twelve faults of the table, each a scenario that anybody can repeat with `--scenario`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One row. `subject` is the endpoint whose requests tell what the client did; of layers, the second."""

    title: str
    subject: str
    rules: str
    is_push: bool = False
    is_slow: bool = False

    @property
    def scenario(self) -> str:
        """The YAML file."""
        return f"rules:\n{self.rules}"


def _second_layer(fault: str, more: str = "") -> str:
    return f"  - match: {{endpoint: layer, layer: 2}}\n    fault: {fault}\n{more}"


_ONCE = "    times: 1\n"
_TWICE = "    times: 2\n"

FAULTS = {
    "fin": Fault(
        "A layer is cut once, by FIN",
        "layer",
        _second_layer("{type: truncate, after: 5MiB, end: fin}", _ONCE),
    ),
    "rst": Fault(
        "A layer is cut once, by RST",
        "layer",
        _second_layer("{type: truncate, after: 5MiB, end: rst}", _ONCE),
    ),
    "always": Fault(
        "Each response for a layer ends after 64 KiB",
        "layer",
        _second_layer("{type: truncate, after: 64KiB, end: fin}"),
        is_slow=True,
    ),
    "range": Fault(
        "A layer is cut, then Range gets a 200",
        "layer",
        "  - match: {endpoint: layer, layer: 2, attempt: 1}\n"
        "    fault: {type: truncate, after: 5MiB, end: fin}\n" + _second_layer("{type: range, form: ignore}"),
    ),
    "corrupt": Fault(
        "One byte of a layer is wrong, once", "layer", _second_layer("{type: corrupt, offset: 5MiB}", _ONCE)
    ),
    "stall": Fault(
        "A layer stalls at 1 MiB",
        "layer",
        _second_layer("{type: stall, at: 1MiB}", _ONCE),
        is_slow=True,
    ),
    "latency": Fault(
        "Every response is 20 s late",
        "any",
        "  - fault: {type: latency, dur: 20s}\n",
        is_slow=True,
    ),
    "429": Fault(
        "429 with Retry-After: 2 for the manifest, twice",
        "manifest",
        '  - fault: {type: error, status: 429, retry_after: "2"}\n' + _TWICE,
    ),
    "503-manifest": Fault(
        "503 for the manifest, twice", "manifest", "  - fault: {type: error, status: 503}\n" + _TWICE
    ),
    "503-layer": Fault(
        "503 for a layer, twice", "layer", _second_layer("{type: error, status: 503}", _TWICE)
    ),
    "redirect": Fault(
        "A layer is redirected to an expired URL, once",
        "layer",
        _second_layer("{type: redirect, form: expired}", _ONCE),
    ),
    "upload-lost": Fault(
        "A push loses its first upload session, once",
        "upload",
        "  - fault: {type: upload-lost, step: 2}\n" + _ONCE,
        is_push=True,
    ),
}
"""By a short name, in the order of the table's rows."""
