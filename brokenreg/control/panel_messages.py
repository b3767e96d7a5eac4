"""The text messages that an attached terminal sends: JSON objects with a `type`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator

from brokenreg.runtime.attaching import AttachedTerminal

PROTOCOL = 1
"""The version of the protocol. Another version is refused."""

_VARIABLES = ("TERM", "COLORTERM", "NO_COLOR", "TERM_PROGRAM")
"""The variables that describe a terminal. All others are ignored."""

_MOST_CELLS = 150_000
"""Maximum of columns x rows: a terminal on a screen with 4K in a small font. More would take too long."""

_Cells = Annotated[int, Field(ge=1, le=1000)]
_Word = Annotated[str, StringConstraints(max_length=256)]
_Path = Annotated[str, StringConstraints(max_length=4096)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Sized(_Message):
    columns: _Cells
    rows: _Cells

    @model_validator(mode="after")
    def _check_cells(self) -> Self:
        if self.columns * self.rows > _MOST_CELLS:
            raise ValueError(
                f"{self.columns} columns x {self.rows} rows are too many cells: use at most {_MOST_CELLS}"
            )
        return self


class Hello(_Sized):
    """The first message: what the terminal is, and what its user prefers.

    `client` identifies it when it attaches again.
    """

    type: Literal["hello"]
    protocol: int
    environment: Annotated[Mapping[_Word, _Word], Field(max_length=16)] = Field(default_factory=dict)
    folder: _Path | None = None
    client: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    theme: _Word | None = None
    keys: Annotated[Mapping[_Word, _Word], Field(max_length=500)] = Field(default_factory=dict)
    filters: Annotated[Mapping[_Word, _Path], Field(max_length=100)] = Field(default_factory=dict)

    def terminal(self, host: str) -> AttachedTerminal:
        """Return the terminal, which reached the control API by that host."""
        described = {name: value for name, value in self.environment.items() if name in _VARIABLES}
        return AttachedTerminal(
            self.columns, self.rows, described, self.folder, host, self.theme, self.keys, self.filters
        )


class Resize(_Sized):
    """The terminal has another size."""

    type: Literal["resize"]


class Suspend(_Message):
    """The terminal shows something else for now."""

    type: Literal["suspend"]


class Resume(_Sized):
    """The terminal shows the panel again, perhaps in another size."""

    type: Literal["resume"]


class Alive(_Message):
    """The terminal is still there. Sent if there is nothing else to send."""

    type: Literal["alive"]


class FileReply(_Message):
    """What became of a piece of a file: it is written to `path`, or `problem` says why not."""

    type: Literal["file"]
    id: int
    path: _Path | None = None
    problem: _Path | None = None


Message = Annotated[Resize | Suspend | Resume | Alive | FileReply, Field(discriminator="type")]

MESSAGE: TypeAdapter[Resize | Suspend | Resume | Alive | FileReply] = TypeAdapter(Message)
