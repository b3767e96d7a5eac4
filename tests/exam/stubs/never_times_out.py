"""Waits for each response without a limit."""

from tests.exam.stubs.pull import Puller


class Trusting(Puller):
    def __init__(self) -> None:
        super().__init__()
        self.connection.timeout = None


Trusting().pull()
