"""Props are drawn at the right places, leave the other pixels unchanged, and are reproducible by seed."""

import numpy as np
import pytest

from rac_unet.synthesis.props.placing import PROPS, choose_props, draw_props
from rac_unet.synthesis.toys.face import draw_face
from tests.refusals import refused

WORN = ("glasses", "hat", "headscarf")
EYES, NOSE_TIP, MOUTH = slice(36, 48), slice(30, 31), slice(48, 68)


@pytest.fixture(scope="module")
def face():
    drawn = draw_face(3, "neutral", 1, 128)
    return drawn.image, drawn.points


def covered(layer, points, which):
    x, y = np.clip(np.rint(points[which]).astype(int), 0, 127).T
    return layer.cover[y, x]


@pytest.mark.parametrize("kind", PROPS)
def test_a_prop_is_visible_and_the_other_pixels_are_unchanged(face, kind):
    image, points = face
    for seed in range(4):
        (layer,) = draw_props(image, points, seed, (kind,))
        assert layer.cover.shape == layer.shade.shape == (128, 128) and layer.colour.shape == (128, 128, 3)
        assert layer.cover.min() >= 0 and layer.cover.max() <= 1 and 0.3 < layer.shade.min() <= layer.shade.max() <= 1
        assert layer.colour.min() >= 0 and layer.colour.max() <= 255
        assert 0.003 < (layer.cover > 0.5).mean() < 0.75, f"seed {seed}"
        shown = layer.lay_over(image)
        apart = (layer.cover == 0) & (layer.shade == 1)
        np.testing.assert_array_equal(shown[apart], image[apart])
        only = layer.cover == 1
        np.testing.assert_array_equal(shown[only], np.rint(layer.colour[only]).astype(np.uint8))


def test_worn_props_are_at_their_places(face):
    image, points = face
    for seed in range(6):
        glasses, hat, scarf = (draw_props(image, points, seed, (kind,))[0] for kind in WORN)
        assert covered(glasses, points, MOUTH).max() == 0
        assert glasses.cover[int(points[EYES, 1].mean())].max() > 0.5  # rims, at least
        assert hat.cover[2, 50:78].min() > 0.5 and covered(hat, points, slice(27, 68)).max() < 0.5
        assert covered(scarf, points, NOSE_TIP).max() == covered(scarf, points, EYES).max() == 0
        assert scarf.cover[int(points[36, 1])].max() > 0.9  # next to the face
    dark = [covered(draw_props(image, points, seed, ("glasses",))[0], points, EYES).mean() > 0.7 for seed in range(40)]
    assert 8 < sum(dark) < 32  # half of them are sunglasses


def test_held_props_are_in_front_of_the_lower_face(face):
    image, points = face
    lower = int(points[30, 1])
    for kind in PROPS[len(WORN) :]:
        cover = np.mean([draw_props(image, points, seed, (kind,))[0].cover for seed in range(8)], axis=0)
        assert cover[lower:].mean() > 3 * cover[:lower].mean() and cover[lower:].max() > 0.3, kind


def test_same_seed_same_bytes_for_every_expression(face):
    image, points = face
    moved = points.copy()
    moved[17:27] -= 5
    moved[MOUTH] += 6
    for seed in range(6):
        first, again, other = (draw_props(image, where, seed) for where in (points, points, moved))
        assert len(first) == len(choose_props(seed))
        for a, b, c in zip(first, again, other, strict=True):
            for name in ("colour", "cover", "shade"):
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
                np.testing.assert_array_equal(getattr(a, name), getattr(c, name))
    first, other = (draw_props(image, points, seed, ("hand",))[0].cover for seed in (1, 2))
    assert (first != other).any()


def test_every_kind_is_chosen_and_some_faces_get_a_worn_and_a_held_prop():
    chosen = [choose_props(seed) for seed in range(1500)]
    assert {kind for kinds in chosen for kind in kinds} == set(PROPS)
    assert {len(kinds) for kinds in chosen} == {1, 2, 3}
    both = sum(kinds[0] in WORN and kinds[-1] not in WORN for kinds in chosen) / 1500
    assert abs(both - 0.84 * 0.22) < 0.04 and chosen[:5] == [choose_props(seed) for seed in range(5)]


def test_a_black_and_white_photo_gets_grey_props(face):
    image, points = face
    grey = np.repeat(image[..., 1:2], 3, 2)
    for kind in PROPS:
        for seed in range(3):
            (layer,) = draw_props(grey, points, seed, (kind,))
            assert np.ptp(layer.lay_over(grey).astype(int), axis=2).max() <= 2, kind


def test_any_finite_points_are_accepted_and_a_tiny_face_gets_no_props(face):
    image, points = face
    rng = np.random.default_rng(0)
    odd = [
        np.zeros((68, 2)),
        np.full((68, 2), 64.0),
        points * [1, 0],
        points[::-1],
        points * [0.02, 1] + [60, 0],
        points * [1, -1] + [0, 128],
        rng.uniform(-500, 500, (68, 2)),
        rng.uniform(-1e6, 1e6, (68, 2)),
        points * 1e4,
        points + 5000,
    ]
    for number, strange in enumerate(odd):
        for kind in PROPS:
            for layer in draw_props(image, strange, number, (kind,)):
                assert np.isfinite(layer.colour).all() and np.isfinite(layer.shade).all()
                assert layer.cover.min() >= 0 and layer.cover.max() <= 1
    assert draw_props(image, 64 + (points - 64) * 0.05, 0) == []


def test_unknown_kinds_are_refused_by_name(face):
    with refused("unknown_name", "monocle", *PROPS):
        draw_props(*face, 0, ("monocle",))
