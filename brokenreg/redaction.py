"""Replaces secrets in text: values of secret names, values that look secret, and user information in URLs.

A name is split into words at separators and in camelCase, and the words decide: `X-Auth-Token` and
`AWSAccessKeyId` are names of secrets, `X-Registry-Supports-Signatures` and `token_type` are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import unquote_plus

REDACTED = "***"

SCHEMES = {"basic": "Basic", "bearer": "Bearer", "digest": "Digest", "negotiate": "Negotiate", "ntlm": "NTLM"}
"""Authentication schemes (RFC 9110, section 11.1), in lower case and in their usual spelling."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_KEY = (
    "(?:access|account|api|auth|deploy|encryption|gpg|hmac|license|master|private|recovery|secret|shared"
    "|signing|ssh)keys?"
)
_SECRET_WORD = re.compile(
    r"key|pass|pwd?|sig|hmac|o?auth|t?otp|mfa|pin|sid|sas|psk|creds?|bearer|verifier|assertion|macaroons?|[cx]srf"
    r"|pass(?:code|key)|pincode|authz|saml(?:request|response)?|(?:admin|db|login|my|root|user)pass"
    # Some words are often written together: authtoken, sessionid, phpsessid.
    rf"|.*(?:token|signature|passphrase|cookies?|jwt|auth|authorization|authentication|session|sess(?:ion)?id|{_KEY})"
    rf"|.*(?:passw(?:or)?d|secret|credential)s?"
    rf"|.*(?:passw(?:or)?d|secret|credential|{_KEY}|token|session)(?:id|hash|key|value|data)"
)
"""A word in lower case that marks a name as that of a secret."""

_SECRET_NAMES = frozenset(
    {
        "code", "device_code", "user_code", "authorization_code", "authcode", "access_code",
        "activation_code", "security_code", "verification_code", "cookie2",
        "x-jfrog-art-api", "x-art-api", "x-registry-config",
    }
)  # fmt: skip
"""Names of secrets that cannot be recognised by their words."""

_DESCRIBES = frozenset(
    {
        "affinity", "alg", "algorithm", "at", "count", "duration", "enabled", "endpoint", "error",
        "expiration", "expire", "expires", "expiry", "format", "in", "length", "lifetime", "limit", "method",
        "methods", "pins", "policy", "realm", "remaining", "required", "scheme", "service", "size", "status",
        "supported", "timeout", "ttl", "type", "types", "uri", "url", "version",
    }
)  # fmt: skip
"""Last words of names that describe a secret without containing it: `token_type`, `expires_in`."""

_PUBLIC_NAMES = frozenset(
    {
        "surrogate-key", "x-cache-key", "cache-key", "sec-websocket-key", "idempotency-key", "public_key",
        "public-key", "primary_key", "foreign_key", "sort_key", "partition_key", "routing_key",
        "ratelimit-key",
    }
)  # fmt: skip

_PUBLIC_PARAMETERS = frozenset(
    {
        "account", "artifacttype", "client_id", "digest", "from", "grant_type", "host", "last", "mount", "n",
        "namespace", "ns", "realm", "reference", "repository", "response_type", "scope", "service", "tag",
        "user", "username",
    }
)  # fmt: skip
"""Parameters of registries and token services whose values are always shown."""

_Value = Callable[[re.Match[str]], re.Match[str] | None]

_LONGEST_CACHED = 100
_SHORTEST_OPAQUE = 8
_FLAG = re.compile(r"true|false|yes|no|on|off", re.IGNORECASE)
_DIGEST = re.compile(r"[a-z0-9+._-]+:[0-9a-f]{32,}")
_LEGIBLE = re.compile(r"[0-9]+Z?|[A-Z]?[a-z]{0,20}[0-9]{0,3}|[A-Z]{0,20}[0-9]{0,3}|[0-9]{2,8}T[0-9]{2,6}Z?")
"""A part of a readable value between punctuation: a word, a number or a time."""

_PUNCTUATION = re.compile(r"[^A-Za-z0-9]+")

_MAY_BE_KNOWN = re.compile("eyJ|_|gl|AKI|ASI|AIz|ya29|AKC|ATA|hv|cmVm|pypi-|xox|sha256~|PRIVATE")
"""A quick check: every known form contains one of these fragments."""

