"""A running brokenreg: its parts, and the order in which they start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from brokenreg import __version__
from brokenreg.assembly.applications import Applications
from brokenreg.assembly.authentication import authenticated, token_service
from brokenreg.assembly.fleet import fleet_address, running_fleet, taking_part
from brokenreg.assembly.identities import authority_of, identities
from brokenreg.assembly.listeners import Listeners, quiet_handshakes
from brokenreg.assembly.process_arguments import hide_arguments
from brokenreg.assembly.proxy import running_proxy
from brokenreg.assembly.stopping import drain
from brokenreg.config.databases import database_place, read_database_url
from brokenreg.config.given_secrets import secrets_in
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.faults.registry_view import RegistryView
from brokenreg.fleet.derived_keys import DerivedKeys
from brokenreg.fleet.fleet import Fleet
from brokenreg.gate.gate import Gate
from brokenreg.images.fabricator import KINDS, Fabricator
from brokenreg.images.images import Images
from brokenreg.images.layer import KEYSTREAM_LIBRARY
from brokenreg.images.odd_images import OddImages
from brokenreg.proxy.http.upstreams import LateUpstreams
from brokenreg.proxy.proxy import Proxy
from brokenreg.quick_imports import quick_imports
from brokenreg.registry.auth.access import AccessCheck, PublicAddress
from brokenreg.registry.request import CatalogSettings, Services, alone
from brokenreg.rules.path_rules import fault_images
from brokenreg.rules.rule import FieldError
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.rules.scenario import ScenarioError, SourcedScenario
from brokenreg.rules.shared_evaluation import SharedEvaluation
from brokenreg.runtime.preparation import check_registry, expects_repetitions
from brokenreg.runtime.runtime import Runtime
from brokenreg.runtime.shared_rules import SharedRules
from brokenreg.runtime.status import Status
from brokenreg.second_origin.credential_trap import CredentialTrap
from brokenreg.second_origin.origin import SecondOrigin
from brokenreg.second_origin.signed_urls import URLSigner
from brokenreg.storage import Store
from brokenreg.storage.errors import StorageError
from brokenreg.traffic.log import ExchangeEvent, TrafficLog

if TYPE_CHECKING:
    from brokenreg.assembly.tls import Identity


class Server:
    """A brokenreg that serves while the block of `Server.running` lasts."""

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls,
        settings: Settings,
        diagnostics: Diagnostics,
        environ: Mapping[str, str] = os.environ,
        hurried: asyncio.Event | None = None,
    ) -> AsyncIterator[Server]:
        """Serve until the block is left; then stop. That takes up to `stop_timeout`, and 1.1 s at the end.

        Everything stops in reverse order. The listeners accept no more connections, and requests in flight
        may end (`drain`), unless `hurried` is set. Then images and proxy end their work, and waiting clients
        get an error. Then the remaining connections are cut, and the storage is closed.

        The proxy looks up credentials and web proxies in `environ`. The process itself is not tuned here, but
        by `tuned_process`.

        Raise `StorageError`, `ListenError` or `ScenarioError` with one clear line if it cannot serve.
        """
        hide_arguments(secrets_in(settings))
        asyncio.get_running_loop().set_exception_handler(quiet_handshakes)
        async with contextlib.AsyncExitStack() as lifetimes:
            enter = lifetimes.enter_async_context
            database = _database(settings)
            store = await enter(
                Store.open(
                    settings.data,
                    settings.cache_max_size,
                    settings.max_data,
                    settings.verify_interval,
                    settings.blobs,
                    redirects=settings.blob_redirect,
                    database=database,
                )
            )
            identity, of_control = identities(settings, store.folder.tls)
            certificates = [None if each is None else each.certificate for each in (identity, of_control)]
            of_fleet = fleet_address(settings)
            listeners = await enter(Listeners.bound(settings, *certificates, of_fleet=of_fleet))
            fleet = await enter(running_fleet(settings, store, listeners.fleet))
            keys = DerivedKeys(settings.fleet_key)
            name = f"brokenreg-{keys.key('name in Via').hex()[:16]}"
            replicas = None if fleet is None else fleet.downloads
            proxy = await enter(running_proxy(settings, store, listeners.addresses, environ, name, replicas))
            recipes = store.index.recipes
            leases = store.index.leases if store.index.is_shared else None
            kinds = {**KINDS, **fault_images()}
            fabricator = Fabricator(recipes, kinds, settings.fabricate_limit, leases=leases)
            images = Images(fabricator, OddImages(recipes))
            lifetimes.push_async_callback(images.close)
            await fabricator.load()
            server = cls(settings, diagnostics, store, identity, listeners, proxy, images, keys, fleet)
            server._database = database_place(database, store.folder.index)
            server.authority = authority_of(settings, identity, of_control)
            await enter(server._serving(hurried or asyncio.Event()))
            yield server

    def __init__(
        self,
        settings: Settings,
        diagnostics: Diagnostics,
        store: Store,
        identity: Identity | None,
        listeners: Listeners,
        proxy: Proxy,
        images: Images,
        keys: DerivedKeys,
        fleet: Fleet | None = None,
    ) -> None:
        self._started = time.monotonic()
        self._listeners = listeners
        self._fleet = fleet
        self._database = ""
        self.authority: Path | None = None
        """The CA file that clients must trust; None without a certificate that was created here."""
        self.log = TrafficLog(memory=settings.log_memory)
        second = listeners.second_origin
        address = PublicAddress(settings.public_url)
        tokens = token_service(settings, keys)
        catalog = CatalogSettings(settings.v2_catalog_delay, settings.v2_catalog_num_repos)
        view = RegistryView(
            store,
            images,
            SecondOrigin(
                _name_of_second_origin(settings),
                second.url.partition(":")[0],
                second.address.port,
                listeners.dead_port,
                signer=URLSigner(keys.key("signed URLs")),
                token=keys.key("token of the second origin").hex(),
            ),
            address,
            AccessCheck(partial(authenticated, settings=settings, tokens=tokens, address=address)),
            None if identity is None else identity.flawed,
            proxy.naming,
        )
        scenarios = _scenarios(settings)
        rules = RuleBooks(settings.seed, view.positions, scenarios)
        gate = Gate(self.log)
        shared = None
        if fleet is not None:
            missing, evaluation = fleet.acknowledgements.missing, SharedEvaluation(rules, fleet.counting)
            shared = SharedRules(rules, gate.breakpoints, self.log, store.index, missing, evaluation)
        self.runtime = Runtime(
            settings=settings,
            log=self.log,
            gate=gate,
            rules=rules,
            store=store,
            images=images,
            proxy=proxy,
            trap=CredentialTrap(rules.leaked),
            diagnostics=diagnostics,
            status=self.status,
            stopping=asyncio.Event(),
            shared_rules=shared,
            replicas=None if fleet is None else fleet.control,
        )
        self.log.subscribe(rules.observe, ExchangeEvent.ENDED)
        if expects_repetitions(each.scenario for each in scenarios):
            self.log.keep_repetitions()
        deliver = alone if fleet is None else fleet.deliveries.deliver
        services = Services(store, images, catalog, tokens, proxy, deliver)
        self._applications = Applications(self.runtime, services, view, keys, fleet)

    @property
    def registry_urls(self) -> list[str]:
        """The URLs at which the registry listens."""
        return [listener.url for listener in self._listeners.registry]

    @property
    def control_url(self) -> str | None:
        """The URL of the control API; None if it is off."""
        return self._listeners.control.url if self._listeners.control else None

    async def wait(self) -> None:
        """Wait until a listener ends by itself; raise its error, if any."""
        await self._listeners.wait()

    async def load_late(self) -> None:
        """Import, in a thread, libraries that only some requests need. Earlier requests wait for them."""
        late = [*self._applications.late, KEYSTREAM_LIBRARY, self.runtime.images.odd.catalogue]
        if isinstance(upstreams := self.runtime.proxy.client, LateUpstreams):
            late.append(upstreams.client)
        if self._fleet is not None:
            late += [self._fleet.calls.client, self._fleet.quick_calls.client]
        with quick_imports():
            await asyncio.gather(*(each.get() for each in late))

    def status(self) -> Status:
        """Return version, uptime, addresses and counters."""
        runtime = self.runtime
        repositories = runtime.store.index.repositories.values()
        return Status(
            version=__version__,
            uptime=round(time.monotonic() - self._started, 3),
            registry=self.registry_urls,
            second_origin=self._listeners.second_origin.url,
            control=self.control_url,
            replica=None if self._fleet is None else self._fleet.own.name,
            database=self._database,
            blob_storage=runtime.settings.blobs.place(runtime.store.folder.root),
            offline=runtime.proxy.is_offline,
            exchanges=self.log.end,
            log_size=self.log.size,
            in_flight=self.log.in_flight,
            held=len(runtime.gate.held),
            connections=len(self._applications.accepted.connections),
            rules=len(runtime.rules),
            repositories=len(repositories),
            manifests=sum(len(repository.manifests) for repository in repositories),
            blobs=runtime.store.index.blob_count,
            leaked_credentials=runtime.trap.leaks,
        )

    @contextlib.asynccontextmanager
    async def _serving(self, hurried: asyncio.Event) -> AsyncIterator[None]:
        """Serve on all listeners. Leaving the block stops them, after the end of requests in flight."""
        settings = self.runtime.settings
        listeners, applications = self._listeners, self._applications
        async with taking_part(self._fleet, self.runtime.shared_rules, applications, listeners.fleet):
            for listener, place in zip(listeners.registry, settings.listen, strict=True):
                listener.start(applications.registry(place.upstream or "", self.control_url))
            listeners.second_origin.start(applications.second_origin())
            if listeners.control is not None:
                listeners.control.start(applications.control(str(listeners.control.address)))
            try:
                yield
            finally:
                self.runtime.stopping.set()
                self.runtime.gate.disable()
                await drain(listeners, self.runtime.store.uploads, settings.stop_timeout, hurried)


def _database(settings: Settings) -> str:
    """Return the URL of the database. Raise `StorageError` or `OSError` if it cannot be read."""
    if settings.database_file is None:
        return settings.database
    try:
        return read_database_url(settings.database_file)
    except ValueError as error:
        raise StorageError(str(error)) from None


def _name_of_second_origin(settings: Settings) -> str | None:
    """Return the host in its URLs; None if it is that of each request."""
    own = None if settings.second_origin is None else settings.second_origin.name
    return settings.public_host or own


def _scenarios(settings: Settings) -> list[SourcedScenario]:
    """Return the scenarios of `--scenario`. Raise `ScenarioError` if the registry lacks what one needs."""
    if not settings.scenario:
        return []
    from brokenreg.rules.scenario_text import load_scenario

    loaded = [load_scenario(path) for path in settings.scenario]
    for path, each in zip(settings.scenario, loaded, strict=True):
        try:
            check_registry(settings, each.scenario)
        except FieldError as error:
            raise ScenarioError(f"{path}: {error}", error.where) from None
    return loaded
