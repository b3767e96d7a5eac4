"""Removes what it does not know from the name of the image."""

from tests.exam.stubs.pull import Puller

puller = Puller()
puller.repository = "/".join(puller.repository.split("/")[3:])
puller.pull()
