"""Sends its token to wherever the registry redirects."""

from tests.exam.stubs.pull import Puller


class Leaking(Puller):
    def for_another_host(self, headers: dict[str, str]) -> dict[str, str]:
        return headers


Leaking().pull()
