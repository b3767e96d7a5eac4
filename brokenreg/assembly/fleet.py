"""Builds this process's part in a fleet from the settings."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from brokenreg.assembly.applications import Applications
from brokenreg.assembly.listeners import Listener
from brokenreg.assembly.occupied import ListenError
from brokenreg.concurrency import cancel
from brokenreg.config.addresses import Address
from brokenreg.config.fleet import LOOPBACK
from brokenreg.config.settings import Settings
from brokenreg.fleet.directory import Replica
from brokenreg.fleet.fleet import Fleet
from brokenreg.fleet.heartbeats import Heartbeats
from brokenreg.fleet.network import NoAddressError, own_address
from brokenreg.runtime.shared_rules import SharedRules
from brokenreg.storage import Store


def fleet_address(settings: Settings) -> Address | None:
    """Return the address of the fleet listener, with any free port; None without `--fleet-key`.

    Raise `ListenError` with one clear line if this machine has no address in the network of the fleet.
    """
    if settings.fleet_key is None:
        return None
    try:
        return Address(host=own_address(settings.fleet_network or LOOPBACK), port=0)
    except NoAddressError as error:
        raise ListenError(str(error)) from None


@contextlib.asynccontextmanager
async def running_fleet(
    settings: Settings, store: Store, listener: Listener | None
) -> AsyncIterator[Fleet | None]:
    """Provide this process's part in a fleet, or None without `--fleet-key`. Leaving the block ends it."""
    if settings.fleet_key is None or listener is None:
        yield None
        return
    own = Replica(store.index.replica, listener.address, socket.gethostname())
    network = settings.fleet_network or LOOPBACK
    counting = store.index.counting()
    fleet = Fleet(own, settings.fleet_key, network, Heartbeats(store.index.replicas), counting)
    try:
        yield fleet
    finally:
        await fleet.close()
        await counting.close()


@contextlib.asynccontextmanager
async def taking_part(
    fleet: Fleet | None, shared: SharedRules | None, applications: Applications, listener: Listener | None
) -> AsyncIterator[None]:
    """Take part in the fleet during a block, if there is one. Raise `StorageError` if that is impossible.

    The replica can be called, then it is known, and then it adopts the rules of the others. The order
    matters: when the block begins and clients are served, others already wait for it to adopt their changes.
    """
    if fleet is None or shared is None or listener is None:
        yield
        return
    listener.start(applications.fleet(fleet, shared.adopt))
    await fleet.check_name()
    async with fleet.directory.announcing(fleet.own):
        await shared.start()
        checking = asyncio.create_task(fleet.warn_of_strangers())  # clients do not wait for it
        try:
            yield
        finally:
            await cancel(checking)
