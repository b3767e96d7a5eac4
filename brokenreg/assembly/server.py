"""A running brokenreg, from its settings: built upwards floor by floor, taken down in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator

from brokenreg import __version__
from brokenreg.assembly.guards import RegistryGuard
from brokenreg.assembly.health import Health
from brokenreg.assembly.listeners import Certificate, Listener, quiet_handshakes
from brokenreg.assembly.process_tuning import (
    allow_many_connections,
    full_searches_when_quiet,
    keep_freed_memory,
)
from brokenreg.assembly.proxy import make_proxy
from brokenreg.assembly.second_origin import SecondOriginListener
from brokenreg.assembly.tls import Identity, given, self_signed
from brokenreg.concurrency import first_of
from brokenreg.config import Settings
from brokenreg.control import Control
from brokenreg.diagnostics import Diagnostics
from brokenreg.faults.registry_view import RegistryView
from brokenreg.gate.gate import Gate
from brokenreg.images.fabricator import KINDS, Fabricator
from brokenreg.oci.resolution import Base
from brokenreg.oci.target import Target
from brokenreg.registry import Registry
from brokenreg.registry.auth.authentication import AccessCheck, BasicAuthentication, TokenAuthentication
from brokenreg.registry.auth.challenge import PublicAddress
from brokenreg.registry.auth.form import TokenForms
from brokenreg.registry.auth.service import TokenService
from brokenreg.registry.auth.token_issuer import TokenIssuer
from brokenreg.registry.auth.users import Users
from brokenreg.registry.call import CatalogSettings, Services
from brokenreg.rules.injector import Injector, RuleAcceptPolicy
from brokenreg.rules.path_rules import PathRules, image_kinds
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.rules.scenario import load_scenario
from brokenreg.runtime.runtime import Runtime
from brokenreg.runtime.status import Status
from brokenreg.second_origin.credential_trap import CredentialTrap, CredentialTrapMiddleware
from brokenreg.second_origin.object_store import ObjectStore
from brokenreg.second_origin.origin import SecondOrigin
from brokenreg.storage import Store
from brokenreg.traffic.connections import ConnectionRecorder
from brokenreg.traffic.exchange import Origin
from brokenreg.traffic.log import ExchangeEvent, TrafficLog
from brokenreg.traffic.recorder import Recorder
from brokenreg.wire.asgi import ASGIApp
from brokenreg.wire.connection_middleware import ConnectionMiddleware
from brokenreg.wire.inbound_connection import AcceptedConnections

_TOKEN_LIFETIME = 300.0
"""Seconds, unless told otherwise."""

_SWITCH_INTERVAL = 0.0005
"""Seconds before a thread that hashes or writes must give the interpreter back to the loop."""


class Server:
    """A brokenreg that serves, between entering and leaving `Server.running`."""

    def __init__(
        self, settings: Settings, store: Store, images: Fabricator, diagnostics: Diagnostics
    ) -> None:
        self.log = TrafficLog()
        self.gate = Gate(self.log)
        self.origin = SecondOrigin(settings.public_host)
        self.trap = CredentialTrap()
        self._identity = _identity(settings, store)
        flawed = None if self._identity is None else self._identity.flawed
        self._address = PublicAddress(settings.public_url)
        users = Users({user.name: user.password.get_secret_value() for user in settings.auth_user})
        self._tokens = TokenService(users, TokenIssuer(), settings.token_lifetime or _TOKEN_LIFETIME)
        self._auth = settings.auth
        access_check = AccessCheck(self._authenticated)
        self._aliases = frozenset(upstream.name for upstream in settings.upstream)
        self._proxy = make_proxy(settings, store, self._own_addresses)
        self._registry_view = RegistryView(
            store, images, self.origin, self._address, access_check, flawed, self._proxy.naming
        )
        self.rules = RuleBooks(
            settings.seed, self._registry_view.positions, [load_scenario(path) for path in settings.scenario]
        )
        self.log.subscribe(self.rules.observe, ExchangeEvent.ENDED)
        self._store = store
        self._started = time.monotonic()
        self._images = images
        self._hosts = tuple(filter(None, (*settings.allow_host, settings.public_host)))
        catalog = CatalogSettings(settings.v2_catalog_delay, settings.v2_catalog_num_repos)
        self._registry = Registry(Services(store, images, catalog, self._tokens, self._proxy))
        self._faulty_registry = self._make_faulty_registry()
        connections = ConnectionRecorder(self.log)
        self._door = AcceptedConnections(
            connections, RuleAcceptPolicy(self.rules, connections, self._registry_view)
        )
        self.authority = self._identity.authority if self._identity and settings.tls else None
        """The CA file that a client must trust, with `--tls self-signed`."""
        self._listeners: list[Listener] = []
        self._second: SecondOriginListener | None = None
        self._control: Listener | None = None
        self._stopping = asyncio.Event()
        self.runtime = Runtime(
            settings=settings,
            log=self.log,
            gate=self.gate,
            rules=self.rules,
            store=store,
            images=images,
            proxy=self._proxy,
            trap=self.trap,
            diagnostics=diagnostics,
            status=self.status,
            stopping=self._stopping,
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, settings: Settings, diagnostics: Diagnostics) -> AsyncIterator[Server]:
        """Serve until the block is left; then stop within 2 s, whatever is in flight.

        Shutdown is in reverse order: listeners accept no more connections, requests in flight get a moment to
        finish, images and proxy end their work and report that to waiting clients, the remaining connections
        are cut, and the storage closes.

        Raise `StorageError`, `ListenError` or `ScenarioError`, one clear line each, if it cannot serve.
        """
        sys.setswitchinterval(_SWITCH_INTERVAL)
        keep_freed_memory()
        allow_many_connections()
        asyncio.get_running_loop().set_exception_handler(quiet_handshakes)
        async with contextlib.AsyncExitStack() as lifetimes:
            await lifetimes.enter_async_context(full_searches_when_quiet())
            store = await lifetimes.enter_async_context(
                Store.open(
                    settings.data, settings.cache_max_size, settings.max_data, settings.verify_interval
                )
            )
            images = Fabricator(store.index.recipes, {**KINDS, **image_kinds()}, settings.fabricate_limit)
            await images.load()
            server = cls(settings, store, images, diagnostics)
            for end in (server._cut, server._proxy.close, images.close, server._drain):
                lifetimes.push_async_callback(end)
            server._bind(settings)
            server._start(settings)
            yield server

    @property
    def registry_urls(self) -> list[str]:
        """Where the registry listens."""
        return [listener.url for listener in self._listeners]

    @property
    def control_url(self) -> str | None:
        """Where the control API listens; None if it is off."""
        return self._control.url if self._control else None

    async def wait(self) -> None:
        """Return, or raise, if a listener ends by itself."""
        await first_of(*(listener.wait() for listener in self._all_listeners()))

    def status(self) -> Status:
        """Version, uptime, addresses and counts."""
        repositories = self._store.index.repositories.values()
        return Status(
            version=__version__,
            uptime=round(time.monotonic() - self._started, 3),
            registry=self.registry_urls,
            second_origin=self._second.url if self._second else "",
            control=self.control_url,
            offline=self._proxy.is_offline,
            exchanges=self.log.end,
            in_flight=self.log.in_flight,
            held=len(self.gate.held),
            connections=len(self._door.connections),
            rules=len(self.rules),
            repositories=len(repositories),
            manifests=sum(len(repository.manifests) for repository in repositories),
            blobs=self._store.index.blob_count,
            leaked_credentials=self.trap.leaks,
        )

    def _make_faulty_registry(self) -> ASGIApp:
        """Return the registry inside the middleware that applies faults."""
        injector = Injector(
            self._authenticated(self._registry),
            PathRules(self._images),
            self.rules,
            self.gate,
            self._registry_view,
        )
        return RegistryGuard(TokenForms(injector), self._hosts)

    def _registry_app(self, upstream: str) -> ConnectionMiddleware:
        """Return the application of one listener, which may represent an upstream."""
        base = Base(self._aliases, listener=upstream)
        app = Recorder(self._faulty_registry, self.log, self._is_config, base, own_names=self._hosts)
        return ConnectionMiddleware(Health(app), self._door)

    def _object_store(self) -> ConnectionMiddleware:
        """The onion of the second origin: the same registry past faults and login, for signed URLs alone."""
        guard = RegistryGuard(ObjectStore(self._registry, self.origin), self._hosts)
        trap = CredentialTrapMiddleware(guard, self.trap, self.origin.token)
        app = Recorder(trap, self.log, self._is_config, Base(self._aliases), Origin.SECOND)
        return ConnectionMiddleware(
            Health(app), AcceptedConnections(ConnectionRecorder(self.log, Origin.SECOND))
        )

    def _authenticated(self, app: ASGIApp) -> ASGIApp:
        if self._auth == "basic":
            return BasicAuthentication(app, self._tokens.users)
        if self._auth == "token":
            return TokenAuthentication(app, self._tokens.token_issuer, self._address)
        return app

    def _is_config(self, target: Target) -> bool:
        return self._store.index.is_config(target.reference) or self._images.is_config(
            target.repository, target.reference
        )

    def _own_addresses(self) -> list[tuple[str, int]]:
        return [(listener.address.host, listener.address.port) for listener in self._all_listeners()]

    def _bind(self, settings: Settings) -> None:
        certificate = None if self._identity is None else self._identity.certificate
        for address in settings.listen:
            self._listeners.append(Listener("registry", address, certificate))
        self._second = SecondOriginListener(settings, certificate, self.origin)
        if settings.control is not None:
            self._control = Listener("control API", settings.control, None)

    def _start(self, settings: Settings) -> None:
        for listener, place in zip(self._listeners, settings.listen, strict=True):
            listener.start(self._registry_app(place.upstream or ""))
        if self._second is not None:
            self._second.start(self._object_store())
        if self._control is not None:
            address = str(self._control.address)
            self._control.start(ConnectionMiddleware(Control(self.runtime, address, settings.control_token)))

    async def _drain(self) -> None:
        """Accept no more connections, and give requests in flight a moment to finish."""
        self._stopping.set()
        self.gate.disable()
        await asyncio.gather(*(listener.drain() for listener in self._all_listeners()))

    async def _cut(self) -> None:
        """End the requests that are still in flight."""
        await asyncio.gather(*(listener.cut() for listener in self._all_listeners()))

    def _all_listeners(self) -> list[Listener]:
        return [*self._listeners, *filter(None, (self._second, self._control))]


def _identity(settings: Settings, store: Store) -> Identity | None:
    """What TLS listeners show; None if they speak plain HTTP."""
    if settings.cert is not None and settings.key is not None:
        return given(store.folder.tls, Certificate(settings.cert, settings.key))
    if settings.tls is None:
        return None
    hosts = [*(address.host for address in settings.listen), *settings.allow_host]
    return self_signed(store.folder.tls, hosts)
