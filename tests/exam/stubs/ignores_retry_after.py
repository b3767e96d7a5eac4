"""Tries again immediately, whatever Retry-After says."""

from tests.exam.stubs.pull import Puller


class Hasty(Puller):
    def wait(self, retry_after: str | None) -> None:
        pass


Hasty().pull()
