"""What the tests that pytester runs begin with."""

GET = """
import httpx
from brokenreg.client import faults

def get(image, token=None):
    host, _, rest = image.partition("/")
    repository, _, tag = rest.rpartition(":")
    return httpx.get(f"http://{host}/v2/{repository}/manifests/{tag}")
"""
