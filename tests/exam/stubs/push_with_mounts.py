"""Pushes to a second repository first, and mounts the blobs from there. It uploads what cannot be mounted."""

from tests.exam.stubs.push import Pusher


class Mounter(Pusher):
    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base

    def push_blob(self, digest: str) -> None:
        uploads = f"/v2/{self.repository}/blobs/uploads/"
        self.connection.request("POST", f"{uploads}?mount={digest}&from={self.base}")
        response = self.connection.getresponse()
        response.read()
        if response.status != 201:
            super().push_blob(digest)


first = Pusher()
first.repository += "-base"
first.push()
Mounter(first.repository).push()
