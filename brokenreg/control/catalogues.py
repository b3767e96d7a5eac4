"""`/v1/faults`, `/v1/images` and `/v1/profiles`: the catalogues."""

from __future__ import annotations

from quart import Response

from brokenreg.control.problems import APIError
from brokenreg.control.routes import APIRequest, Route, json_list, json_response
from brokenreg.faults.catalogue import CATALOGUE as FAULTS
from brokenreg.images.kind_descriptions import ImageDescription, describe_image, image_descriptions
from brokenreg.rules.fault_descriptions import FaultDescription, describe
from brokenreg.rules.profiles import Profile, profile_document, profile_names, profile_of
from brokenreg.runtime.runtime import Runtime
from brokenreg.wording import nearest


async def list_faults(runtime: Runtime, request: APIRequest) -> Response:
    """List all faults, with their parameters and examples."""
    del runtime, request
    return await json_list(describe(kind) for kind in FAULTS.values())


async def get_fault(runtime: Runtime, request: APIRequest) -> Response:
    """Return a fault with its parameters and examples."""
    del runtime
    name = request.text("name")
    if name not in FAULTS:
        raise APIError(404, f'no fault "{name[:100]}": {nearest(name, FAULTS)}')
    return json_response(describe(FAULTS[name]))


async def list_images(runtime: Runtime, request: APIRequest) -> Response:
    """List all kinds of odd images, with their parameters."""
    del runtime, request
    return await json_list(image_descriptions())


async def get_image(runtime: Runtime, request: APIRequest) -> Response:
    """Return a kind of odd image with its parameters."""
    from brokenreg.images.catalogue import CATALOGUE as IMAGES

    del runtime
    name = request.text("name")
    if name not in IMAGES:
        raise APIError(404, f'no kind of image "{name[:100]}": {nearest(name, IMAGES)}')
    return json_response(describe_image(IMAGES[name]))


async def list_profiles(runtime: Runtime, request: APIRequest) -> Response:
    """List all profiles: scenarios that show how real registries fail."""
    del runtime, request
    return await json_list(profile_document(profile_of(name)) for name in profile_names())


async def get_profile(runtime: Runtime, request: APIRequest) -> Response:
    """Return a profile with its facts, sources and rules."""
    del runtime
    name = request.text("name")
    if name not in profile_names():
        raise APIError(404, f'no profile "{name[:100]}": {nearest(name, profile_names())}')
    return json_response(profile_document(profile_of(name)))


ROUTES = (
    Route("GET", "/v1/faults", list_faults, query=("namespace",), answer=list[FaultDescription]),
    Route(
        "GET",
        "/v1/faults/<name>",
        get_fault,
        query=("namespace",),
        answer=FaultDescription,
        problems=(404,),
        parameters={"name": "name of the fault, for example `truncate`"},
    ),
    Route("GET", "/v1/images", list_images, query=("namespace",), answer=list[ImageDescription]),
    Route(
        "GET",
        "/v1/images/<name>",
        get_image,
        query=("namespace",),
        answer=ImageDescription,
        problems=(404,),
        parameters={"name": "name of the kind, for example `index-empty`"},
    ),
    Route("GET", "/v1/profiles", list_profiles, query=("namespace",), answer=list[Profile]),
    Route(
        "GET",
        "/v1/profiles/<name>",
        get_profile,
        query=("namespace",),
        answer=Profile,
        problems=(404,),
        parameters={"name": "name of the profile, for example `ghcr-hangs`"},
    ),
)
