"""How clear the words of a client that failed are: what they name of the failure.

Only the lines with the error count, because the progress of a client names digests, too. What they name must
be that of a request that failed: its status, a code that goes with this status, or its digest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus

from brokenreg.client.documents import Exchange
from brokenreg.exam.report import RunReport
from brokenreg.oci.errors import ErrorCode

_ERROR = re.compile(
    r"error|fatal|fail|cannot|could not|unable|denied|refused|invalid|unexpected|unauthorized|not found",
    re.IGNORECASE,
)
"""What a line with an error has. The last line of the output is one, too."""

_MOST_LINES = 200
_LONGEST_LINE = 10_000
_DIGEST_PART = 12
_IMAGE = re.compile(r"\S*broken/\S*|https?://\S*")
"""Names of images and URLs, whose parts are no words about a failure."""

_CODE_STATUSES: dict[str, tuple[int, ...]] = {
    ErrorCode.UNAUTHORIZED: (401,),
    ErrorCode.DENIED: (401, 403),
    ErrorCode.FORBIDDEN: (401, 403),
    ErrorCode.TOOMANYREQUESTS: (429,),
}
"""The statuses with which a code is sent; any other code is sent with any status of a failure."""

_PHRASES = {each.phrase.lower() for each in HTTPStatus}

_CAUSES = (
    r"\bEOF\b|unexpected end|incomplete ?read|truncated|premature|broken pipe|short (read|write)",
    r"reset by peer|connection (was )?(reset|aborted|broken|closed)|remote end closed|stream error|goaway"
    r"|unexpectedly closed|closed (the )?connection",
    r"time(d |-)?out|deadline exceeded",
    r"connection refused|refused to connect|no such host|name resolution|no route to host|unreachable",
    r"x509|certificate|\b(tls|ssl)\b|handshake|unknown authority|self-signed|\bexpired\b",
    r"malformed|not (valid )?JSON|invalid (character|byte)|\bjson: |unmarshal|JSONDecode|cannot parse"
    r"|\bdecod",
    r"(does|did|do) not match|mismatch|verification failed|(wrong|unexpected) (bytes|size|digest|length)"
    r"|checksum|differs",
    r"content.type|media ?type|schema version",
    r"exceed(ed|s) |too (large|big|long|deep)|invalid size",
    r"too many redirects|stopped after \d+ redirects|redirect loop",
    r"unsupported protocol scheme|no (image|matching manifest)\b.* for |instead of a manifest|rate limit",
)
_CAUSE = re.compile("|".join(_CAUSES), re.IGNORECASE)


def clarity_of(report: RunReport) -> tuple[str, ...]:
    """Return what the words of a client that failed name: `status`, `code`, `digest` and `cause`."""
    words = _words_of_failure(report)
    failed = [each for each in report.exchanges if _has_failed(each)]
    statuses = {each["status"] or 0 for each in failed if (each["status"] or 0) >= HTTPStatus.BAD_REQUEST}
    found = {
        "status": any(_names_status(words, each) for each in statuses),
        "code": any(_names_code(words, each, statuses) for each in ErrorCode),
        "digest": any(_names_digest(words, each) for each in failed or report.exchanges),
        "cause": _CAUSE.search(words) is not None,
    }
    return tuple(name for name, is_named in found.items() if is_named)


def _has_failed(exchange: Exchange) -> bool:
    """Return whether a fault was applied to a request, or it failed. A ping without a login does not fail."""
    status = exchange["status"] or 0
    is_login = (exchange["endpoint"], status) == ("ping", HTTPStatus.UNAUTHORIZED)
    has_failed = (status >= HTTPStatus.BAD_REQUEST and not is_login) or exchange["ended"] != "complete"
    return bool(exchange["faults"]) or has_failed


def _words_of_failure(report: RunReport) -> str:
    """Return the lines with an error, without names of images."""
    names = {each["reference"] for each in report.exchanges if ":" not in each["reference"]}
    lines = [line for line in report.output.splitlines() if line.strip()]
    return "\n".join(_without(line, names) for line in _error_lines(lines[-_MOST_LINES:]))


def _error_lines(lines: Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if number == len(lines) or _ERROR.search(line):
            yield line[-_LONGEST_LINE:]


def _without(line: str, names: set[str]) -> str:
    line = _IMAGE.sub(" ", line.replace("\\n", "\n"))  # as in quoted text
    for each in names:
        line = line.replace(each, " ") if each else line
    return line


def _names_status(words: str, status: int) -> bool:
    """Return whether words have a status as a number, which is no part of an address, or its phrase."""
    if re.search(rf"(?<![\w./-])(?<!\w:){status}(?![\w/-]|\.\d)", words):
        return True
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        return False
    return re.search(rf"\b{re.escape(phrase)}\b", words, re.IGNORECASE) is not None


def _names_code(words: str, code: ErrorCode, statuses: set[int]) -> bool:
    """Return whether words have a code as the registry spells it, or as Go clients do: `name unknown: ...`.

    A code of one word is also a word of other sentences, so a colon must follow it.
    """
    if not statuses.intersection(_CODE_STATUSES.get(code, statuses)):
        return False
    if re.search(rf"\b{code}\b", words):
        return True
    if "_" in code and code.replace("_", " ").lower() in _PHRASES:  # that is the status
        return False
    spelt = code.lower().replace("_", "[ _-]")
    has_one_meaning = "_" in code or code is ErrorCode.TOOMANYREQUESTS
    pattern = rf"\b{spelt}\b" if has_one_meaning else rf"(?<!permission )\b{spelt}: "
    return re.search(pattern, words, re.IGNORECASE) is not None


def _names_digest(words: str, exchange: Exchange) -> bool:
    digest = exchange["reference"].partition(":")[2]
    return len(digest) >= _DIGEST_PART and digest[:_DIGEST_PART] in words
