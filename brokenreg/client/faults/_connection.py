"""Constructors of the faults of the family connection. `make reference` writes this module."""

from __future__ import annotations

from typing import Literal

from brokenreg.client.faults.fault import ConnectFault, Fault, with_parameters


@with_parameters
def accept(
    *, form: Literal["reset", "close", "stall", "garbage"] = "reset", dur: float | str | None = None
) -> Fault:
    """Accepts a TCP connection but does not serve it.

    On a TLS listener this happens before the handshake. A rule can match the client only by address, because
    there is no User-Agent yet. `form` selects what happens:

    - `reset`: RST immediately
    - `close`: FIN immediately
    - `stall`: nothing is sent; after `dur` the connection is closed (FIN), or it stays open until the client
      disconnects
    - `garbage`: a response to the client's first bytes that is neither HTTP nor TLS, then FIN

    The default endpoint is `connect`.

    Parameters:

    - `form`: what happens to the connection
    - `dur`: how long `stall` lasts; by default until the client disconnects
    """
    return ConnectFault(type="accept")


@with_parameters
def reset(*, after: int | str = 0, processed: bool = False) -> Fault:
    """Resets the TCP connection (RST) instead of responding.

    The registry first reads `after` bytes of the request's body, so that you can break a push in the middle.
    To cut a response, use `truncate`. Over HTTP/2, all streams of the connection end.

    The default endpoint is `layer`.

    Parameters:

    - `after`: number of bytes of the request's body to read first
    - `processed`: whether the registry carries out the request first; its response is dropped. Only POST,
      PUT, PATCH and DELETE are carried out
    """
    return Fault(type="reset")


@with_parameters
def empty_reply(*, processed: bool = True) -> Fault:
    """Carries out the request, then closes the connection (FIN) without sending a byte.

    So a blob is stored, but the client does not know. With `processed` set to false, the registry does not
    see the request.

    The default endpoint is `manifest`.

    Parameters:

    - `processed`: whether the registry carries out the request first
    """
    return Fault(type="empty-reply")


@with_parameters
def malformed(*, form: Literal["status-line", "header", "chunk", "garbage"] = "garbage") -> Fault:
    """Responds with something that is not valid HTTP/1.1, then closes the connection.

    HTTP/2 cannot express this fault. `form` selects what is malformed:

    - `status-line`: the status line
    - `header`: a header line
    - `chunk`: a chunk in the middle of a chunked body
    - `garbage`: everything, from the first byte

    The default endpoint is `manifest`.

    Parameters:

    - `form`: what is malformed
    """
    return Fault(type="malformed")


@with_parameters
def h2_reset(*, after: float | str = 0, code: int = 2) -> Fault:
    """Ends the HTTP/2 stream with RST_STREAM after `after` bytes of the body; the connection stays open.

    The default endpoint is `layer`.

    Parameters:

    - `after`: how much of the body to send; 0 sends no headers either
    - `code`: error code: 2 INTERNAL_ERROR, 7 REFUSED_STREAM, 8 CANCEL
    """
    return Fault(type="h2-reset")


@with_parameters
def h2_goaway(*, after: float | str = 0, code: int = 0) -> Fault:
    """Ends the HTTP/2 connection with GOAWAY after `after` bytes of the body.

    The frame says that the stream before this one was the last to be processed, so the client may repeat the
    request. The connection then closes, and its other streams end.

    The default endpoint is `layer`.

    Parameters:

    - `after`: how much of the body to send; 0 sends no headers either
    - `code`: error code: 0 NO_ERROR, 2 INTERNAL_ERROR, 11 ENHANCE_YOUR_CALM
    """
    return Fault(type="h2-goaway")
