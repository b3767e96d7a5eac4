"""The text messages that an attached terminal sends: JSON objects with a `type`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from brokenreg.runtime.attaching import AttachedTerminal

PROTOCOL = 1
"""The version of the protocol. Another version is refused."""

_VARIABLES = ("TERM", "COLORTERM", "NO_COLOR", "TERM_PROGRAM")
"""The variables that describe a terminal. All others are ignored."""

_Cells = Annotated[int, Field(ge=1, le=1000)]
_Word = Annotated[str, StringConstraints(max_length=256)]
_Path = Annotated[str, StringConstraints(max_length=4096)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Hello(_Message):
    """The first message: what the terminal is. `client` identifies it when it attaches again."""

    type: Literal["hello"]
    protocol: int
    columns: _Cells
    rows: _Cells
    environment: Annotated[Mapping[_Word, _Word], Field(max_length=16)] = Field(default_factory=dict)
    folder: _Path | None = None
    client: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None

    def terminal(self, host: str) -> AttachedTerminal:
        """Return the terminal, which reached the control API by that host."""
        described = {name: value for name, value in self.environment.items() if name in _VARIABLES}
        return AttachedTerminal(self.columns, self.rows, described, self.folder, host)


class Resize(_Message):
    """The terminal has another size."""

    type: Literal["resize"]
    columns: _Cells
    rows: _Cells


class Suspend(_Message):
    """The terminal shows something else for now."""

    type: Literal["suspend"]


class Resume(_Message):
    """The terminal shows the panel again, perhaps in another size."""

    type: Literal["resume"]
    columns: _Cells
    rows: _Cells


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
