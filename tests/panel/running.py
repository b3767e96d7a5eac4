"""A registry for the panel: the real parts in their own folder, without listeners."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from brokenreg.assembly.proxy import running_proxy
from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.gate.gate import Gate
from brokenreg.images.fabricator import KINDS, Fabricator
from brokenreg.images.images import Images
from brokenreg.images.odd_images import OddImages
from brokenreg.rules.path_rules import fault_images
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.runtime.runtime import Runtime
from brokenreg.runtime.status import Status
from brokenreg.second_origin.credential_trap import CredentialTrap
from brokenreg.storage import Store
from brokenreg.traffic.log import TrafficLog


@asynccontextmanager
async def registry(log: TrafficLog) -> AsyncIterator[Runtime]:
    """Return a registry with the exchanges of `log`, the address 127.0.0.1:8080 and no upstream."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            listen=["127.0.0.1:8080"], data=Path(folder), fabricate_limit="1GiB", offline=True
        )
        async with Store.open(settings.data) as store, running_proxy(settings, store, list, {}, "") as proxy:
            recipes = store.index.recipes
            fabricator = Fabricator(recipes, {**KINDS, **fault_images()}, settings.fabricate_limit)
            images = Images(fabricator, OddImages(recipes))
            try:
                yield Runtime(
                    settings=settings,
                    log=log,
                    gate=Gate(log),
                    rules=RuleBooks(7, lambda target: ()),
                    store=store,
                    images=images,
                    proxy=proxy,
                    trap=CredentialTrap(),
                    diagnostics=Diagnostics(),
                    status=lambda: _status(log),
                    stopping=asyncio.Event(),
                )
            finally:
                await images.close()


def _status(log: TrafficLog) -> Status:
    return Status(
        version="0.1.0",
        uptime=75.0,
        registry=["http://127.0.0.1:8080"],
        second_origin="http://127.0.0.1:8089",
        control=None,
        database="sqlite:/data/index.sqlite3",
        blob_storage="file:/data",
        offline=True,
        exchanges=log.end,
        log_size=log.size,
        in_flight=log.in_flight,
        held=0,
        connections=0,
        rules=0,
        repositories=0,
        manifests=0,
        blobs=0,
        leaked_credentials=CredentialTrap().leaks,
    )
