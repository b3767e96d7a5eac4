"""Repository names and tags (distribution-spec, "Pulling manifests")."""

from __future__ import annotations

import re

from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.wording import counted, quoted

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_ONE = re.compile(_COMPONENT)
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_REPLICA = re.compile(r"[0-9a-f]{8}")
_UPLOAD_ID = re.compile(r"(?:([0-9a-f]{8})-)?[0-9a-f]{32}")

MAX_NAME = 255
"""Maximum length of a repository name, in characters. Clients include the host in this limit."""


def check_name(name: str) -> str:
    """Return `name`, or raise `OCIError` 400 NAME_INVALID."""
    if len(name) > MAX_NAME:
        raise OCIError(
            400,
            ErrorCode.NAME_INVALID,
            f"the repository name has {counted(len(name), 'character')}: use at most {MAX_NAME}",
        )
    if not _NAME.fullmatch(name):
        raise OCIError(
            400,
            ErrorCode.NAME_INVALID,
            f"invalid repository name {quoted(name)}: {_name_hint(name)}",
        )
    return name


def _name_hint(name: str) -> str:
    """Return the name that is probably meant, or the form of all."""
    if _NAME.fullmatch(name.lower()):
        return f"use lower case, such as {name.lower()}"
    return "use components of a-z and 0-9, joined inside by one of . _ __ - and separated by /"


def is_component(text: str) -> bool:
    """Return whether `text` is a valid component of a repository name."""
    return _ONE.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Return whether `text` is a valid tag."""
    return _TAG.fullmatch(text) is not None


def check_tag(tag: str) -> str:
    """Return `tag`, or raise `OCIError` 400 TAG_INVALID."""
    if not is_tag(tag):
        raise OCIError(
            400,
            ErrorCode.TAG_INVALID,
            f"invalid tag {quoted(tag)}: use up to 128 of A-Z a-z 0-9 _ . - and neither . nor - at the start",
        )
    return tag


def is_replica_name(text: str) -> bool:
    """Return whether `text` is a valid name of a process among those that share a database."""
    return _REPLICA.fullmatch(text) is not None


def check_upload_id(upload_id: str) -> str:
    """Return `upload_id`, or raise `OCIError` 404 BLOB_UPLOAD_UNKNOWN.

    Ours are 32 hex digits. If several processes share a database, the name of the process precedes them.
    """
    if not _UPLOAD_ID.fullmatch(upload_id):
        raise OCIError(404, ErrorCode.BLOB_UPLOAD_UNKNOWN, f"unknown upload session {upload_id[:64]!r}")
    return upload_id


def replica_of_upload(upload_id: str) -> str:
    """Return the name of the replica that has an upload session; an empty string outside of a fleet."""
    match = _UPLOAD_ID.fullmatch(upload_id)
    return match[1] or "" if match is not None else ""
