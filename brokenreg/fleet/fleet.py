"""What a replica needs to take part in a fleet."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from brokenreg.config.fleet import Network
from brokenreg.fleet.acknowledgements import Acknowledgements
from brokenreg.fleet.calls import Calls
from brokenreg.fleet.control_calls import ControlCalls, ServeControl
from brokenreg.fleet.deliveries import Deliveries
from brokenreg.fleet.directory import Directory, Replica
from brokenreg.fleet.downloads import DownloadCalls, Running
from brokenreg.fleet.endpoints import REVISION, Adopt, CatchUp, ReplicaEndpoints
from brokenreg.fleet.errors import NameTakenError, ReplicaError, UntrustedReplicaError
from brokenreg.fleet.reception import CallReceiver
from brokenreg.fleet.signing import CallSigner
from brokenreg.fleet.silence import SilenceWatch
from brokenreg.fleet.upload_forwarding import UploadForwarder
from brokenreg.http.asgi import Handler
from brokenreg.storage.errors import StorageError
from brokenreg.storage.shared.counting import Counting
from brokenreg.wording import quoted

logger = logging.getLogger(__name__)


class Fleet:
    """The part of one replica, `own`, in a fleet. `directory` knows the others."""

    def __init__(
        self, own: Replica, key: str, network: Network, directory: Directory, counting: Counting
    ) -> None:
        self.counting = counting
        self.own = own
        self.directory = directory
        self._network = network
        self._signer = CallSigner(key, own)
        self.calls = Calls(self._signer, network)
        # Uploads and downloads of slow clients may use all connections of the others.
        self.quick_calls = Calls(self._signer, network)
        self._silence = SilenceWatch(self.quick_calls)
        self.downloads = DownloadCalls(directory, self.calls)
        self.control = ControlCalls(own.name, directory, self.calls)
        self.acknowledgements = Acknowledgements(own.name, directory, self.quick_calls)
        self.deliveries = Deliveries(self.acknowledgements)

    async def close(self) -> None:
        """End all calls."""
        await self._silence.close()
        await self.deliveries.close()
        await self.quick_calls.close()
        await self.calls.close()

    async def claim(self, claimed: str) -> bool:
        """Return True to the first replica that claims this id, for a day. Raise `StorageError`."""
        return (await self.counting.count("claims", claimed, times=1)).is_applied

    async def check_name(self) -> None:
        """Raise `NameTakenError` if another live replica has the name of this one: its folder was copied."""
        other = await self.directory.find(self.own.name)
        if other is None or other.address == self.own.address:
            return
        with contextlib.suppress(ReplicaError):  # it has ended without removing its row
            await self.calls.call(other, "GET", REVISION % 0)
            raise NameTakenError(
                f"{other} on the machine {quoted(other.host)} has the same name: the data folder was copied; "
                "remove the file DATA/replica in one of the two"
            )

    async def warn_of_strangers(self) -> None:
        """Log a warning for each live replica that this one cannot call, because its options are others."""
        with contextlib.suppress(StorageError):  # the database logs that itself
            others = [each for each in await self.directory.live() if each.name != self.own.name]
            await asyncio.gather(*map(self._warn_of, others))

    async def _warn_of(self, other: Replica) -> None:
        try:
            await self.quick_calls.call(other, "GET", REVISION % 0)
        except UntrustedReplicaError as error:
            logger.warning("%s; start all replicas with the same --fleet-key and --fleet-network", error)
        except ReplicaError:
            pass  # it has just ended, or a request that needs it reports that

    def forwarding(self, registry: Handler) -> Handler:
        """Return the registry, but requests for the upload sessions of other replicas are forwarded."""
        return UploadForwarder(registry, self.own.name, self.directory, self.calls, self._silence)

    def receiving(
        self,
        registry: Handler,
        catch_up: CatchUp,
        adopt: Adopt,
        control: ServeControl,
        running: Running,
    ) -> Handler:
        """Return a handler for the calls of other replicas, which use `registry` without rules or login.

        `catch_up` is that of the index, `adopt` that of shared states, and `control` is the control API
        without its guard. `running` returns downloads from upstreams.
        """
        endpoints = ReplicaEndpoints(registry, catch_up, adopt, control, running)
        return CallReceiver(endpoints, self._signer, self._network)
