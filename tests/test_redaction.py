"""Secrets are recognised by the words of a name or the form of a value; the rest stays readable."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenreg.redaction import announces_secret, redact_parameter, redact_text
from brokenreg.traffic.redaction import redact_body, redact_headers, redact_query
from tests.hang_guard import hang_guard

SECRET = "hunter2"
JWT = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJjYXNleSJ9.c2lnbmF0dXJl-_x"
DIGEST = "sha256:" + "0123456789abcdef" * 4

SECRET_NAMES = (
    "X-Auth-Token", "PRIVATE-TOKEN", "X-JFrog-Art-Api", "X-Amz-Security-Token", "X-Vault-Token",
    "Job-Token", "X-Forwarded-Authorization", "Authentication", "Apikey", "Api-Key", "X-CSRF-Token",
    "Cookie2", "Set-Cookie", "X-Registry-Config", "X-My-Secret", "x-authtoken", "X-User-Password",
    "X-Session-Id", "Jwt", "key", "jwt", "apikey", "code", "assertion", "pass", "session", "passphrase",
    "otp", "hmac", "sid", "sig", "AWSAccessKeyId", "Key-Pair-Id", "accessToken", "clientSecret",
    "client_secret", "idToken", "refresh_token", "upload_token", "PHPSESSID", "X-Goog-Signature",
    "credential", "pwd", "oauth_token", "code_verifier", "passcode", "passkey", "pincode", "authcode",
    "mfa_code", "verification_code", "X-XSRF", "csrf", "SAMLResponse", "X-Macaroon", "psk", "sshkey",
    "dbpass", "x-authz",
)  # fmt: skip
PUBLIC_NAMES = (
    "X-Registry-Supports-Signatures", "Docker-Distribution-Api-Version", "Docker-Content-Digest",
    "Docker-Upload-UUID", "Content-Digest", "Repr-Digest", "Digest", "ETag", "Location", "RateLimit",
    "RateLimit-Remaining", "RateLimit-Policy", "X-RateLimit-Remaining-Tokens", "WWW-Authenticate",
    "Retry-After", "Range", "Link", "OCI-Subject", "Vary", "X-Request-Id", "X-Amz-Request-Id",
    "Session-Affinity", "Cookie-Policy", "Public-Key-Pins", "RateLimit-Key", "password_policy",
    "auth_service", "public_key", "primary_key", "session_duration", "opinion", "tokenizer",
    "x-ms-error-code", "Authority", "author", "monkey", "bypass", "compass", "token_type", "expires_in",
    "X-Token-Expires", "scope", "service", "encode", "keyboard", "sessions",
)  # fmt: skip

READABLE_HEADERS = (
    ("www-authenticate", 'Bearer realm="https://auth.example/token?service=x",service="registry.example",'
     'scope="repository:library/token:pull,push",error="invalid_token"'),
    ("www-authenticate", 'Basic realm="Registry: key and token"'),
    ("www-authenticate", 'Digest realm="x", qop="auth", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'),
    ("docker-content-digest", DIGEST),
    ("content-digest", "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"),
    ("etag", f'"{DIGEST}"'),
    ("etag", 'W/"0815abcDEF123456789"'),
    ("location", f"/v2/a/session/token/blobs/{DIGEST}"),
    ("location", "http://h:5000/v2/a/b/blobs/uploads/5a2f1c3e-77d1-4c07-9d63-2b1d5b0c9a11"),
    ("location", "https://h/v2/a/b/manifests/v1?ns=quay.io&n=100&last=k8s-Xy12"),
    ("link", '</v2/_catalog?last=a%2Fb&n=2>; rel="next"'),
    ("x-registry-supports-signatures", "1"),
    ("docker-distribution-api-version", "registry/2.0"),
    ("ratelimit-limit", "100;w=21600"),
    ("ratelimit", '"key";r=99;t=20'),
    ("docker-ratelimit-source", "192.0.2.1"),
    ("access-control-allow-credentials", "true"),
    ("access-control-allow-headers", "Authorization, X-Auth-Token"),
    ("user-agent", "docker/27.0.1 go/go1.22 git-commit/ff1e2c0 kernel/6.1 os/linux arch/amd64"),
    ("accept", "application/vnd.oci.image.index.v1+json, application/json;q=0.9"),
    ("x-image", f"docker://busybox@{DIGEST} and oci://h/a/b:v1@{DIGEST}"),
    ("date", "Sat, 28 Nov 2026 05:00:00 GMT"),
    ("via", "1.1 brokenreg-0123456789abcdef"),
    ("proxy-status", "brokenreg; error=proxy_loop_detected"),
    ("x-error", "Basic authentication is required, and a bearer token"),
)  # fmt: skip
HIDDEN_HEADERS = (
    ("referer", f"http://casey:{SECRET}@h/p?a=1", "http://***@h/p?a=1"),
    ("referer", f"https://{SECRET}@h/", "https://***@h/"),
    ("location", f"https://s3.example/b?X-Amz-Date=20260101T000000Z&X-Amz-Signature={SECRET}&n=1#x",
     "https://s3.example/b?X-Amz-Date=20260101T000000Z&X-Amz-Signature=***&n=1#x"),
    ("location", f"/cb#access_token={SECRET}&state=1", "/cb#access_token=***&state=1"),
    ("x-original-url", f"/v2/?token={SECRET}", "/v2/?token=***"),
    ("link", f'</v2/_catalog?last=a&tok%65n={SECRET}>; rel="next"',
     '</v2/_catalog?last=a&tok%65n=***>; rel="next"'),
    ("www-authenticate", f'Bearer realm="https://h/token?key={SECRET}&service=x",token="{SECRET}"',
     'Bearer realm="https://h/token?key=***&service=x",token="***"'),
    ("www-authenticate", "Negotiate YIIZwMAAAQAQ==", "Negotiate ***"),
    ("x-forwarded-authorization", f"Bearer {SECRET}", "Bearer ***"),
    ("x-anything", f"Basic {SECRET}", "Basic ***"),
    ("x-anything", f"says {JWT}.", "says ***"),
    ("x-anything", "ghp_0123456789abcdefABCDEF0123456789abcd", "***"),
    ("x-anything", "glpat-0123456789abcdefABCD", "***"),
    ("x-anything", "id=AKIAIOSFODNN7EXAMPLE;x", "id=***;x"),
    ("x-anything", "(dckr_pat_0123456789abcdefABCDEF)", "(***)"),
    ("from", "casey@example.com", "***"),
    ("x-anything", f"https://casey:a@{SECRET}@h/p", "https://***@h/p"),
    ("x-anything", f"casey:a@{SECRET}@h", "***@h"),
    ("x-anything", f"Basic\t{SECRET}", "Basic\t***"),
    ("x-anything", f"/?a&Bearer+{SECRET}", "/?a&Bearer+***"),
    ("x-anything", "glffct-0123456789abcdefABCD", "***"),
)  # fmt: skip


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_that_announce_a_secret(name: str) -> None:
    assert announces_secret(name)
    assert redact_headers([(name.encode(), SECRET.encode())]) == ((name.lower(), "***"),)
    assert redact_query(f"n=1&{name}={SECRET}&last=a") == f"n=1&{name}=***&last=a"


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_names_that_announce_none(name: str) -> None:
    assert not announces_secret(name)
    assert redact_headers([(name.encode(), SECRET.encode())]) == ((name.lower(), SECRET),)


@pytest.mark.parametrize(("name", "value"), READABLE_HEADERS)
def test_headers_that_stay_readable(name: str, value: str) -> None:
    assert redact_headers([(name.encode(), value.encode())]) == ((name, value),)


@pytest.mark.parametrize(("name", "value", "shown"), HIDDEN_HEADERS)
def test_secrets_in_values(name: str, value: str, shown: str) -> None:
    assert redact_headers([(name.encode(), value.encode())]) == ((name, shown),)


@pytest.mark.parametrize(
    "query",
    ["Expires=1700000000", "se=2026-01-01T00%3A00%3A00Z", "sv=2021-08-06", "X-Amz-Algorithm=AWS4-HMAC-SHA256",
     "X-Amz-Date=20260101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host%3Brange", "offline_token=true",
     "scope=repository%3Aa%2Fb%3Apull%2Cpush&service=registry.docker.io&client_id=docker&account=casey",
     f"digest={DIGEST}&mount={DIGEST}&from=a%2Fb", "artifactType=application%2Fvnd.in-toto%2Bjson",
     "response-content-type=application%2Foctet-stream",
     "platform=linux%2Famd64&x=ab12CD3", "uploads", "", "&&=&a="],
)  # fmt: skip
def test_queries_that_stay_readable(query: str) -> None:
    assert redact_query(query) == query


@pytest.mark.parametrize(
    "query",
    ["_state=x9Fa2LkQ0pZ7", "verify=1700000000-AbC%2bd9Xy%3d", "e=S3KRETx1a2b3c4d",
     f"redirect=%2Fx%3Ftoken%3D{SECRET}",
     f"to=http%3A%2F%2Fu%3A{SECRET}%40h%2F", "x9Fa2LkQ0pZ7", f"x={JWT}", f"a=Bearer%20{SECRET}"],
)  # fmt: skip
def test_parameters_that_nobody_knows_are_shown_if_people_can_read_them(query: str) -> None:
    assert redact_query(query) in ("***", f"{query.partition('=')[0]}=***")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f'{{"token":"{SECRET}","expires_in":300,"access_token": "{SECRET}"}}',
         '{"token":"***","expires_in":300,"access_token": "***"}'),
        (f'{{"detail":"{{\\"password\\":\\"{SECRET} x\\"}}"}}', '{"detail":"{\\"password\\":\\"***\\"}"}'),
        (f"grant_type=password&username=casey&password={SECRET}&service=x",
         "grant_type=password&username=casey&password=***&service=x"),
        (f"Authorization: Bearer {SECRET}x\r\nHost: h", "Authorization: Bearer ***\r\nHost: h"),
        (f"GET https://u:{SECRET}@h/token?x=1 401", "GET https://***@h/token?x=1 401"),
        (f'{{"token":["{SECRET}", "{SECRET}"],"Authorization":["Bearer {SECRET}"],"a":["b"]}}',
         '{"token":["***"],"Authorization":["***"],"a":["b"]}'),
        (f'{{"m":"{{\\"token\\":[\\"{SECRET}\\"]}}"}}', '{"m":"{\\"token\\":[\\"***\\"]}"}'),
        ("Authorization: Token abcDEF123456\nHost: h", "Authorization: Token ***\nHost: h"),
        ("authorization: required for casey", None),
        ('"keys": ["a"]', None),
        ("no token: 401 from https://h/token?service=x", None),
        ("invalid token: expired", None),
        ('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no key","detail":{"reference":"v1"}}]}', None),
        ("a/b:v1@sha256:0123", None),
        (f"quay.io sent 5 bytes with the digest {DIGEST}", None),
        (f"Authorization: Digest {SECRET}", "Authorization: Digest ***"),
        ("token: not applicable: h2 cannot express it", None),
    ],
)  # fmt: skip
def test_texts(text: str, shown: str | None) -> None:
    """These are bodies, timelines and lines of our own log."""
    assert redact_text(text) == (text if shown is None else shown)


def test_a_manifest_keeps_its_annotations() -> None:
    body = b'{"annotations":{"org.example.signature":"MEUCIQ==","key":"a b"},"data":"eyJhIjoxfQ=="}'
    assert redact_body(body, is_document=True) == body
    assert redact_body(f'{{"a":"{JWT}"}}'.encode(), is_document=True) == b'{"a":"***"}'
    assert redact_body(b"\xff\xfe token=abc", is_document=False) == b"\xff\xfe token=***"


def test_a_body_that_comes_again_is_not_looked_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    body = f'{{"a":"{JWT}","again":1}}'.encode()
    redacted = redact_body(body, is_document=True)
    monkeypatch.setattr("brokenreg.traffic.redaction.redact_forms", lambda _: pytest.fail("looked through"))
    assert redact_body(bytes(bytearray(body)), is_document=True) == redacted


_TOKENS = st.text(string.ascii_letters + string.digits + "-._~+/", min_size=8, max_size=40)
_SAFE = st.text(string.ascii_lowercase + string.digits + "/:.-", max_size=12)


@settings(max_examples=60)
@given(
    st.sampled_from(SECRET_NAMES),
    _TOKENS.filter(lambda token: not token.isalpha()),
    st.sampled_from(["{}", "https://h/p?n=1&{}&last=x", "</v2/_catalog?{}>; rel=next", "x?{}#y", "/a#{}"]),
)
def test_no_secret_parameter_is_shown_wherever_it_stands(name: str, token: str, place: str) -> None:
    secret = f"{name}=q{token}q"
    if name == "code" and place == "{}":
        return  # errors have codes too
    assert f"q{token}q" not in redact_text(place.format(secret))
    assert f"q{token}q" not in redact_query(f"a=1&{secret}")
    (shown,) = redact_headers([(b"x-any", place.format(secret).encode())])
    assert f"q{token}q" not in shown[1]


@settings(max_examples=60)
@given(st.text(max_size=60) | st.lists(st.sampled_from(
    ["token", "=", ":", " ", '"', "\\", "Bearer", "abc123XY", "@",
     "//", "?", "&", "key", "\n", "***", "eyJhbGciOi.", "/"]
), max_size=14).map("".join))  # fmt: skip
def test_what_was_redacted_stays_as_it_is(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@settings(max_examples=60)
@given(
    _SAFE,
    st.sampled_from(["a", "b/c", "token", "key/session"]),
    st.text("0123456789abcdef", min_size=64, max_size=64),
)
def test_paths_and_digests_stay_readable(tag: str, repository: str, hexadecimal: str) -> None:
    for text in (
        f"/v2/{repository}/manifests/sha256:{hexadecimal}",
        f"/v2/{repository}/blobs/uploads/{hexadecimal[:32]}",
        f"repository:{repository}:pull",
        f"sha256:{hexadecimal}",
    ):
        assert redact_text(text) == text
        assert redact_headers([(b"location", text.encode())]) == (("location", text),)


@pytest.mark.parametrize(
    "text",
    ["eyJ" * 20_000, "?a=" * 20_000, '="' + "a" * 60_000, 'token="' * 9_000, "Bearer " * 9_000,
     "a:b" * 20_000 + "@",
     'basic+basic ' * 5_000 + '="', '\\"token=\\"' * 6_000, "https://h/" * 6_000 + "@", "key=" * 15_000],
)  # fmt: skip
def test_long_texts_take_no_time(text: str) -> None:
    """With backtracking, a pattern would take minutes."""
    with hang_guard():
        redact_text(text)
        redact_parameter(f"x={text}")
