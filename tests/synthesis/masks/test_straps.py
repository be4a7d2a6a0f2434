"""Straps and rims: every kind is drawn, the occlusion map covers it, and the edges of masks vary."""

import numpy as np
import pytest

from rac_unet.synthesis.masks import painting
from rac_unet.synthesis.masks.geometry import fit_head
from rac_unet.synthesis.masks.light import measure_light
from rac_unet.synthesis.masks.raster import Ribbon, draw_ribbons
from rac_unet.synthesis.masks.rims import finish_rim
from rac_unet.synthesis.masks.shapes import CUTS, choose_wear, mask_surface
from rac_unet.synthesis.masks.sheet import Sheet, hsv
from rac_unet.synthesis.masks.straps import choose_straps, make_straps, strap_ribbons
from rac_unet.synthesis.masks.textures import cloth_plain
from tests.synthesis.masks.test_painting import synthetic_face

KINDS = ("cord", "double", "gathered", "twisted", "crossed", "ties", "broad")


def straps_of(kind, seed=0, held="ears"):
    rng = np.random.default_rng(seed)
    surface = mask_surface(CUTS["fitted"], choose_wear(rng, "fitted", narrow=kind == "broad"), rng)
    return surface, make_straps(kind, held, surface, 0.03, rng)


@pytest.mark.parametrize("kind", KINDS)
def test_straps_leave_the_mask_on_both_sides_and_reach_the_ears(kind):
    for seed in range(8):
        surface, straps = straps_of(kind, seed)
        assert {np.sign(strap.path[0, 0]) for strap in straps} == {-1, 1}
        for strap in straps:
            assert len(strap.path) == len(strap.width) and (strap.width > 0).all()
            if not strap.knot:
                gap = np.linalg.norm(surface - strap.path[0], axis=-1).min()
                assert gap < 0.2, "it starts at the mask"
        longest = max(abs(strap.path[-1, 0]) for strap in straps if not strap.knot)
        assert longest > 0.9


def test_broad_loops_are_cut_from_the_cloth_and_taper():
    _, straps = straps_of("broad")
    assert all(strap.broad and strap.width[0] > 3 * strap.width[-1] for strap in straps)


def test_bandanas_have_no_straps():
    assert choose_straps(np.random.default_rng(0), CUTS["gaiter"].straps) == "none"
    assert straps_of("none", held="none")[1] == []


def test_straps_on_the_far_side_are_not_drawn():
    image, points = synthetic_face(yaw=50)
    pose = fit_head(points)
    _, straps = straps_of("cord")
    rng = np.random.default_rng(0)
    cloth = cloth_plain(rng, Sheet(32, 42, 1.5))
    ribbons = strap_ribbons(straps, cloth, pose, measure_light(image, pose), np.ones(3), rng)
    near = [strap for strap in straps if strap.path[0, 0] < 0]
    assert len(ribbons) == len(near) < len(straps)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("yaw", [0, 40])
def test_the_occlusion_map_covers_a_strap(kind, yaw, monkeypatch):
    image, points = synthetic_face(yaw=yaw)
    kinds = iter(("none", kind))
    monkeypatch.setattr(painting, "choose_straps", lambda rng, held: (rng.random(), next(kinds))[1])
    monkeypatch.setattr(painting, "make_straps", lambda *args: make_straps(*args[:4], np.random.default_rng(1)))
    monkeypatch.setattr(painting, "strap_ribbons", lambda *args: strap_ribbons(*args[:5], np.random.default_rng(1)))
    wear = choose_wear(np.random.default_rng(1), "fitted")
    monkeypatch.setattr(painting, "choose_wear", lambda *args, **options: wear)
    bare, held = (painting.paint_mask(image, points, "cloth_plain", 4) for _ in range(2))
    changed = (held.image != image).any(axis=2)
    assert (held.occlusion[changed] > 0).all()
    strap = (held.occlusion > 200) & (bare.occlusion == 0)
    assert strap.sum() > 12
    edge = (held.occlusion > 0) & (held.occlusion < 200) & (bare.occlusion == 0)
    assert edge.any(), "its soft edge too"


