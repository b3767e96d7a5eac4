"""How clear the words of a client that failed are: what they name of the failure."""

from __future__ import annotations

import re

from brokenreg.client.documents import Exchange
from brokenreg.exam.report import RunReport
from brokenreg.oci.errors import ErrorCode

_DIGEST_PART = 12
_CAUSES = re.compile(
    r"\b(EOF|reset by peer|timed? ?out|deadline exceeded|refused|certificate|malformed|unexpected end"
    r"|broken pipe)\b",
    re.IGNORECASE,
)


def clarity_of(report: RunReport) -> tuple[str, ...]:
    """Return what the words of a client that failed name: `status`, `code`, `digest` and `cause`."""
    faulted = [each for each in report.exchanges if each["faults"]]
    found = {
        "status": any(_names_status(report.output, each) for each in faulted),
        "code": any(
            each in report.output or each.replace("_", " ").lower() in report.output for each in ErrorCode
        ),
        "digest": any(_names_digest(report.output, each) for each in faulted),
        "cause": _CAUSES.search(report.output) is not None,
    }
    return tuple(name for name, is_named in found.items() if is_named)


def _names_status(output: str, exchange: Exchange) -> bool:
    status = exchange["status"]
    return status is not None and status >= 400 and re.search(rf"\b{status}\b", output) is not None


def _names_digest(output: str, exchange: Exchange) -> bool:
    digest = exchange["reference"].partition(":")[2]
    return len(digest) >= _DIGEST_PART and digest[:_DIGEST_PART] in output
