"""Crashes when a request fails."""

import os

from tests.exam.stubs.pull import Puller


class Crashing(Puller):
    def wait(self, retry_after: str | None) -> None:
        os.abort()


Crashing().pull()