_KNOWN_FORMS = re.compile(
    r"eyJ[\w-]{6,}+(?:\.[\w-]*+)*+"  # `{"` in base64, which is a JWT if a full stop follows
    r"|(?<![A-Za-z0-9])(?:"
    r"gh[opsru]_[A-Za-z0-9]{10,}+|github_pat_\w{20,}+|gl(?:pat|dt|rt|ptt|ft|imt|agent|oas|cbt|soat|ffct|wt)-[\w.-]{16,}+"
    r"|dckr_[op]at_[\w-]{10,}+|npm_[A-Za-z0-9]{30,}+|pypi-AgE[\w-]{20,}+|hf_[A-Za-z0-9]{20,}+|sk_live_\w{10,}+"
    r"|do[opr]_v1_\w{20,}+|glsa_\w{20,}+|sha256~[\w-]{20,}+|xox[a-z]-[\w-]{10,}+"
    r"|A(?:KIA|SIA)[0-9A-Z]{12,}+|AIza[\w-]{30,}+|ya29\.[\w-]{10,}+|AKCp[A-Za-z0-9]{10,}+|ATATT[\w=-]{10,}+"
    r"|hv[bs]\.[\w-]{20,}+|cmVmdGtu[A-Za-z0-9+/]{10,}+=*+"
    r")"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*+"
)
"""The forms of tokens that can be recognised anywhere in a text."""

_SCHEME = re.compile(
    rf"(?<![\w-])({'|'.join(SCHEMES)})((?:[ \t+]|%20)++)(?!sha[0-9]+:)([\w.~+/-]{{6,}}+=*+)(?!\s*[=\"\w])",
    re.IGNORECASE,
)
_MAY_HAVE_SCHEME = re.compile(rf"(?:{'|'.join(SCHEMES)})(?:[ \t+]|%20)")
"""A quick check on the text in lower case."""

_LIKE_CREDENTIALS = re.compile(r".*(?:[0-9=+/~]|.[A-Z])", re.DOTALL)
"""Credentials after a scheme, as opposed to a word (`Basic authentication`)."""

_USER_INFORMATION = re.compile(r"(?<=//)(?:[^\s/?#@\"'<>]++@)++(?!sha[0-9]+:)")
"""User information in a URL. It extends to the last `@`, because a password can contain `@`."""

_BARE_USER_INFORMATION = re.compile(
    r"(?<![\w.~%+-])[\w.~%+-]++:(?:[^\s/@:\"'<>]++@)++(?!sha[0-9]+:)(?=[\w\[])"
)
_PARAMETER = re.compile(r"[?&#]([^\s=&?#;\"'<>]++)=([^\s&?#\"'<>]*+)")
_PARAMETER_REST = re.compile(r"[^\s&#\"'<>]*+")
_PAIR = re.compile(r"""(?<![\w.-])([\w.-]++)(\\?["']?\s*+[=:]\s*+)""")
_QUOTES = r"""(?:\\"(?:[^"\\]|\\[^"])*+(?:\\?"|\Z)|"(?:[^"\\]|\\.)*+(?:"|\Z)|'[^']*+(?:'|\Z))"""
_QUOTED = re.compile(rf"{_QUOTES}|\[\s*+(?:{_QUOTES}[\s,]*+)++\]?", re.DOTALL)
"""A quoted string, or a list of quoted strings."""

_CREDENTIALS = re.compile(r"[A-Za-z][\w-]*+[ \t]++[^\s&,;\"'<>{}\[\]]++")
"""The value of an Authorization header with any scheme."""

_BARE = re.compile(rf"(?:(?:{'|'.join(SCHEMES)})\s++)?[^\s&,;\"'<>{{}}\[\]]++", re.IGNORECASE)


def announces_secret(name: str) -> bool:
    """Return whether the name of a header, parameter or field says that its value is a secret."""
    return _announces(name) if len(name) <= _LONGEST_CACHED else _announces.__wrapped__(name)


@lru_cache(4096)
def _announces(name: str) -> bool:
    lower = name.lower()
    if lower in _SECRET_NAMES or lower in _PUBLIC_NAMES:
        return lower in _SECRET_NAMES
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(words) and words[-1] not in _DESCRIBES and any(map(_SECRET_WORD.fullmatch, words))


def is_flag(value: str) -> bool:
    """Return whether a value is `true`, `1` or similar, which is never a secret."""
    return not value or value in ("0", "1") or _FLAG.fullmatch(value) is not None


