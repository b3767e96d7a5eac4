"""Gives up after the first failure, and says nothing: its exit status is 0."""

import contextlib

from tests.exam.stubs.pull import Puller


class Impatient(Puller):
    attempts = 1


with contextlib.suppress(SystemExit):
    Impatient().pull()
