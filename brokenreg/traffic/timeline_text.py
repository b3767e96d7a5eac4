"""The words for each kind of event in a timeline: for panel, readable output, control API and HAR."""

from __future__ import annotations

from typing import assert_never

from brokenreg.listening import connection_events as of
from brokenreg.oci.sizes import format_size
from brokenreg.traffic import timeline_events as on
from brokenreg.traffic import upstream_events as up
from brokenreg.traffic.timeline import Point
from brokenreg.traffic.timeline_events import data_of
from brokenreg.wording import counted, form_for


def text_of(event: on.TimelineEvent) -> str:
    """Return an event in one line. Parts of it come from clients and upstreams."""
    if isinstance(event, on.HTTPEvent):
        return _http(event)
    if isinstance(event, of.ConnectionEvent):
        return _connection(event)
    if isinstance(event, on.FaultEvent):
        return _fault(event)
    if isinstance(event, on.GateEvent):
        return _gate(event)
    if isinstance(event, up.UpstreamEvent):
        return _upstream(event)
    return _fabrication(event)


def point_as_json(point: Point, at: float) -> dict[str, object]:
    """Return a point as the control API and HAR have it; `at` is its time in their unit."""
    event = point.event
    return {"kind": event.kind, "at": at, "text": text_of(event), "data": data_of(event)}


def _http(event: on.HTTPEvent) -> str:
    match event:
        case on.RequestReceived():
            return "request received"
        case on.RequestBodyReceived():
            return "request body received"
        case on.HeadersSent():
            return "headers sent"
        case on.ResponseCutShort(reason):
            return f"cut short: {reason}"
        case on.ForwardedToReplica(replica, address):
            return f"forwarded to replica {replica} ({address})"
        case on.CredentialReceived(credential):
            return f"credential received: {credential}"
        case on.FirstRequestReceived():
            return "first request received"
        case on.ExchangeEnded():
            return "ended"
        case on.PointsOmitted(count):
            return f"{counted(count, 'event')} omitted"
    assert_never(event)


def _connection(event: of.ConnectionEvent) -> str:
    match event:
        case of.TLSHandshakeCompleted(version):
            return f"TLS handshake completed ({version})"
        case of.TLSHandshakeFailed(reason, by_client):
            return f"TLS handshake failed: {'the client sent alert ' if by_client else ''}{reason}"
        case of.TLSHandshakeTimedOut(seconds):
            return f"no TLS handshake within {seconds:.0f} s"
        case of.ClosedBeforeTLSHello():
            return "closed before the TLS handshake"
        case of.ClosedInTLSHandshake():
            return "closed during the TLS handshake"
        case of.TLSHelloOnPlainPort():
            return "TLS on plain port"
        case of.MalformedRequest(reason):
            return f"malformed HTTP/2 request: {reason}"
        case of.ReplySent(size):
            return f"sent {counted(size, 'byte')}"
        case of.ConnectionStalled():
            return "stalled"
        case of.ConnectionCut(end):
            return f"cut ({end})"
        case of.ConnectionReset():
            return "reset by the client"
        case of.ClosedByShutdown():
            return "closed: brokenreg is shutting down"
    assert_never(event)


def _fault(event: on.FaultEvent) -> str:
    match event:
        case on.FaultsApplied(faults):
            return f"fault applied: {'+'.join(faults)}"
        case on.FaultInapplicable(fault, reason):
            return f"{fault}: not applicable: {reason}"
        case on.FaultHadNoEffect(fault, reason):
            return f"{fault}: no effect: {reason}"
        case on.FaultNote(fault, note):
            return f"{fault}: {note}"
        case on.FaultDelay(fault, seconds):
            how_long = "until the client disconnects" if seconds is None else f"{round(seconds, 3):g} s"
            return f"{fault}: waits {how_long}"
    assert_never(event)


def _gate(event: on.GateEvent) -> str:
    match event:
        case on.HoldRequested(by):
            return f"hold requested by {by}"
        case on.BreakpointMatched(expression):
            return f"breakpoint matched: {expression}"
        case on.ResponseHeld(position):
            return "held at the headers" if position is None else f"held at byte {position}"
        case on.ResponseEdited(changes):
            return f"edited: {changes}"
        case on.ResponseResumed():
            return "resumed"
        case on.ResponseStepped(size):
            return f"stepped by {counted(size, 'byte')}"
        case on.ResponseAborted():
            return "aborted"
    assert_never(event)


def _upstream(event: up.UpstreamEvent) -> str:
    match event:
        case up.CacheUsed(result):
            return f"cache {result}"
        case up.UpstreamResponded(method, location, status, web_proxy):
            through = "" if web_proxy is None else f" (through the web proxy {web_proxy})"
            return f"upstream {method} {location}: {status}{through}"
        case up.UpstreamFailed(reason):
            return f"upstream failed: {reason}"
        case up.RateLimited(server, seconds):
            return f"rate limited: waiting {seconds:.0f} s for {server}"
        case up.CredentialHelperFailed(reason):
            return f"credential helper failed: {reason}"
        case up.CredentialsWithheld(reason):
            return reason
        case up.HeadInconclusive():
            return "response to HEAD inconclusive: sending GET"
        case up.ServedStale(reason):
            return f"stale: {reason}"
        case up.NotCached(reason):
            return f"not cached: {reason}"
        case up.ListTruncated(limit, count):
            return _truncated(limit, count)
        case up.DownloadResumed(offset, reason):
            return f"download resumed at byte {offset}: {reason}"
        case up.SharedDownload(source, offset):
            return f"read from {source}, from byte {offset} on"
    assert_never(event)


def _truncated(limit: up.ListLimit, count: int) -> str:
    match limit:
        case up.ListLimit.PAGES:
            return f"list cut short after {counted(count, 'page')}"
        case up.ListLimit.ENTRIES:
            return f"list cut short after {count:,} {form_for(count, 'entry', 'entries')}"
        case up.ListLimit.VALUES:
            return f"list cut short after {counted(count, 'page')}: the next page has too many values"
    assert_never(limit)


def _fabrication(event: on.FabricationEvent) -> str:
    match event:
        case on.FabricationQueued(place):
            return f"waiting for fabrication: number {place} in the queue"
        case on.FabricationStarted(layers, layer_size, seconds):
            layers_word = f"{counted(layers, 'layer')} of {format_size(layer_size)}"
            return f"fabricating {layers_word}, about {seconds} s left"
        case on.FabricationProgress(layer, layers, percent):
            return f"fabricating layer {layer} of {layers}, {percent}%"
    assert_never(event)
