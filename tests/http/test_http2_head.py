"""The heads of HTTP/2 requests: we accept nothing that the h2 library rejects, and little else."""

from __future__ import annotations

import contextlib

from h2.exceptions import ProtocolError
from h2.utilities import HeaderValidationFlags, validate_headers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brokenreg.http.http2_frames import MalformedError, read_head
from tests.connections import timelines, until_idle
from tests.raw_http import HTTP2
from tests.server import Brokenreg

NAMES = st.sampled_from(
    b":method :path :scheme :authority :status :protocol host te cookie a A connection transfer-encoding "
    b"upgrade keep-alive proxy-connection : a:b".split(b" ")
)
VALUES = st.sampled_from(
    [*b"GET CONNECT / https example trailers * \xc3\xa9".split(), b"", b" a", b"a ", b"a\nb", b"\0"]
)
ORDINARY = st.tuples(
    st.from_regex(rb"[a-z0-9-]{1,9}", fullmatch=True), st.from_regex(rb"[!-~]{0,9}", fullmatch=True)
)
FIELD = st.tuples(NAMES | st.binary(max_size=3), VALUES | st.binary(max_size=3))
PSEUDO = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"example"), (b":path", b"/v2/")]


def _h2_accepts(headers: list[tuple[bytes, bytes]]) -> bool:
    flags = HeaderValidationFlags(
        is_client=False, is_trailer=False, is_response_header=False, is_push_promise=False
    )
    with contextlib.suppress(ProtocolError):
        list(validate_headers(headers, flags))
        return True
    return False


@settings(max_examples=500)
@given(st.lists(FIELD, max_size=3), st.integers(0, 4), st.lists(FIELD, max_size=3))
@example([], 4, [(b"te", b"trailers"), (b"x", b"\xff"), (b"x", b"")])
@example([], 4, [(b"host", b"example")])
@example([], 3, [(b":path", b"/")])
@example([], 3, [(b"a", b"b"), (b":path", b"/")])
@example([], 4, [(b"host", b"another")])
def test_what_the_library_rejects_is_malformed(
    before: list[tuple[bytes, bytes]], pseudo: int, after: list[tuple[bytes, bytes]]
) -> None:
    headers = [*before, *PSEUDO[:pseudo], *after]
    with contextlib.suppress(MalformedError):
        head, _ = read_head(headers, ends=True)
        assert _h2_accepts(headers)
        assert head["headers"][0][0] == b"host"
        assert not any(name.startswith(b":") for name, _ in head["headers"])


@given(st.lists(ORDINARY))
def test_ordinary_heads_are_accepted(fields: list[tuple[bytes, bytes]]) -> None:
    fields = [(b"x-" + name, value) for name, value in fields]
    head, length = read_head([*PSEUDO, *fields], ends=True)
    assert (head["method"], head["path"], head["query_string"], length) == ("GET", "/v2/", b"", None)
    assert head["headers"] == [(b"host", b"example"), *fields]


def test_a_connection_with_a_malformed_request_is_in_the_log(own_registry: Brokenreg) -> None:
    """As a request, it has no method and path that could be shown."""
    with HTTP2(own_registry) as connection:
        assert connection.ask("no-path").ended == "rst-stream"
    own_registry.stop()
    assert [line["endpoint"] for line in own_registry.lines] == ["connect"]
    assert own_registry.warnings == ""


def test_the_reason_is_shown(own_registry: Brokenreg) -> None:
    with HTTP2(own_registry) as connection:
        connection.ask("no-path")
        connection.socket.close()
        until_idle(own_registry)
    assert timelines(own_registry)[0][0] == "malformed HTTP/2 request: :path is missing or malformed"
