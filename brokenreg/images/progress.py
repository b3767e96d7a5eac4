"""The progress of hashing an image, and the observers to which it is reported."""

from __future__ import annotations

import math
import threading
import time
from typing import Protocol

from brokenreg.images.framing import TarFrame
from brokenreg.images.spec import ImageSpec
from brokenreg.traffic.timeline_events import (
    FabricationEvent,
    FabricationProgress,
    FabricationQueued,
    FabricationStarted,
    WorkProgress,
)

_ASSUMED_SPEED = 256 * 1024 * 1024.0
"""The speed of a job, in bytes per second, that is assumed until it has been measured."""

_ASSUMED_FOR = 1.0
"""Seconds at the expected speed that are included in the speed of a job, so that its first bytes do not
distort it."""


class Observer(Protocol):
    """Receives the progress of an image that a client waits for."""

    def add(self, event: FabricationEvent) -> None:
        """Add an event to the timeline."""

    def progress(self, progress: WorkProgress | None) -> None:
        """Set the reported progress, or None when the work has ended."""


class _IgnoringObserver:
    """An observer that ignores everything."""

    def add(self, event: FabricationEvent) -> None:
        pass

    def progress(self, progress: WorkProgress | None) -> None:
        pass


NO_OBSERVER = _IgnoringObserver()


class Progress:
    """The progress of one image. The hashing thread updates it; any thread may read it or set `cancelled`."""

    def __init__(self, spec: ImageSpec) -> None:
        self.cancelled = threading.Event()
        self.layers = spec.layers
        self.layer = 1
        """The number of the layer that is being hashed."""
        self._size = spec.size
        self._layer_bytes = TarFrame(spec.recipe(1).file_name, spec.size).size
        self._known = 0
        """The size, in bytes, of the layers whose sums were already known."""
        self._hashed = 0
        self._began: float | None = None

    def begin(self, known: int) -> None:
        """Start the clock; `known` is the number of layers whose sums are already known."""
        self._known = known * self._layer_bytes
        self._began = time.monotonic()

    def add(self, count: int) -> None:
        """Add a number of hashed bytes."""
        self._hashed += count

    @property
    def is_running(self) -> bool:
        return self._began is not None

    @property
    def is_measured(self) -> bool:
        """Return whether it has hashed enough to measure its speed."""
        return self._hashed >= _ASSUMED_SPEED * _ASSUMED_FOR

    @property
    def total(self) -> int:
        """Return the size of all layers, in bytes."""
        return self.layers * self._layer_bytes

    @property
    def percent(self) -> int:
        return min(100, (self._known + self._hashed) * 100 // max(1, self.total))

    def speed(self, expected: float | None) -> float:
        """Return the measured bytes per second; the `expected` speed is included for one second."""
        elapsed = 0.0 if self._began is None else time.monotonic() - self._began
        assumed = (expected or _ASSUMED_SPEED) * _ASSUMED_FOR
        return (self._hashed + assumed) / (elapsed + _ASSUMED_FOR)

    def remaining(self, expected: float | None) -> float:
        """Return the seconds until all layers are hashed, at the current speed."""
        return max(0, self.total - self._known - self._hashed) / self.speed(expected)

    def started(self, expected: float | None) -> FabricationStarted:
        """Return the event for the timeline when hashing starts."""
        return FabricationStarted(self.layers, self._size, math.ceil(self.remaining(expected)))

    def now(self) -> FabricationProgress:
        """Return the event for the timeline with the progress so far."""
        return FabricationProgress(self.layer, self.layers, self.percent)


class Report:
    """Reports a job to one observer; the timeline gets an event at the start and after each tenth."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._is_queued = False
        self._tenths = -1

    def queued(self, queued: FabricationQueued) -> None:
        """Report that the job waits for its turn."""
        if not self._is_queued:
            self._is_queued = True
            self._observer.add(queued)
        self._observer.progress(queued)

    def running(self, progress: Progress, expected: float | None) -> None:
        """Report that the job runs; `expected` is the usual speed, in bytes per second."""
        now = progress.now()
        tenths = now.percent // 10
        if self._tenths < 0:
            self._observer.add(progress.started(expected))
        elif tenths > self._tenths:
            self._observer.add(now)
        self._tenths = tenths
        self._observer.progress(now)
