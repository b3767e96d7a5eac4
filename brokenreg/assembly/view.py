"""Runs the panel on a file, from start to exit status."""

from __future__ import annotations

import logging
import signal
import sys

from brokenreg.assembly.process_tuning import tuned_process
from brokenreg.assembly.run import on_stop_signals
from brokenreg.traffic.saved.traffic_file import TrafficFile
from brokenreg.tui.preferences import Preferences
from brokenreg.wording import quoted


async def view(file: TrafficFile, preferences: Preferences) -> int:
    """Show a file until the user quits, and return the exit status. Then say what could not be read."""
    from brokenreg.tui.files.app import FileApp

    logging.basicConfig(handlers=[logging.NullHandler()])  # only the panel may write to the terminal
    app = FileApp(file, preferences)
    with on_stop_signals(app.quit, signal.SIGHUP):
        async with tuned_process():
            await app.run_async()
    if file.unread.line:
        print(f"brokenreg: {quoted(file.path.name)}: {file.unread.line}", file=sys.stderr)
    if app.failure is not None:
        print(f"brokenreg: the panel failed: {type(app.failure).__name__}", file=sys.stderr)
    return app.return_code or 0
