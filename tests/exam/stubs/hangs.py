"""Waits forever after its first request."""

import time

from tests.exam.stubs.pull import Puller


class Hanging(Puller):
    def verify(self, digest: str, blob: bytes) -> None:
        while True:
            time.sleep(1)


Hanging().pull()
