"""Repeats each request as fast as it can, without a limit."""

from tests.exam.stubs.pull import Puller


class Hammering(Puller):
    attempts = 1000

    def wait(self, retry_after: str | None) -> None:
        pass


Hammering().pull()
