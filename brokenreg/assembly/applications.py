"""The applications of the listeners: the chain of handlers that a request passes, outermost first."""

from __future__ import annotations

from typing import Any, cast

from brokenreg.assembly.authentication import authenticated
from brokenreg.assembly.guards import RegistryGuard
from brokenreg.assembly.landing_page import LANDING_PATH, LandingPage
from brokenreg.assembly.panels import Panels
from brokenreg.control import Control
from brokenreg.control.tickets import Tickets
from brokenreg.faults.registry_view import RegistryView
from brokenreg.fleet.derived_keys import DerivedKeys
from brokenreg.fleet.endpoints import Adopt
from brokenreg.fleet.fleet import Fleet
from brokenreg.http.asgi import Receive, Scope, Send
from brokenreg.late_imports import Late
from brokenreg.listening.inbound_connection import AcceptedConnections
from brokenreg.oci.resolution import Base
from brokenreg.oci.target import Target
from brokenreg.registry import Registry
from brokenreg.registry.request import Services
from brokenreg.rules.accept_policy import RuleAcceptPolicy
from brokenreg.rules.injector import Injector
from brokenreg.rules.path_rules import PathRules
from brokenreg.runtime.runtime import Runtime
from brokenreg.second_origin.credential_trap import CredentialSearch
from brokenreg.second_origin.object_store import ObjectStore
from brokenreg.traffic.connections import ConnectionRecorder
from brokenreg.traffic.exchange import Origin
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.pages import Page, health
from brokenreg.traffic.recorder import Recorder
from brokenreg.wire.application import Application, served_by

_FEW = 1
"""Number of exchanges in a log that is never read."""


class Applications:
    """Creates the application of each listener around one registry."""

    def __init__(
        self,
        runtime: Runtime,
        services: Services,
        view: RegistryView,
        keys: DerivedKeys,
        fleet: Fleet | None = None,
    ) -> None:
        settings = runtime.settings
        self._runtime = runtime
        self._keys = keys
        self._claim = None if fleet is None else fleet.claim
        self._services = services
        self._origin = view.origin
        self._aliases = frozenset(upstream.name for upstream in settings.upstream)
        self._hosts = tuple(filter(None, (*settings.allow_host, settings.public_host)))
        self._registry = Registry(services)
        self._content = self._registry if fleet is None else fleet.forwarding(self._registry)
        """The registry as clients see it: with the upload sessions of all replicas."""
        shared = None if runtime.shared_rules is None else runtime.shared_rules.evaluation
        injector = Injector(
            authenticated(self._content, settings, services.tokens, view.address),
            PathRules(runtime.images),
            runtime.rules,
            runtime.gate,
            view,
            shared,
        )
        self._faulty_registry = RegistryGuard(injector, self._hosts)
        recorder = ConnectionRecorder(runtime.log)
        policy = RuleAcceptPolicy(runtime.rules, recorder, view, shared)
        self.accepted = AcceptedConnections(recorder, policy, takes_time=shared is not None)
        """The connections of all registry listeners."""
        self._control: Control | None = None
        self.late: list[Late[Any]] = [self._registry.quart]
        """Objects that are created after the start, in this order."""

    def registry(self, upstream: str, control: str | None) -> Application:
        """Return the application of a registry listener, which may represent an upstream.

        `control` is the URL of the control API, or None if it is off.
        """
        base = Base(self._aliases, listener=upstream)
        log = self._runtime.log
        pages: dict[str, Page] = {LANDING_PATH: LandingPage(control, self._hosts)}
        pages |= health(self._runtime.stopping.is_set)
        recorder = Recorder(
            self._faulty_registry, log, self._is_config, base, own_names=self._hosts, pages=pages
        )
        return Application(recorder.answer, self.accepted)

    def second_origin(self) -> Application:
        """Return the application of the second origin: the registry without faults, only for signed URLs."""
        log, trap = self._runtime.log, self._runtime.trap
        guard = RegistryGuard(ObjectStore(self._content, self._origin), self._hosts)
        searched = CredentialSearch(guard, trap, self._origin.token)
        recorder = Recorder(searched, log, self._is_config, Base(self._aliases), Origin.SECOND)
        return Application(recorder.answer, AcceptedConnections(ConnectionRecorder(log, Origin.SECOND)))

    def fleet(self, fleet: Fleet, adopt: Adopt) -> Application:
        """Return the application of the fleet listener: the registry without rules, login and log.

        The replica that forwards a request logs it.
        """
        catch_up = self._services.store.index.catch_up
        running = self._services.proxy.blobs.running
        recorder = Recorder(
            fleet.receiving(self._registry, catch_up, adopt, self._serve_control, running),
            TrafficLog(_FEW),
            self._is_config,
            Base(self._aliases),
            own_names=self._hosts,
        )
        return Application(recorder.answer)

    def control(self, address: str) -> Application:
        """Return the control API; `address` is where it listens."""
        tickets = Tickets(self._keys.key("panel tickets"), self._claim)
        control = self._control = Control(self._runtime, address, Panels(self._runtime), tickets)
        self.late.insert(0, control.application)
        return Application(served_by(control), websocket=control)

    async def _serve_control(self, access: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the control API respond to a client of another replica, which has checked its token.

        With `--control off`, it has no listener, and is created for the first such client.
        """
        if self._control is None:
            self.control("")
        await cast(Control, self._control).serve_checked(access, scope, receive, send)

    def _is_config(self, target: Target) -> bool:
        return self._services.store.index.is_config(target.reference) or self._services.images.is_config(
            target.repository, target.reference
        )
