"""Constructors of the faults of the family control. `make reference` writes this module."""

from __future__ import annotations

from brokenreg.client.faults.fault import Fault, with_parameters


@with_parameters
def hold(*, at: int | str = "headers") -> Fault:
    """Holds the response until you resume, step or abort it.

    `at` is `headers` (before the status line) or a number of bytes of the body. The fault has no effect on a
    body that ends earlier. To continue, use `brokenreg resume`, `step` or `abort`, the control API, or the
    panel.

    The default endpoint is `any`.

    Parameters:

    - `at`: where to hold: `headers`, or after that many bytes of the body
    """
    return Fault(type="hold")
