"""What the words of clients name of a failure. The lines are what skopeo, podman, docker and ctr print."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.exam.clarity import clarity_of
from tests.exam.reports import exchange, report

BLOB = "sha256:6b4dcb7f7b6e908504b9777f29097169503704e554a6a441a90a8d0909cbb8e2"
REF = "127.0.0.1:41609/broken/in/run-6570b372316c/broken/random:layers-3_size-64kib_seed-175"
FATAL = 'time="2026-11-28T21:02:16Z" level=fatal msg="'
READING = f"{FATAL}initializing source docker://{REF}: reading manifest v1 in 127.0.0.1:41609/broken/random: "


def named(line: str, **changed: Any) -> str:
    """Return what a line names of an exchange in which a fault was applied."""
    failed = exchange(2, **{"faults": ["error"], "reference": BLOB, "endpoint": "layer", **changed})
    progress = f"Getting image source signatures\nCopying blob {BLOB}\nCopying blob {'1' * 64}\n"
    run = report("a case", exchanges=[exchange(1), failed], output=f"{progress}{line}\n", status=1)
    return " ".join(clarity_of(run))


@pytest.mark.parametrize(
    ("line", "changed", "names"),
    [
        (f"{READING}manifest unknown: Not found, on purpose", {"status": 404}, "status code"),
        (f"{READING}unauthorized: Authentication required", {"status": 401}, "status code"),
        (f"{READING}denied: Your authorization token has expired.", {"status": 403}, "code cause"),
        (f"{READING}errors:\\ndenied: requested access is denied\\nunauthorized: no token", {"status": 401},
         "status code"),
        (f"{READING}received unexpected HTTP status: 503 Service Unavailable", {"status": 503}, "status"),
        (f"{READING}StatusCode: 405, <html><title>405</title><p>Method...", {"status": 405}, "status"),
        (f"{FATAL}reading blob {BLOB}: invalid status code from registry 404 (Not Found)",
         {"status": 404}, "status digest"),
        (f"{FATAL}writing blob: happened during read: unexpected EOF", {"ended": "cut"}, "cause"),
        (f"{FATAL}Digest did not match, expected {BLOB}, got sha256:d49e78", {}, "digest cause"),
        (f"{FATAL}Download digest sha256:858c does not match expected {BLOB}", {}, "digest cause"),
        (f"{FATAL}initializing image: invalid character '<' looking for beginning of value", {}, "cause"),
        (f"{FATAL}json: cannot unmarshal string into Go struct field bearerToken", {}, "cause"),
        (f"{FATAL}too many requests to registry", {"status": 429}, "status"),
        (f"{FATAL}happened during read: invalid byte in chunk length", {}, "cause"),
        (f'{FATAL}Get "http://localhost:43601/v2/x": dial tcp 127.0.0.1:43601: connect: connection refused',
         {"status": 307}, "cause"),
        (f'{FATAL}Get "http://localhost:43601/v2/x": stopped after 10 redirects', {"status": 307}, "cause"),
        (f"{FATAL}reading blob: exceeded maximum allowed size of 4194304 bytes", {}, "cause"),
        (f"{FATAL}read tcp 127.0.0.1:54374: read: connection reset by peer", {}, "cause"),
        ("daemon: toomanyrequests: You have reached your pull rate limit.", {"status": 429},
         "code cause"),
        (f"Error response from daemon: manifest for {REF} not found: manifest unknown", {"status": 404},
         "status code"),
        ("6b4dcb7f7b6e: Download failed\nerror pulling image configuration: download failed after attempts=6",
         {"status": 500}, "digest"),
        ('ctr: failed to copy: httpReadSeeker: failed open: unexpected status code '
         'http://127.0.0.1:1/v2/x/blobs/y: 500 Internal Server Error', {"status": 500}, "status"),
        (f'ctr: failed commit on ref "layer-{BLOB}": unexpected commit digest sha256:d49e78d8c4d9, '
         f"expected {BLOB}: failed precondition", {}, "digest"),
        ("ctr: failed to do request: Head: tls: failed to verify certificate: x509: certificate signed by "
         "unknown authority", {}, "cause"),
        ('Error: {"errors":[{"code":"MANIFEST_UNKNOWN","message":"no"}]}', {"status": 404}, "code"),
        ("curl: (22) The requested URL returned error: 404", {"status": 404}, "status"),
        ("Traceback (most recent call last):\n  File x\nurllib.error.HTTPError: HTTP Error 404: Not Found",
         {"status": 404}, "status"),
    ],
)  # fmt: skip
def test_what_real_lines_name(line: str, changed: dict[str, Any], names: str) -> None:
    assert named(line, **changed) == names


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("error: pull failed", {"status": 503}),
        # Another status than that of the response.
        ("error: HTTP 503 Service Unavailable", {"status": 404}),
        # Numbers that are no status: a port, a size, a part of a tag, a version.
        ("error: 127.0.0.1:503 failed", {"status": 503}),
        ("error: blob-503 and 1.503.0 and v503 failed", {"status": 503}),
        (f"error: {REF.replace('random', 'error').replace('175', '503')} failed", {"status": 503}),
        # Words of codes in other sentences, and codes of another status.
        ("error: unsupported flag", {"status": 405}),
        ("error: unknown shorthand flag", {"status": 500}),
        ("open /etc/x: permission denied: error", {"status": 403}),
        ("unauthorized: authentication failed", {"status": 404}),
        ("toomanyrequests", {"status": 500}),
        # The digest of a blob that did not fail, and a progress bar.
        (f"error: sha256:{'1' * 64} failed", {"status": 500}),
        # Causes in the name of an image or in a URL.
        ("error: 127.0.0.1:1/broken/image:layer-mismatch-timeout failed", {"status": 500}),
        ("error: http://127.0.0.1:1/v2/eof/timeout failed", {"status": 500}),
        ("", {"status": 500}),
    ],
)
def test_what_names_nothing(line: str, changed: dict[str, Any]) -> None:
    assert named(line, **changed) == ""


def test_progress_is_no_message() -> None:
    assert named(f"Copying blob {BLOB}\nError: writing blob: unexpected EOF") == "cause"


@given(st.text(alphabet="0123456789abcdef.:/-", max_size=20), st.sampled_from([404, 429, 500, 503]))
def test_a_status_is_never_part_of_another_number(text: str, status: int) -> None:
    assert "status" not in named(f"error at {text}9{status} and {status}9{text}", status=status)


@given(
    st.sampled_from([400, 403, 404, 429, 500, 502, 503]), st.sampled_from(["HTTP {}", "{}", "({})", "{}: no"])
)
def test_a_status_in_any_form(status: int, form: str) -> None:
    assert named(f"pull failed: {form.format(status)}", status=status) == "status"


def test_a_redirect_fails_where_it_leads() -> None:
    """The fault was applied to the redirect, and the response at the second origin failed."""
    redirect = exchange(1, status=307, faults=["redirect"], endpoint="layer", reference=BLOB)
    there = exchange(2, status=404, endpoint="layer", reference=BLOB, origin="second")
    output = f"{FATAL}reading blob {BLOB}: invalid status code from registry 404 (Not Found)"
    run = report("a case", exchanges=[redirect, there], output=output, status=1)
    assert clarity_of(run) == ("status", "digest")
