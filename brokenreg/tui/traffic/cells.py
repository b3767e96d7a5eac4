"""An exchange in words and bars short enough for a table; whatever a client sent is made safe to show."""

from __future__ import annotations

from rich.cells import cell_len

from brokenreg.http.dates import clock
from brokenreg.oci.digests import is_digest
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.connections import no_request_reason
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.text import ELLIPSIS, beginning, fit, fit_end, visible
from brokenreg.tui.traffic.transfer import Kind, Transfer, announced, body_bytes, is_miss

_DIGEST_SHOWN = 6
_NAME_AT_LEAST = 6
_METHOD_SHOWN = 16
_LONGEST = 200
"""Characters of a name or path that a row can need."""
_UNITS = "KMGTP"
_SIX = 6
"""Cells of a size."""
_ROUNDED = 0.05
"""By which part of it a size may be rounded beside a smaller one."""
_WRITES = ("POST", "PUT", "PATCH")


def glyph(exchange: Exchange, kind: Kind | None = None) -> str:
    """Return one character for its state; `kind` is the kind of transfer that it belongs to."""
    if exchange.held_since is not None:
        return "⏸"
    if is_miss(exchange, kind):
        return "○"
    if exchange.has_failed:
        return "✗"
    return "✓" if exchange.ended else "▸"


def state(exchange: Exchange, kind: Kind | None = None) -> str:
    """Return the style for its state: `quiet` means neither success nor failure."""
    if exchange.held_since is not None:
        return "held"
    if is_miss(exchange, kind):
        return "quiet"
    return "bad" if exchange.has_failed else "good"


def local_time(exchange: Exchange) -> str:
    """Return when the request arrived, in local time."""
    return clock(exchange.started)


def client_name(exchange: Exchange, width: int) -> str:
    """Return the client's product, with as much of its version as fits (`docker/27.3.1`, `docker/27`).

    A client that sent no User-Agent has its address. Replays are marked instead, because brokenreg itself
    sends them.
    """
    if exchange.replay_of is not None:
        return "↻ replay"
    product = exchange.user_agent.partition(" ")[0]
    if not product:
        return visible(exchange.client.rpartition(":")[0] or exchange.client)
    name, _, version = product.partition("/")
    texts = (product, f"{name}/{version.partition('.')[0]}") if version else (product,)
    whole = (beginning(text, width) for text in texts if len(text) <= width)
    return next((text for text in whole if cell_len(text) <= width), beginning(name, width))


def request_line(exchange: Exchange, width: int) -> str:
    """Return method and target, in at most `width` cells (`GET library/app manifests/1.2`)."""
    target = exchange.target
    if target.endpoint is Endpoint.CONNECT:
        words = no_request(exchange)
        return words if len(words) <= width else fit(words.partition(": ")[2] or words, width).rstrip()
    method = method_word(exchange)
    room = width - cell_len(method) - 1
    if target.error is not None or not target.repository:
        return f"{method} {fit(beginning(exchange.path, width), room).rstrip()}"
    name, kind = visible(target.name), _kind(target.endpoint)
    bare = in_cells(target.reference, 0)
    longest = kind + in_cells(target.reference, room - cell_len(name) - 1 - len(kind))
    for tail in (longest, bare or kind):
        if cell_len(name) + 1 + cell_len(tail) <= room:
            return f"{method} {name} {tail}"
    for tail in (kind + bare, bare or kind):
        left = room - 1 - cell_len(tail)
        if left >= _NAME_AT_LEAST:
            return f"{method} {fit_end(name, left)} {tail}"
    return f"{method} {fit(f'{name} {kind}{bare}', room).rstrip()}"


def request_length(exchange: Exchange, *, is_member: bool) -> int:
    """Return the cells that a request needs if of a digest only the beginning is shown."""
    target = exchange.target
    if target.endpoint is Endpoint.CONNECT:
        return cell_len(no_request(exchange))
    method = cell_len(method_word(exchange)) + 1
    if not is_member and (target.error is not None or not target.repository):
        return method + cell_len(beginning(exchange.path, _LONGEST))
    name = 2 if is_member else cell_len(beginning(target.name, _LONGEST)) + 1
    return method + name + len(_kind(target.endpoint)) + cell_len(short(target.reference))


