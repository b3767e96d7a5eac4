"""Constructors of the faults of the family timing. `make reference` writes this module."""

from __future__ import annotations

from typing import Literal

from brokenreg.client.faults.fault import Fault, with_parameters


@with_parameters
def timeout(*, dur: float | str, processed: bool = False) -> Fault:
    """Waits for `dur`, then responds with 408 (code TIMEOUT).

    Without `processed`, the registry does not see the request, so a push stores nothing.

    The default endpoint is `manifest`.

    Parameters:

    - `dur`: how long to wait
    - `processed`: whether the registry carries out the request first; its response is dropped. Only POST,
      PUT, PATCH and DELETE are carried out
    """
    return Fault(type="timeout")


@with_parameters
def latency(
    *,
    dur: float | str = 1.0,
    form: Literal["fixed", "uniform", "log-normal"] = "fixed",
    min: float | str = 0.0,
    sigma: float = 0.5,
) -> Fault:
    """Waits before the status line, then sends the usual response.

    A push is stored before the wait, so only its response is late. `form` selects how the delay is chosen:

    - `fixed`: always `dur`
    - `uniform`: between `min` and `dur`
    - `log-normal`: `dur` is the median; about two thirds of the delays are between `dur` divided by e^`sigma`
      and `dur` multiplied by e^`sigma`

    The default endpoint is `any`.

    Parameters:

    - `dur`: the delay: exact, maximum or median, depending on `form`
    - `form`: distribution of the delay
    - `min`: minimum delay, for `uniform`
    - `sigma`: spread, for `log-normal`
    """
    return Fault(type="latency")


@with_parameters
def stall(*, at: float | str = "headers", dur: float | str | None = None) -> Fault:
    """Stops sending in the middle of the response, for `dur` or until the client disconnects.

    `at` is `headers` (not even the headers are sent before the stall) or a position in the body. After `dur`,
    the rest of the response follows.

    The default endpoint is `layer`.

    Parameters:

    - `at`: where to stop: `headers`, or a position in the body
    - `dur`: how long to stall; by default until the client disconnects
    """
    return Fault(type="stall")


@with_parameters
def throttle(*, rate: int | str = 65536) -> Fault:
    """Sends the body at `rate` bytes per second.

    The body is sent in slices of about 20 ms at absolute deadlines, so the rate is exact over the whole body.
    The first slice is sent immediately. Time during which the response is held or stalled does not count: the
    body then continues at the same rate.

    The default endpoint is `blob`.

    Parameters:

    - `rate`: bytes per second
    """
    return Fault(type="throttle")


@with_parameters
def drip(*, what: Literal["body", "headers"] = "body", every: float | str = 0.01) -> Fault:
    """Sends the body or the headers byte by byte, with a delay of `every` between two bytes.

    `headers` includes the status line and is possible only over HTTP/1.1. Time during which the response is
    held or stalled does not count.

    The default endpoint is `layer`.

    Parameters:

    - `what`: what is sent byte by byte
    - `every`: time between two bytes
    """
    return Fault(type="drip")
