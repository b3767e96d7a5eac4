"""The progress of hashing an image, and its observers."""

from __future__ import annotations

import math
import threading
import time
from typing import Protocol

from brokenreg.images.framing import TarFrame
from brokenreg.images.spec import ImageSpec
from brokenreg.oci.sizes import format_size
from brokenreg.wording import counted

_ASSUMED_SPEED = 256 * 1024 * 1024.0
"""Bytes per second that one job hashes, until it has been measured."""

_ASSUMED_FOR = 1.0
"""Seconds at the expected speed that count in a job's speed, so that its first bytes do not distort it."""


class Observer(Protocol):
    """Receives the progress of an image that a client waits for."""

    def tell(self, line: str) -> None:
        """Add a line to the timeline."""

    def progress(self, words: str | None) -> None:
        """Replace the reported progress; None when the work has ended."""


class _Nobody:
    """An observer that ignores everything."""

    def tell(self, line: str) -> None:
        pass

    def progress(self, words: str | None) -> None:
        pass


NOBODY = _Nobody()


class Progress:
    """The progress of one image. The hashing thread writes it; all threads may read, and set `cancelled`."""

    def __init__(self, spec: ImageSpec) -> None:
        self.cancelled = threading.Event()
        self.layers = spec.layers
        self.layer = 1
        """The number of the layer that is being hashed."""
        self._size = spec.size
        self._layer_bytes = TarFrame(spec.recipe(1).file_name, spec.size).size
        self._known = 0
        """Bytes of the layers whose sums were already known."""
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
        """Return bytes per second, measured since it began; `expected` counts for its first second."""
        elapsed = 0.0 if self._began is None else time.monotonic() - self._began
        assumed = (expected or _ASSUMED_SPEED) * _ASSUMED_FOR
        return (self._hashed + assumed) / (elapsed + _ASSUMED_FOR)

    def remaining(self, expected: float | None) -> float:
        """Return the seconds until all layers are hashed, at the speed so far."""
        return max(0, self.total - self._known - self._hashed) / self.speed(expected)

    @property
    def task(self) -> str:
        """`fabricating 127 layers of 1GiB`."""
        return f"fabricating {counted(self.layers, 'layer')} of {format_size(self._size)}"

    @property
    def words(self) -> str:
        """`fabricating layer 17 of 127, 12%`."""
        return f"fabricating layer {self.layer} of {self.layers}, {self.percent}%"


class Report:
    """Reports a job to one observer; the timeline gets a line at the beginning and at each tenth."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._is_queued = False
        self._tenths = -1

    def queued(self, words: str) -> None:
        """Report that the job waits for its turn."""
        if not self._is_queued:
            self._is_queued = True
            self._observer.tell(words)
        self._observer.progress(words)

    def running(self, progress: Progress, expected: float | None) -> None:
        """Report that the job runs; `expected` is the usual speed, in bytes per second."""
        tenths = progress.percent // 10
        if self._tenths < 0:
            left = math.ceil(progress.remaining(expected))
            self._observer.tell(f"{progress.task}, about {left} s left")
        elif tenths > self._tenths:
            self._observer.tell(progress.words)
        self._tenths = tenths
        self._observer.progress(progress.words)