def redact_parameter(parameter: str) -> str:
    """Return a `name=value` of a query or form; the value is replaced if it is or may be a secret.

    If the name is unknown, only readable values are shown: words, numbers, times and digests.
    """
    name, equals, value = parameter.partition("=")
    if not equals:
        return REDACTED if _is_opaque(unquote_plus(name)) else redact_forms(parameter)
    if not value:
        return parameter
    plain = unquote_plus(value)
    return f"{name}={REDACTED}" if _is_secret(name, plain) or plain != redact_text(plain) else parameter


def redact_forms(text: str) -> str:
    """Replace secrets with a known form: JWTs, tokens, Basic, Bearer, user information, signed URLs."""
    text = _redact_values(text)
    return _replace_values(text, _PARAMETER, _parameter_value) if "=" in text else text


def redact_text(text: str) -> str:
    """Replace secrets as `redact_forms` does, and values after the name of a secret (`"token": "..."`)."""
    text = redact_forms(text)
    return _replace_values(text, _PAIR, _pair_value) if "=" in text or ":" in text else text


def _redact_values(text: str) -> str:
    if _MAY_BE_KNOWN.search(text):
        text = _KNOWN_FORMS.sub(_known, text)
    if _MAY_HAVE_SCHEME.search(text.lower()):
        text = _SCHEME.sub(_scheme, text)
    if "@" in text:
        text = _BARE_USER_INFORMATION.sub(f"{REDACTED}@", _USER_INFORMATION.sub(f"{REDACTED}@", text))
    return text


def _replace_values(text: str, pattern: re.Pattern[str], value_of: _Value) -> str:
    """Replace the value that `value_of` finds in a match. Continue inside values that are not replaced."""
    pieces, done, position = [], 0, 0
    while (match := pattern.search(text, position)) is not None:
        position = match.end()
        if (value := value_of(match)) is not None:
            pieces += [text[done : value.start()], _hidden(value[0])]
            done = position = value.end()
    return "".join((*pieces, text[done:])) if pieces else text


def _parameter_value(match: re.Match[str]) -> re.Match[str] | None:
    """Return the value of a parameter in a URL if it is a secret, or None."""
    is_secret = bool(match[2]) and match[2] != REDACTED and _is_secret(match[1], unquote_plus(match[2]))
    return _PARAMETER_REST.match(match.string, match.start(2)) if is_secret else None


def _pair_value(match: re.Match[str]) -> re.Match[str] | None:
    """Return the value after a name and `=` or `:` if it is a secret, or None."""
    if not announces_secret(match[1]):
        return None
    value = _QUOTED.match(match.string, match.end())
    if value is None and match[1].lower().endswith("authorization"):
        value = _CREDENTIALS.match(match.string, match.end())
    value = value or _BARE.match(match.string, match.end())
    if value is None or not _is_value(match[2], value[0]):
        return None
    is_error = match[1].lower() == "code" and (":" in match[2] or not _is_opaque(value[0]))
    return None if is_error else value


def _is_secret(name: str, plain: str) -> bool:
    """Return whether the value of a parameter may be a secret; the name is as it was spelled."""
    name = unquote_plus(name)
    if announces_secret(name):
        return not is_flag(plain)
    return (name.lower() not in _PUBLIC_PARAMETERS and _is_opaque(plain)) or plain != _redact_values(plain)


def _is_value(separator: str, value: str) -> bool:
    """Return whether the name of a secret is followed by its value, unlike in `invalid token: expired`."""
    bare = value.strip("\\\"'[]")
    if is_flag(bare) or bare.endswith(REDACTED):
        return False
    if "=" in separator or separator[:1] in ("\\", '"', "'"):
        return True
    return separator[-1].isspace() and _is_opaque(bare)


def _hidden(value: str) -> str:
    opening = re.match(r"(\[?)\s*+(\\?[\"'])", value)
    if opening is not None:
        return f"{opening[1]}{opening[2]}{REDACTED}{opening[2]}{opening[1] and ']'}"
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {REDACTED}" if space else REDACTED


def _known(match: re.Match[str]) -> str:
    is_json = match[0].startswith("eyJ") and "." not in match[0]
    return match[0] if is_json else REDACTED


def _scheme(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}{REDACTED}" if _LIKE_CREDENTIALS.match(match[3]) else match[0]


def _is_opaque(value: str) -> bool:
    """Return whether a value is not readable text, so that it may be a secret."""
    if len(value) < _SHORTEST_OPAQUE or _DIGEST.fullmatch(value):
        return False
    return not all(map(_LEGIBLE.fullmatch, _PUNCTUATION.split(value)))
