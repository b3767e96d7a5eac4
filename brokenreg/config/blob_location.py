"""The value of `--blobs`: the data folder, or a place in an object store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from brokenreg.validation import InvalidValueError

_OBJECTS = re.compile(r"(s3|gs|az)://([a-z0-9][a-z0-9._-]{0,221})((?:/[A-Za-z0-9!_.*'()-]+)*)/?")
_DOTS = re.compile(r"(^|/)\.{1,2}(/|$)")


@dataclass(frozen=True, slots=True)
class BlobLocation:
    """A bucket (S3, Google Cloud Storage) or container (Azure) and a prefix; or neither: the data folder."""

    scheme: str = "file"
    bucket: str = ""
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> BlobLocation:
        """Return the location. Raise `InvalidValueError`. The text is not quoted: it may hold a password."""
        if text == "file:":
            return cls()
        match = _OBJECTS.fullmatch(text)
        if match is None or _DOTS.search(match[3]):
            raise InvalidValueError(
                "use file:, s3://BUCKET[/PREFIX], gs://BUCKET[/PREFIX] or az://CONTAINER[/PREFIX]; "
                "credentials and endpoints come from environment variables such as AWS_ACCESS_KEY_ID"
            )
        return cls(match[1], match[2], match[3].removeprefix("/"))

    @property
    def is_folder(self) -> bool:
        return self.scheme == "file"

    def place(self, folder: Path) -> str:
        """Return the URL for people. `folder` is the data folder."""
        return f"file:{folder}" if self.is_folder else str(self)

    def __str__(self) -> str:
        return "file:" if self.is_folder else f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/")
