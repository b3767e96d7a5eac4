"""Makes Python behave as on macOS. Python imports it at its start if its folder is in PYTHONPATH.

The functions that only Linux has are missing, and those that differ fail as they do on macOS.
"""

import asyncio
import fcntl
import os
import socket
import sys
import sysconfig
import urllib.request
import uuid
import zoneinfo
from typing import Any

_ABSENT = ("RWF_NOWAIT", "fdatasync", "sched_getaffinity", "posix_fadvise", "copy_file_range", "splice")
_preadv = os.preadv
_ioctl = fcntl.ioctl
_getsockopt = socket.socket.getsockopt


def _preadv_without_flags(descriptor: int, buffers: Any, offset: int, flags: int = 0) -> int:
    if flags:
        raise NotImplementedError("preadv2: flags unavailable on this platform")
    return _preadv(descriptor, buffers, offset)


def _no_ioctl(*_: object) -> None:
    raise AssertionError("an ioctl that only Linux has")


def _getsockopt_with_nwrite(connected: socket.socket, level: int, name: int, *more: Any) -> Any:
    if (level, name) == (socket.SOL_SOCKET, 0x1024):  # SO_NWRITE, which Linux has as SIOCOUTQ
        return int.from_bytes(_ioctl(connected.fileno(), 0x5411, bytes(4)), sys.byteorder)
    return _getsockopt(connected, level, name, *more)


# These look at the name of the platform when they are imported or first used, which must be that of Linux.
sysconfig.get_config_vars()
LOADED = (asyncio, urllib.request, uuid, zoneinfo)

for _name in _ABSENT:
    if hasattr(os, _name):
        delattr(os, _name)
os.preadv = _preadv_without_flags
fcntl.ioctl = _no_ioctl  # type: ignore[assignment]
socket.socket.getsockopt = _getsockopt_with_nwrite  # type: ignore[method-assign]
sys.platform = "darwin"
