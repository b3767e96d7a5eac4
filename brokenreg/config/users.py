"""The users of the registry, and the token of the control API."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr


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
