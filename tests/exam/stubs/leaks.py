"""Sends its token to wherever the registry redirects, as urllib does with usual headers."""

import urllib.request

from tests.exam.stubs.pull import Puller


class Leaking(Puller):
    def authorize(self, request: urllib.request.Request) -> None:
        request.add_header("Authorization", self.authorization)


Leaking().pull()
