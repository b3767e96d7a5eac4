"""Sends each request again after a pause that grows, and never gives up."""

import time

from tests.exam.stubs.pull import Puller


class Patient(Puller):
    attempts = 1000
    pause = 0.5

    def wait(self, retry_after: str | None) -> None:
        self.pause *= 2
        time.sleep(self.pause)


Patient().pull()
