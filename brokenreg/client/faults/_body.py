"""Constructors of the faults of the family body. `make reference` writes this module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

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

    - `after`: how much of the body to send
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


@with_parameters
def body(
    *,
    named: Literal["empty", "sign-in", "blocked", "captcha", "not-allowed", "access-denied"] | None = None,
    text: str | None = None,
    base64: str | None = None,
    file: str | None = None,
    members: Mapping[str, Any] | None = None,
    remove: Sequence[str] | None = None,
    content_type: str | None = None,
) -> Fault:
    """Replaces the body of a response, or changes members of its JSON. The status stays the same.

    Set one of these; the default is `sign-in` as `named`:

    - `named`: a body by name, such as the page of a login portal, with its Content-Type
    - `text`: the body itself
    - `base64`: the body in base64
    - `file`: a file of at most 1 MiB; its path is relative to the scenario file. You can use it only in
      a scenario file that you name on the command line; its content then becomes `text` or `base64`
    - `members` and `remove`: the JSON of the registry, where these members have another value (null is also
      a value) or are missing. `token` is a member of the document itself, and `layers.0.size` a member of a
      part of it. `5`, `true` and `[]` are JSON; to get the text 5, write `'"5"'`

    `content_type` replaces the Content-Type. The digest headers stay as the registry sends them.

    The default endpoint is `any`.

    Parameters:

    - `named`: name of a body
    - `text`: the body
    - `base64`: the body in base64
    - `file`: path of a file with the body
    - `members`: values of members of the registry's JSON
    - `remove`: members to remove from the registry's JSON
    - `content_type`: Content-Type; by default that of the named body, or the registry's
    """
    return Fault(type="body")


@with_parameters
def encode(*, coding: Literal["gzip", "deflate", "zstd"] = "gzip", header: bool = True) -> Fault:
    """Compresses the body, as a proxy between registry and client does.

    With `header`, the response has Content-Encoding, so a client must decompress it. Without it, the client
    gets bytes that do not match the digest. The length in Content-Length is that of the compressed body. A
    body of more than 256 KiB has no Content-Length: it is sent in chunks. `zstd` does not make the
    body smaller.

    The default endpoint is `blob`.

    Parameters:

    - `coding`: the content coding
    - `header`: whether the response has Content-Encoding
    """
    return Fault(type="encode")


@with_parameters
def negotiate(*, form: Literal["not-found", "not-acceptable", "convert", "schema1"] = "not-found") -> Fault:
    """Sends a manifest only if Accept names its media type.

    A range such as `*/*` names all types; a request without Accept names none. `form` selects the response to
    other requests:

    - `not-found`: 404 (code MANIFEST_UNKNOWN)
    - `not-acceptable`: 406
    - `convert`: the manifest with the media types of Docker instead of those of OCI, or the reverse, if
      Accept names the other type; it has another digest, under which nothing is found. Otherwise, 404
    - `schema1`: whatever Accept names, the manifest of an image in Docker's old format, schema 1, with a
      signature; it has another digest, under which nothing is found. An index gets a 404

    The default endpoint is `manifest`.

    Parameters:

    - `form`: the response if Accept does not name the type
    """
    return Fault(type="negotiate")
