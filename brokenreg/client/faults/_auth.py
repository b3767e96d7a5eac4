"""Constructors of the faults of the family auth. `make reference` writes this module."""

from __future__ import annotations

from typing import Literal

from brokenreg.client.faults.fault import Fault, with_parameters


@with_parameters
def challenge(
    *,
    form: Literal[
        "bearer",
        "basic",
        "upper",
        "relative-realm",
        "no-service",
        "no-scope",
        "basic-and-bearer",
        "two-headers",
        "foreign-realm",
        "other-scheme",
        "other-host",
        "no-port",
        "unquoted",
        "unknown-scheme",
        "empty",
        "absent",
    ] = "bearer",
    value: str | None = None,
    always: bool = False,
    processed: bool = False,
) -> Fault:
    """Responds with 401 and an unusual WWW-Authenticate header to requests without Authorization.

    Unless `always` is set, the fault has no effect on requests with Authorization. It never applies to
    requests for a token. `value` sets the value of the header; without it, `form` selects the challenge:

    - `bearer`, `basic`: a correct challenge
    - `upper`: `BASIC realm=...`
    - `relative-realm`: `realm="/token"`
    - `no-service`, `no-scope`: Bearer without that parameter
    - `basic-and-bearer`: both schemes in one header
    - `two-headers`: one header for each scheme
    - `foreign-realm`: a token service at the second origin, which records credentials that arrive there
    - `other-scheme`, `other-host`, `no-port`: a realm with the scheme, the host or the port that a registry
      behind a proxy sends if it does not know its own address
    - `unquoted`: values without quotes
    - `unknown-scheme`: a scheme that does not exist
    - `empty`: a header without a value
    - `absent`: no header

    Clients that request `/v2/` first (Docker, containers/image) use the challenge from there. An image path
    cannot name that request, but a rule can match it.

    The default endpoint is `any`.

    Parameters:

    - `form`: form of the challenge
    - `value`: value of the header, instead of `form`
    - `always`: whether requests with Authorization get it, too
    - `processed`: whether the registry carries out the request first; its response is dropped. Only POST,
      PUT, PATCH and DELETE are carried out
    """
    return Fault(type="challenge")


@with_parameters
def token(
    *,
    form: Literal[
        "usual",
        "absent",
        "empty",
        "garbage",
        "expired",
        "wrong-scope",
        "access-token-only",
        "token-only",
        "html",
        "string",
        "number",
        "null",
    ]
    | None = None,
    lifetime: float | str | None = None,
    claimed: float | str | None = None,
    skew: float | str = 0.0,
    length: int | str = 0,
) -> Fault:
    """Breaks the response of the token service; its status remains 200.

    `form` selects what is broken. Without any parameter it is `absent`; with other parameters it is `usual`:

    - `usual`: only what the other parameters change
    - `absent`: no token
    - `empty`: an empty token
    - `garbage`: a token that the registry refuses
    - `expired`: a token that expired a minute ago, while the response says that it was just issued
    - `wrong-scope`: a token for another repository
    - `access-token-only`, `token-only`: only one of the members `access_token` and `token`
    - `html`: an HTML page
    - `string`: `expires_in` is a string, which some clients cannot read
    - `number`: `issued_at` is a number
    - `null`: both tokens are null

    `length` pads the token to that many bytes; the registry still accepts it. `lifetime` is how long the
    registry accepts the token; a short one expires during the pull. `claimed` is the lifetime in the
    response. `skew` is how far ahead the clock of the token service is. It shifts `issued_at` and all times
    in the token, so that the token is not valid yet or, if `skew` is negative (`-10m`), no longer valid. The
    registry checks tokens only with `--auth token`.

    The default endpoint is `token`.

    Parameters:

    - `form`: what is broken in the response
    - `lifetime`: how long the registry accepts the token
    - `claimed`: lifetime in the response (`expires_in`)
    - `skew`: how far ahead the clock of the token service is
    - `length`: minimum length of the token in bytes, at most 1MiB
    """
    return Fault(type="token")
