"""Does not compare layers with their digests."""

from tests.exam.stubs.pull import Puller


class Trusting(Puller):
    def verify(self, digest: str, blob: bytes) -> None:
        pass


Trusting().pull()
