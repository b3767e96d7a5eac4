"""Creates the panels of attached terminals. Textual is imported when the first one attaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenreg.late_imports import Late
from brokenreg.runtime.attaching import AttachedPanel, AttachedTerminal, TerminalConnection
from brokenreg.runtime.operations import Access
from brokenreg.runtime.runtime import Runtime

if TYPE_CHECKING:
    from brokenreg.tui.attached import AttachedSession


class Panels:
    """The panels of one server (a `PanelFactory` of `runtime.attaching`)."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._session: Late[type[AttachedSession]] = Late(_session)

    async def __call__(
        self, access: Access, terminal: AttachedTerminal, connection: TerminalConnection
    ) -> AttachedPanel:
        """Return a panel that does not run yet."""
        session = await self._session.get()
        return session(self._runtime, access, terminal, connection)


def _session() -> type[AttachedSession]:
    from brokenreg.tui.attached import AttachedSession

    return AttachedSession
