"""Gives up after the first failure, with an exit status that says so."""

from tests.exam.stubs.pull import Puller


class Impatient(Puller):
    attempts = 1


Impatient().pull()
