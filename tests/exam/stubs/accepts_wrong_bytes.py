"""Does not compare layers with their digests, and keeps nothing, as a scanner does."""

from tests.exam.stubs.pull import Puller


class Scanner(Puller):
    def verify(self, digest: str, blob: bytes) -> None:
        pass

    def write(self, name: str, content: bytes) -> None:
        pass


Scanner().pull()
