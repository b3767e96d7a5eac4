"""The users of the registry, and the tokens of the control API."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr

from brokenreg.config.addresses import Address


class AuthUser(BaseModel):
    """A user's name and password."""

    model_config = ConfigDict(frozen=True)

    name: str
    password: SecretStr

    @classmethod
    def parse(cls, text: str) -> AuthUser:
        """Parse NAME:PASSWORD. Raise `ValueError`; the message contains neither."""
        name, _, password = text.partition(":")
        if not name or not password or not text.isprintable():
            raise ValueError("use NAME:PASSWORD, both printable and not empty")
        return cls(name=name, password=SecretStr(password))


def sendable_token(token: str) -> str:
    """Return a token that clients can send in a header. Raise `ValueError`; the message has no token."""
    if not token or not token.isprintable() or token != token.strip():
        raise ValueError(
            "no client can send this token: use printable characters, without a space at either end"
        )
    return token


def check_control_tokens(control: Address | None, token: str | None, read_token: str | None) -> None:
    """Check the tokens of the control API at `control`. Raise `ValueError`; the message has no token."""
    if control is not None and not control.is_loopback and token is None:
        raise ValueError(
            f"other machines can reach --control {control}: add --control-token TOKEN, use 127.0.0.1, "
            "or pass --control off"
        )
    if read_token is not None and token is None:
        raise ValueError(
            "--control-read-token requires --control-token, because everyone may change everything without "
            "it: add --control-token TOKEN"
        )
    if read_token is not None and read_token == token:
        raise ValueError("--control-read-token and --control-token are the same: use two different tokens")
