"""Constructors of the faults of the family upload. `make reference` writes this module."""

from __future__ import annotations

from typing import Literal

from brokenreg.client.faults.fault import Fault, with_parameters


@with_parameters
def upload_lost(*, step: int = 2, once: bool = False) -> Fault:
    """Loses an upload session: responds with 404 (code BLOB_UPLOAD_UNKNOWN) from request `step` on.

    The POST that starts the session is request 1. So request 2 is the first PATCH, or the PUT of a client
    that sends the blob in one piece. A request that gets a 401 does not count. With `once`, only that request
    fails and the next one finds the session again, as behind a load balancer. To respond to the PUT with 401
    or 500, use `error` with `match.method`.

    The default endpoint is `upload`.

    Parameters:

    - `step`: the request at which the session is lost; the POST is request 1
    - `once`: whether only that request fails
    """
    return Fault(type="upload-lost")


@with_parameters
def upload_location(
    *,
    form: Literal[
        "absolute",
        "relative",
        "query",
        "foreign",
        "other-scheme",
        "other-host",
        "no-port",
        "missing",
        "garbage",
    ] = "relative",
) -> Fault:
    """Sends the Location of an upload session in a form that clients often handle incorrectly.

    This changes the Location in responses to POST, PATCH and GET, and in a 416. The usual Location is an
    absolute path. `form` selects what is sent instead:

    - `absolute`: a URL with a host
    - `relative`: a reference relative to the path of the request (RFC 3986, section 4.2)
    - `query`: a path with a state in its query; the session is not found without it
    - `foreign`: a URL at the second origin, which accepts the upload and records credentials that arrive
      there
    - `other-scheme`, `other-host`, `no-port`: a URL with the scheme, the host or the port that a registry
      behind a proxy sends if it does not know its own address
    - `missing`: no Location
    - `garbage`: something that is not a URL

    The default endpoint is `upload`.

    Parameters:

    - `form`: form of the Location
    """
    return Fault(type="upload-location")


@with_parameters
def upload_range(
    *, form: Literal["refuse", "stale", "behind", "ahead", "absent"] = "refuse", by: int | str = 1
) -> Fault:
    """Reports a wrong number of uploaded bytes, in Range or with a 416.

    `form` selects what is wrong:

    - `refuse`: 416 to a PATCH or PUT, with a correct Range; the body is not stored
    - `stale`: like `refuse`, but Range is `by` bytes too low
    - `behind`, `ahead`: Range in the response to a PATCH or GET is `by` bytes too low or too high
    - `absent`: no Range in the response to a PATCH or GET

    The default endpoint is `upload`.

    Parameters:

    - `form`: what is wrong
    - `by`: number of bytes, for `stale`, `behind` and `ahead`
    """
    return Fault(type="upload-range")


@with_parameters
def mount_refused(*, status: int | Literal[202] = 202) -> Fault:
    """Refuses to mount a blob from another repository, although the blob exists.

    With `status` 202, an upload starts instead, as the specification allows. Any other status is an error.

    The default endpoint is `upload`.

    Parameters:

    - `status`: status of the response to a mount
    """
    return Fault(type="mount-refused")


@with_parameters
def too_large(*, limit: int | str = 1048576, tell: bool = False, least: int | str | None = None) -> Fault:
    """Responds with 413 to a request whose body has more than `limit` bytes.

    Nothing is stored. The response is sent immediately if Content-Length is too large, otherwise after
    `limit` bytes. `tell` announces the limit as OCI-Chunk-Max-Length when an upload starts. `least` announces
    OCI-Chunk-Min-Length, and refuses a smaller PATCH with 400 (code SIZE_INVALID). Only the last chunk, in
    the PUT, may be smaller (distribution-spec, "Pushing a blob in chunks").

    The default endpoint is `upload`.

    Parameters:

    - `limit`: maximum size of a body, in bytes
    - `tell`: whether the limit is announced when an upload starts
    - `least`: minimum size of a PATCH, in bytes; by default none
    """
    return Fault(type="too-large")


@with_parameters
def strict(
    *, json_only: bool = True, media_types: bool = True, blobs: bool = True, mounts: bool = True
) -> Fault:
    """Refuses pushes that other registries refuse, although brokenreg accepts them.

    - A manifest that is not a JSON object: 400 (code MANIFEST_INVALID)
    - A manifest whose Content-Type is not one of Docker's or OCI's for manifests and indexes, or is not that
      in `mediaType`: 400 (code MANIFEST_INVALID)
    - A manifest whose blobs, or an index whose manifests, are not in the repository: 404 (code
      MANIFEST_BLOB_UNKNOWN)
    - A mount from another repository: an upload starts instead

    To accept one of these, set its parameter to false.

    The default endpoint is `any`.

    Parameters:

    - `json_only`: whether manifests that are not JSON objects are refused
    - `media_types`: whether manifests of unknown or contradictory media types are refused
    - `blobs`: whether manifests whose blobs or manifests are missing are refused
    - `mounts`: whether mounts from other repositories are refused
    """
    return Fault(type="strict")
