"""The control API, on its own listener."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from brokenreg.control.tickets import Tickets
from brokenreg.http.asgi import Receive, Scope, Send
from brokenreg.late_imports import Late
from brokenreg.runtime.attaching import PanelFactory
from brokenreg.runtime.runtime import Runtime

if TYPE_CHECKING:
    from brokenreg.control.app import ControlApplication

__all__ = ["Control"]


class Control:
    """Serves the control API of a runtime at `address`, and the panels of attached terminals.

    `tickets` are those of panels in browsers. The application is created after the start.
    """

    def __init__(self, runtime: Runtime, address: str, panels: PanelFactory, tickets: Tickets) -> None:
        self.application = Late(partial(_application, runtime, address, panels, tickets))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = await self.application.get()
        await application(scope, receive, send)

    async def serve_checked(self, access: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request whose sender another replica has checked: it may do what `access` says."""
        application = await self.application.get()
        await application.serve_checked(access, scope, receive, send)


def _application(
    runtime: Runtime, address: str, panels: PanelFactory, tickets: Tickets
) -> ControlApplication:
    from brokenreg.control.app import ControlApplication

    return ControlApplication(runtime, address, panels, tickets)
