"""Tags of fabricated images, and the errors for invalid ones."""

from __future__ import annotations

import pytest

from brokenreg.images.spec import ImageSpec, LayerRecipe, check_limit, parse_random_tag, spec_from
from brokenreg.oci.errors import OCIError


@pytest.mark.parametrize(
    ("tag", "spec"),
    [
        ("layers-3_size-1024", ImageSpec(3, 1024)),
        ("layers-1_size-0", ImageSpec(1, 0)),
        ("layers-0_size-10", ImageSpec(0, 10)),
        ("layers-00_size-007_seed-08", ImageSpec(0, 7, 8)),
        ("size-64kib_layers-127", ImageSpec(127, 65536)),
        ("layers-2_size-1.5KiB_seed-7", ImageSpec(2, 1536, 7)),
        ("layers-1_size-1_seed--9", ImageSpec(1, 1, -9)),
        ("seed-9223372036854775807_layers-1_size-1", ImageSpec(1, 1, 2**63 - 1)),
        ("seed--9223372036854775808_layers-1_size-1", ImageSpec(1, 1, -(2**63))),
    ],
)
def test_a_tag_gives_its_image(tag: str, spec: ImageSpec) -> None:
    assert parse_random_tag(tag) == spec


@pytest.mark.parametrize(
    ("tag", "named"),
    [
        ("size-10", "layers missing"),
        ("layers-1", "size missing"),
        ("seed-1", "layers and size missing"),
        ("layers-x_size-1", "layers"),
        ("layers-128_size-1", "layers"),
        ("layers--1_size-1", "layers"),
        ("layers-1_size-big", "size"),
        ("layers-1_size--1", "size"),
        ("layers-1_size-0.3", "size"),
        ("layers-1_size-1_seed-x", "seed"),
        ("layers-1_size-1_seed-9223372036854775808", "seed"),
        ("layers-1_layers-1_size-1", "layers"),
        ("layers-1_size-1_sede-1", "sede"),
        ("latest", "latest"),
    ],
)
def test_the_error_of_a_wrong_tag(tag: str, named: str) -> None:
    with pytest.raises(OCIError, match=named) as caught:
        parse_random_tag(tag)
    assert (caught.value.status, caught.value.code) == (400, "BAD_REQUEST")


def test_defaults_stand_in_for_what_is_not_given() -> None:
    assert spec_from({}, layers=3, size=5, salt="s") == ImageSpec(3, 5, 0, "s")
    assert spec_from({"layers": "1", "after": "7"}, layers=3, size=5) == ImageSpec(1, 5)


def test_the_limit_is_on_all_layers_together() -> None:
    check_limit(ImageSpec(4, 25), 100)
    with pytest.raises(OCIError, match="104 bytes") as caught:
        check_limit(ImageSpec(4, 26), 100)
    assert caught.value.status == 400


def test_canonical_strings_are_for_ever() -> None:
    spec = ImageSpec(2, 10, -3, "salt;layer=9")
    assert spec.canonical == "recipe=1;layers=2;size=10;seed=-3;salt=salt;layer=9"
    assert spec.recipe(2).canonical == "recipe=1;size=10;seed=-3;layer=2;salt=salt;layer=9"
    assert spec.recipes == (
        LayerRecipe(10, -3, 1, "salt;layer=9"),
        LayerRecipe(10, -3, 2, "salt;layer=9"),
    )
