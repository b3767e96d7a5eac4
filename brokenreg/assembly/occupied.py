"""Explains why an address cannot be listened on: what occupies it, and what to do."""

from __future__ import annotations

import asyncio
import errno

from brokenreg.config.addresses import Address

_PATIENCE = 2.0
"""Seconds in which whatever listens at an address is recognized, or not."""

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognized, not listened on
_PROBLEM = "application/problem+json"
_PRODUCT = "brokenreg/"


class ListenError(Exception):
    """An address or a certificate cannot be used; the message is one clear line."""


class AddressError(ListenError):
    """The address of an option cannot be listened on."""

    def __init__(self, option: str, address: Address, error: OSError) -> None:
        self.option = option
        self.address = address
        self.is_occupied = error.errno == errno.EADDRINUSE
        super().__init__(f"{option} {address}: {error.strerror or error}: {_advice(error)}")


def _advice(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "choose another port, or 0 for any free port"
        case errno.EACCES:
            return "choose a port from 1024"
    return "use an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all interfaces"


async def explained(error: AddressError) -> ListenError:
    """Return the error that says what occupies the address, within some seconds."""
    if not error.is_occupied:
        return error
    occupant = await _occupant(error.address)
    whose = f"the {occupant}" if occupant else "another program"
    stop = "stop it, or choose another port" if occupant else "choose another port"
    off = ", or turn the control API off with --control off" if error.option == "--control" else ""
    return ListenError(
        f"{error.option} {error.address}: address already in use by {whose}: {stop} (0: any free port){off}"
    )


async def _occupant(address: Address) -> str | None:
    """Return which part of which brokenreg listens at an address; None if it is another program."""
    import httpx  # noqa: F401 - before the time counts: on a busy machine, importing it may take a second

    host = _WILDCARDS.get(address.host, address.host)
    try:
        async with asyncio.timeout(_PATIENCE):
            for scheme in ("http", "https"):
                found = await _brokenreg_at(f"{scheme}://{Address(host=host, port=address.port)}/healthz")
                if found is not None:
                    return found
    except TimeoutError:
        return None
    return None


async def _brokenreg_at(url: str) -> str | None:
    """Return which part of which brokenreg responds at a URL; None if it is another program."""
    import httpx

    try:
        async with (
            httpx.AsyncClient(verify=False, trust_env=False) as client,  # noqa: S501 - nothing is sent or read
            client.stream("GET", url) as response,
        ):
            product = response.headers.get("server", "")
            is_control = response.headers.get("content-type") == _PROBLEM
    except httpx.HTTPError:
        return None
    if not product.startswith(_PRODUCT):
        return None
    part = "control API" if is_control else "registry"
    return f"{part} of another brokenreg (version {product.removeprefix(_PRODUCT)[:20]})"
