"""With read access, every operation is refused. Only operations change what the parts of a runtime hold."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from brokenreg.assembly.server import Server
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.runtime import operations
from brokenreg.runtime.errors import ReadOnlyError
from brokenreg.runtime.operations import Access, Operations

OPERATIONS = [name for name, _ in inspect.getmembers(Operations, inspect.isfunction) if name[0] != "_"]


async def call(holder: Operations, name: str) -> object:
    """Call an operation with arguments of any type: read access is checked before they are used."""
    method = getattr(holder, name)
    needed = [each for each in inspect.signature(method).parameters.values() if each.default is each.empty]
    keywords = {each.name: MagicMock() for each in needed if each.kind is each.KEYWORD_ONLY}
    done = method(*(MagicMock() for each in needed if each.name not in keywords), **keywords)
    return await done if isinstance(done, Awaitable) else done


@pytest.mark.parametrize("name", OPERATIONS)
async def test_every_operation_is_refused_with_read_access(name: str) -> None:
    runtime = MagicMock()
    with pytest.raises(ReadOnlyError):
        await call(Operations(runtime, Access.READ), name)
    assert not runtime.mock_calls


def test_operations_are_methods_of_one_class() -> None:
    """A function beside it would not know what its caller may do."""
    exported = [getattr(operations, name) for name in operations.__all__]
    assert not [each for each in exported if inspect.isfunction(each)]
    assert len(OPERATIONS) > 20


async def test_read_access_says_so(tmp_path: Path) -> None:
    settings = Settings(listen=["127.0.0.1:0"], control=None, data=tmp_path, offline=True)
    async with Server.running(settings, Diagnostics()) as server:
        full, read = (Operations(server.runtime, access) for access in (Access.FULL, Access.READ))
        assert (full.may_change, read.may_change) == (True, False)
        full.add_breakpoint("status:5xx")
        with pytest.raises(ReadOnlyError, match="your access is read-only"):
            read.clear_breakpoints()
        assert len(server.runtime.gate.breakpoints) == 1
