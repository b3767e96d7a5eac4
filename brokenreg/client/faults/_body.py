"""Constructors of the faults of the family body. `make reference` writes this module."""

from __future__ import annotations

from typing import Literal

from brokenreg.client.faults.fault import Fault, with_parameters


@with_parameters
def truncate(
    *,
    after: float | str = 65536,
    end: Literal["fin", "rst", "close-notify"] = "fin",
    scope: Literal["stream", "connection"] = "stream",
) -> Fault:
    """Sends the full Content-Length but only the first `after` bytes, then closes the connection.

    `end` selects how the connection ends:

    - `fin`: TCP FIN; over TLS without close_notify
    - `rst`: TCP RST
    - `close-notify`: TLS close_notify, then FIN; only over TLS

    Over HTTP/2, only the stream ends, with RST_STREAM INTERNAL_ERROR. If `scope` is `connection`, the whole
    connection ends as `end` says. A body of `after` bytes or fewer is sent unchanged.

    The default endpoint is `layer`.

    Parameters:

    - `after`: how much of the body to send (64KiB, 50%)
    - `end`: how the connection ends
    - `scope`: what ends over HTTP/2
    """
    return Fault(type="truncate")


@with_parameters
def corrupt(*, offset: int | str = 0, every: int | str | None = None) -> Fault:
    """Flips the bits of the byte at `offset`, or of one byte in each block of `every` bytes.

    Length and headers are correct, so only the digest reveals the change. Offsets count from the start of the
    whole content, also in a response to a Range request.

    The default endpoint is `layer`.

    Parameters:

    - `offset`: the byte to corrupt, from 0; with `every`, within each block
    - `every`: block size, to corrupt one byte per block; by default only one byte
    """
    return Fault(type="corrupt")


@with_parameters
def swap() -> Fault:
    """Sends another blob of the same repository under the requested digest.

    Content-Length is that of the other blob, so it arrives completely. Docker-Content-Digest is the requested
    digest. The fault has no effect if the repository has no other blob.

    The default endpoint is `layer`.
    """
    return Fault(type="swap")


@with_parameters
def wrong_length(*, form: Literal["shorter", "longer", "absent"] = "longer", by: int | str = 1) -> Fault:
    """Sends a Content-Length that differs from the length of the body.

    Over HTTP/2 the stream ends normally. `form` selects what is wrong with Content-Length:

    - `longer`: it is `by` bytes too high, and the connection ends (FIN) after the body
    - `shorter`: it is `by` bytes too low, and the rest of the body follows anyway
    - `absent`: no Content-Length; over HTTP/1.1 the body is then chunked

    The default endpoint is `layer`.

    Parameters:

    - `form`: what is wrong with Content-Length
    - `by`: number of bytes too few or too many
    """
    return Fault(type="wrong-length")
