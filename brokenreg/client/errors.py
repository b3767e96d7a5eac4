"""What can go wrong between a client and the control API. Each error is a `ControlError`.

The members say what went wrong, so that a program needs no search in the text.
"""

from __future__ import annotations


class ControlError(Exception):
    """The base class: the control API did not do what it was asked to do."""


class AddressError(ControlError):
    """The URL, or the token, is not valid; `argument` names which of the two (`url`, `token`).

    If the value belongs into another argument, `instead` names that.
    """

    def __init__(self, argument: str, problem: str, instead: str | None = None) -> None:
        super().__init__(f"{argument}: {problem}{f': use {instead}' if instead else ''}")
        self.argument = argument
        self.problem = problem
        self.instead = instead


class UnreachableError(ControlError):
    """Nothing responds at `url`, or it cannot be trusted. `reason` is the error of the network or of TLS."""

    def __init__(
        self,
        url: str,
        reason: str,
        *,
        has_no_tls: bool = False,
        requires_tls: bool = False,
        is_untrusted: bool = False,
    ) -> None:
        said = f"the control API at {url} does not use TLS" if has_no_tls else ""
        if requires_tls:
            said = f"the control API at {url} uses TLS"
        if is_untrusted:
            said = f"the certificate of {url} is not trusted ({reason})"
        super().__init__(said or f"no control API responds at {url} ({reason})")
        self.url = url
        self.reason = reason
        self.has_no_tls = has_no_tls
        self.requires_tls = requires_tls
        self.is_untrusted = is_untrusted


class WaitTimeoutError(UnreachableError):
    """No control API was ready at `url` within the time that `wait` was given."""


class NotControlAPIError(ControlError):
    """Something else than a control API of brokenreg responds at `url`: a registry if `is_registry`."""

    def __init__(self, url: str, status: int, *, is_registry: bool = False) -> None:
        what = "a registry, not a control API" if is_registry else "not a control API of brokenreg"
        super().__init__(f"{url} is {what} (status {status})")
        self.url = url
        self.status = status
        self.is_registry = is_registry


class UnauthorizedError(ControlError):
    """The control API at `url` requires a token, or refuses the one that was sent (`has_token`)."""

    def __init__(self, url: str, *, has_token: bool) -> None:
        super().__init__(f"the control API at {url} {'refuses the' if has_token else 'requires a'} token")
        self.url = url
        self.has_token = has_token


class ProblemError(ControlError):
    """The control API refused a request. The members are those of its problem document (RFC 9457).

    `field` is the wrong field of the request, `problem` says what is wrong without advice, and `missing` is
    the kind of the item that does not exist. Each of them may be None.
    """

    def __init__(
        self, url: str, status: int, detail: str, field: str | None, problem: str | None, missing: str | None
    ) -> None:
        super().__init__(detail)
        self.url = url
        self.status = status
        self.detail = detail
        self.field = field
        self.problem = problem
        self.missing = missing


class UsageError(ProblemError):
    """The request is not valid (status 400)."""


class MissingError(ProblemError):
    """The item, or the operation, does not exist (status 404)."""
