"""Media types of manifests, configurations and layers, and the facts about a manifest."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import BaseModel, ConfigDict

from brokenreg.oci.digests import Digest, DigestList
from brokenreg.oci.errors import OCIError

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
IN_TOTO = "application/vnd.in-toto+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCTET_STREAM = "application/octet-stream"

MAX_MANIFEST = 4 * 1024 * 1024
"""The size in bytes that the specification requires every registry to accept."""

MAX_VALUES = 500_000
"""Maximum number of JSON values in a document. 4 MiB of descriptors have 150,000."""

_MAX_DEPTH = 32
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][\w!#$&^.+-]{0,126}/[A-Za-z0-9][\w!#$&^.+-]{0,126}", re.ASCII)


class ManifestFacts(BaseModel):
    """The facts about a manifest that the registry needs, for any media type.

    `names` are all digests that the document contains anywhere, so that no blob that an unusual manifest
    needs is treated as garbage.
    """

    model_config = ConfigDict(frozen=True)

    media_type: str | None = None
    artifact_type: str | None = None
    subject: str | None = None
    config: str | None = None
    layers: DigestList = DigestList()
    annotations: dict[str, str] = {}
    """The annotations of a manifest with a subject, for lists of referrers."""
    names: DigestList = DigestList()

    @classmethod
    def stored(cls, text: str) -> ManifestFacts:
        """Return the facts in an output of `model_dump_json`, with the memory use of `manifest_facts`."""
        facts = cls.model_validate_json(text)
        update: dict[str, Any] = {"layers": facts.layers.shared(facts.names)}
        if facts.subject is None:
            update["annotations"] = {}
        return facts.model_copy(update=update)


def has_too_many_values(body: bytes) -> bool:
    """Return whether a JSON document has more than `MAX_VALUES` values.

    Python's JSON parser does not let other threads run, so a document with too many values would block the
    process.
    """
    return count_values(body) > MAX_VALUES


def count_values(body: bytes) -> int:
    """Return an upper bound for the number of values in a JSON document, by counting commas and brackets."""
    return sum(map(body.count, (b",", b"[", b"{")))


def manifest_facts(body: bytes) -> ManifestFacts:
    """Return the facts about a manifest. Parts that are not JSON or have another shape are ignored."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ManifestFacts()
    if not isinstance(document, dict):
        return ManifestFacts()
    config = _descriptor_digest(document.get("config"))
    found: dict[str, None] = {}
    _collect_digests(document, found, 0)
    names = DigestList(found)
    subject = _descriptor_digest(document.get("subject"))
    return ManifestFacts(
        media_type=media_type(document.get("mediaType")),
        artifact_type=_text(document.get("artifactType")) or _config_media_type(document),
        subject=subject,
        config=config,
        layers=_layers(document.get("layers")).shared(names),
        annotations=_annotations(document.get("annotations")) if subject else {},
        names=names,
    )


def media_type(value: Any) -> str | None:
    """Return `value` if it is a media type (RFC 6838, section 4.2) and thus safe in a header, or None."""
    return value if isinstance(value, str) and _MEDIA_TYPE.fullmatch(value) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value and _is_unicode(value) else None


def _is_unicode(text: str) -> bool:
    """Return whether UTF-8 can encode a text. JSON allows lone surrogates (RFC 8259, section 8.2)."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _config_media_type(document: dict[str, Any]) -> str | None:
    """Return the media type of the configuration, the artifact type of an image manifest without one."""
    config = document.get("config")
    return _text(config.get("mediaType")) if isinstance(config, dict) else None


def _descriptor_digest(descriptor: Any) -> str | None:
    if not isinstance(descriptor, dict):
        return None
    return _digest(descriptor.get("digest"))


def _layers(value: Any) -> DigestList:
    """Return the digests of the layers, lowest first. Layers without a digest are skipped."""
    digests = [_descriptor_digest(each) for each in value] if isinstance(value, list) else []
    return DigestList(digest for digest in digests if digest is not None)


def _digest(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return Digest.parse(value)
    except OCIError:
        return None


def _annotations(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {
        key: text
        for key, text in value.items()
        if isinstance(text, str) and _is_unicode(key) and _is_unicode(text)
    }


def _collect_digests(value: Any, into: dict[str, None], depth: int) -> None:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("digest", "blobSum"):
                digest = _digest(inner)
                if digest is not None:
                    into[digest] = None
            else:
                _collect_digests(inner, into, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _collect_digests(inner, into, depth + 1)