def no_request(exchange: Exchange) -> str:
    """Return why a connection has no request, if that is known: `no request: TLS on plain port`."""
    reason = no_request_reason(exchange)
    return f"no request: {reason}" if reason else "no request"


def status_word(exchange: Exchange) -> str:
    """Return the status, or an ellipsis before the response."""
    if exchange.status is not None:
        return str(exchange.status)
    return "-" if exchange.ended else ELLIPSIS


def size_word(exchange: Exchange) -> str:
    """Return the size of the body, in at most six cells: the request's in an upload, else the response's."""
    size = exchange.response_bytes
    if exchange.method in _WRITES:
        size = exchange.request_bytes or size
    elif exchange.method == "HEAD":
        return "-"
    return bytes_word(size)


def bytes_word(size: int) -> str:
    """Return a number of bytes in at most six cells."""
    if size < 1000:
        return f"{size}B"
    value, power = size / 1024, 0
    while value >= 999.5 and power < len(_UNITS) - 1:
        value, power = value / 1024, power + 1
    unit = _UNITS[power]
    return f"{value:.1f}{unit}" if value < 99.95 else f"{value:.0f}{unit}"


def share_word(done: int, whole: int) -> str:
    """Return `done` of `whole` bytes in at most six cells: `0.5/8M`, `41/98M`, or else the percentage.

    `done` is rounded down. The percentage is shown if the whole would be rounded by more than 5%.
    """
    suffix = bytes_word(whole)[-1]
    unit: int = 1024 ** (_UNITS.find(suffix) + 1)
    rounded = round(whole / unit)
    if abs(rounded * unit - whole) <= whole * _ROUNDED:
        tenths = done * 10 // unit
        texts = (f"{tenths // 10}.{tenths % 10}",) if unit > 1 else ()
        for text in (*texts, str(tenths // 10)):
            if len(both := f"{text}/{rounded}{suffix}") <= _SIX:
                return both
    return f"{min(100, done * 100 // max(1, whole))}%"


def milliseconds(exchange: Exchange, now: float) -> str:
    """Return its duration, or that until `now`, in at most six cells: in milliseconds, or else seconds.

    It is a hyphen if the end is unknown.
    """
    if exchange.end_is_unknown:
        return "-"
    seconds = exchange.duration
    return (
        duration_word(max(0.0, now - exchange.started), False) if seconds is None else duration_word(seconds)
    )


def duration_word(seconds: float, is_exact: bool = True) -> str:
    """Return a duration in at most six cells: in milliseconds, from 999 s on in seconds; tenths if exact."""
    seconds = round(seconds, 6)  # as in files, so that a file shows what was live
    if is_exact and seconds < 0.00995:
        return f"{seconds * 1000:.1f}"
    return f"{seconds * 1000:.0f}" if seconds < 999 else f"{seconds:.0f}s"


def member_line(exchange: Exchange, width: int) -> str:
    """Return a request below the heading of its transfer, without the repository: `  GET manifests/1.2`."""
    before = f"  {method_word(exchange)} {_kind(exchange.endpoint)}"
    return fit(before + in_cells(exchange.target.reference, width - cell_len(before)), width).rstrip()


def transfer_line(transfer: Transfer, width: int) -> str:
    """Return what is pulled or pushed (`PULL library/app:1.2`), in at most `width` cells."""
    target = transfer.first.target
    word = str(transfer.kind or "HEAD")
    mark, reference = (":", transfer.tag) if transfer.tag else ("@", target.reference)
    name, room = visible(target.name), width - len(word) - 1
    is_named = target.endpoint is Endpoint.MANIFEST or transfer.tag
    tail = mark + in_cells(reference, room - cell_len(name) - 1) if is_named else ""
    name = fit_end(name, max(0, room - cell_len(tail)))
    return fit(f"{word} {name}{tail}", width).rstrip()


def transfer_length(transfer: Transfer) -> int:
    """Return the cells that `transfer_line` needs if of a digest only the beginning is shown."""
    target = transfer.first.target
    needs = len("PULL ") + cell_len(beginning(target.name, _LONGEST))
    if target.endpoint is not Endpoint.MANIFEST and not transfer.tag:
        return needs
    return needs + 1 + cell_len(short(transfer.tag or target.reference))


def subject_of(exchange: Exchange) -> str:
    """Return the digest that was requested or served, else the reference, else the path."""
    if is_digest(exchange.target.reference):
        return exchange.target.reference
    told = exchange.response_header("docker-content-digest")
    return told if is_digest(told) else exchange.target.reference or exchange.path


def method_word(exchange: Exchange) -> str:
    """Return a method, cut to the length of the longest standard one (RFC 9110, WebDAV)."""
    return beginning(exchange.method, _METHOD_SHOWN)


def _kind(endpoint: Endpoint) -> str:
    match endpoint:
        case Endpoint.MANIFEST:
            return "manifests/"
        case Endpoint.CONFIG | Endpoint.LAYER:
            return "blobs/"
        case Endpoint.UPLOAD:
            return "uploads/"
        case Endpoint.TAGS:
            return "tags/list"
        case Endpoint.REFERRERS:
            return "referrers/"
    return ""


def short(reference: str) -> str:
    """Return a reference; of a digest, only the beginning."""
    algorithm, _, _ = reference.partition(":")
    return in_cells(reference, len(algorithm) + 1 + _DIGEST_SHOWN + 1)


def in_cells(reference: str, width: int) -> str:
    """Return a reference, `visible`; a digest in `width` cells, but at least its first six digits.

    If there is room for few digits, the algorithm is omitted. Other references are not cut.
    """
    if not is_digest(reference) or len(reference) <= width:
        return visible(reference)
    encoded = reference.partition(":")[2]
    if width < len(reference) - len(encoded) + _DIGEST_SHOWN + 1:
        return encoded[: max(_DIGEST_SHOWN, width - 1)] + ELLIPSIS
    return reference[: width - 1] + ELLIPSIS


_EIGHTHS = " ▏▎▍▌▋▊▉█"
_BEFORE = "·"


def span_bar(start: float, end: float, span: tuple[float, float], width: int) -> str:
    """Return a bar from `start` to `end` within `span` (seconds), in `width` cells, after dots."""
    whole = max(span[1] - span[0], 1e-6)
    first = min(width - 1, max(0, int((start - span[0]) / whole * width)))
    eighths = round((min(end, span[1]) - max(start, span[0])) / whole * width * 8)
    eighths = min(max(1, eighths), (width - first) * 8)
    full, part = divmod(eighths, 8)
    return f"{_BEFORE * first}{'█' * full}{_EIGHTHS[part] if part else ''}".ljust(width)


def progress_bar(done: int, whole: int, width: int = 9) -> str:
    """Return how much of `whole` is done, in `width` cells: `███▌··42%`."""
    share = min(1.0, max(0.0, done / whole)) if whole > 0 else 1.0
    words = f"{int(share * 100)}%"
    room = width - len(words)
    full, part = divmod(int(share * room * 8), 8)
    return f"{'█' * full}{_EIGHTHS[part] if part else ''}".ljust(room, _BEFORE) + words


def elapsed(transfer: Transfer, seconds: float | None, now: float) -> str:
    """Return the duration of a transfer, or that until `now`; a hyphen if the end of a request is unknown."""
    if seconds is not None:
        return duration_word(seconds)
    if any(each.end_is_unknown for each in transfer.members):
        return "-"
    return duration_word(max(0.0, now - transfer.members[0].started), False)


def progress(exchange: Exchange) -> str:
    """Return how much of the body has passed in flight, or nothing if that is unknown."""
    whole = announced(exchange)
    if exchange.ended is None and whole and exchange.method != "HEAD" and body_bytes(exchange):
        return progress_bar(body_bytes(exchange), whole)
    return ""
