import os

import pytest
from pull import WrongBytesError, pull

from brokenreg.client import faults

ATTEMPTS = int(os.environ.get("ATTEMPTS", "4"))


def test_retries(brokenreg):
    with (
        brokenreg.rule(faults.error(status=503), times=2, match={"endpoint": "manifest"}),
        brokenreg.rule(faults.truncate(after="16KiB"), times=1, match={"endpoint": "layer"}),
    ):
        layers = pull(brokenreg.random_image(layers=2, size="64KiB"), attempts=ATTEMPTS, backoff=0.05)
    assert len(layers) == 2


def test_waits_for_retry_after(brokenreg):
    with brokenreg.rule(faults.rate_limit(window="1s"), times=1, match={"endpoint": "manifest"}):
        pull(brokenreg.random_image(), attempts=ATTEMPTS, backoff=0.05)
    brokenreg.expect("retry-after:honoured status:200", count=1)


def test_refuses_wrong_bytes(brokenreg):
    with brokenreg.rule(faults.corrupt(), match={"endpoint": "layer"}), pytest.raises(WrongBytesError):
        pull(brokenreg.random_image(), attempts=ATTEMPTS, backoff=0.05)
