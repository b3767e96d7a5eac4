"""Gets the manifest, and is content with that."""

import os

from tests.exam.stubs.pull import Puller

Puller().get(f"manifests/{os.environ['BROKENREG_TAG']}")