def test_ribbons_cover_their_own_area_and_keep_middle_and_rim_apart():
    path = np.array([[10.0, 20.0], [20.0, 20.0], [30.0, 20.0]])
    red, blue = np.array([200.0, 0, 0]), np.array([0.0, 0, 200.0])
    colour, cover = draw_ribbons([Ribbon(path, np.array([8.0, 8.0, 4.0]), red, blue)], (40, 44), 0.4)
    # 10 px at 8 wide, then 10 px from 8 to 4 wide; OpenCV's lines add half a pixel on each side.
    assert 130 < cover.sum() < 180
    assert cover[20, 20] > 0.95 and cover[20, 5] == 0 and cover[32, 20] == 0
    np.testing.assert_array_equal(colour[20, 20], red)
    np.testing.assert_array_equal(colour[24, 14], blue)


def test_straps_vary_in_width_and_colour():
    image, points = synthetic_face()
    pose = fit_head(points)
    light = measure_light(image, pose)
    widths, hues = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        _, straps = straps_of(choose_straps(rng, "ears"), seed)
        cloth = cloth_plain(rng, Sheet(24, 32, 1.5))
        for ribbon in strap_ribbons(straps, cloth, pose, light, np.ones(3), rng)[:1]:
            widths.append(ribbon.width.mean())
            hues.append(int(np.argmax(ribbon.colour)))
    low, high = np.percentile(widths, [5, 95])
    assert high > 3 * low
    assert np.bincount(hues, minlength=3).min() >= 5


def test_rims_vary_and_leave_the_middle_of_the_cloth():
    sheet = Sheet(60, 80, 1.5)
    changed = []
    for seed in range(60):
        cloth = cloth_plain(np.random.default_rng(seed), sheet, hsv(0.6, 0.5, 0.5))
        rim, again = (finish_rim(np.random.default_rng(seed), sheet, cloth, True) for _ in range(2))
        np.testing.assert_array_equal(rim.colour, again.colour)
        np.testing.assert_array_equal(rim.relief, again.relief)
        assert rim.colour.min() >= 0 and rim.colour.max() <= 1 and np.isfinite(rim.relief).all()
        np.testing.assert_array_equal(rim.colour[20:40, 30:50], cloth.colour[20:40, 30:50])
        changed.append(
            np.abs(rim.colour - cloth.colour)[:5].max() > 0.1 or np.abs(rim.relief - cloth.relief).max() > 0.05
        )
    assert 0.5 < np.mean(changed) < 0.95


def test_the_cloth_colours_the_skin_next_to_some_masks_inside_the_map():
    image, points = synthetic_face()
    light = measure_light(image, fit_head(points))
    cover = np.zeros((60, 60), np.float32)
    cover[20:40, 20:40] = 1
    tints = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        args = np.zeros((60, 60, 3), np.float32), cover, 41.0, light
        colour, soft = painting._cast_shadow(*args, np.array([0.0, 0.9, 0.0]), rng)
        shadow = (soft > 0.05) & (cover == 0)
        assert shadow.any() and (colour[soft == 0] == 0).all()
        red, green, _ = (colour[shadow] / soft[shadow][:, None]).mean(0)
        tints.append(green / red)
    skin = light.skin[1] / light.skin[0]
    np.testing.assert_allclose(min(tints), skin, rtol=1e-3)
    assert 0.2 < np.mean(np.array(tints) > 1.3 * skin) < 0.7


def test_some_masks_are_too_small_and_end_on_the_cheeks():
    narrow = [choose_wear(np.random.default_rng(seed), "pleated").loose < -0.02 for seed in range(200)]
    assert 0.1 < np.mean(narrow) < 0.4
    assert choose_wear(np.random.default_rng(0), "fitted", narrow=True).loose < 0
