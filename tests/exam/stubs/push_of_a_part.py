"""Pushes the blobs, but no manifest, and exits with status 0."""

from tests.exam.stubs.push import Pusher


class Forgetful(Pusher):
    def push_manifest(self, document: bytes) -> None:
        pass


Forgetful().push()
