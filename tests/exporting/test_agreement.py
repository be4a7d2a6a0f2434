"""Two networks are compared by names, shapes and values; the figures equal values computed by hand."""

import numpy as np
import pytest

from rac_unet.core.emotions import EMOTIONS
from rac_unet.exporting.agreement import MAX_PSNR, measure, random_batches, real_batches
from rac_unet.exporting.formats import FORMATS
from rac_unet.exporting.write_and_verify import check_agreement
from tests.refusals import refused

SHAPES = {"masked_image": (None, 4, 4, 3), "emotion": (None, 7)}


def outputs(count=1, value=0.0, **others):
    return {"inpainted_image": np.full((count, 4, 4, 3), value, np.float32), **others}


def test_the_figures_are_those_of_the_painted_picture():
    emotion = np.full((1, 7), 0.1, np.float32)
    expected = [outputs(value=0.5, visible_emotion=emotion), outputs(value=0.5, visible_emotion=emotion)]
    received = [outputs(value=0.6, visible_emotion=emotion), outputs(value=0.51, visible_emotion=emotion + 0.3)]
    found = measure(expected, received)
    # 0.1 is 20 dB and 0.01 is 40; their mean, not that of the squares.
    assert found.psnr == pytest.approx(30, abs=1e-3)
    assert found.largest == pytest.approx(0.1) and found.mean == pytest.approx(0.055) and found.pictures == 2
    assert found.largest_of["visible_emotion"] == pytest.approx(0.3) and set(found.psnr_of) == {"inpainted_image"}
    assert found.scale == 1


def test_equal_pictures_and_those_beyond_white():
    bright = [outputs(value=3.0)]
    assert measure(bright, bright).psnr == MAX_PSNR
    beyond = measure(bright, [outputs(value=2.0)])
    # Clipped for display, both are white.
    assert (beyond.psnr, beyond.largest, beyond.scale) == (MAX_PSNR, 1.0, 3.0)


def test_other_names_shapes_and_values_are_refused():
    wanted = [outputs()]
    for found, named in (
        ({"output_0": wanted[0]["inpainted_image"]}, ["output_0", "inpainted_image"]),
        ({}, ["inpainted_image"]),
        ({"inpainted_image": np.zeros((4, 4, 3), np.float32)}, ["(4, 4, 3)", "(1, 4, 4, 3)"]),
        ({"inpainted_image": np.zeros((1, 4, 4, 3), np.float16)}, ["inpainted_image", "float16"]),
        (outputs(value=np.nan), ["inpainted_image", "not numbers"]),
    ):
        with refused("failed_check", *named):
            measure(wanted, [found])


def test_requirements_of_formats():
    exact, coarse = FORMATS["onnx"], FORMATS["litert_int8"]
    near, far, lost = (measure([outputs(value=0.5)], [outputs(value=v)]) for v in (0.50001, 0.51, 0.7))
    check_agreement(exact, near)
    with refused("failed_check", "0.01", "0.0001"):
        check_agreement(exact, far, allow_loss=True)
    check_agreement(coarse, far)
    with refused("failed_check", "inpainted_image", "14.0 dB", "30", "--allow_loss"):
        check_agreement(coarse, lost)
    check_agreement(coarse, lost, allow_loss=True)
    # A wrong map fails like a wrong image.
    map_lost = measure([outputs(occlusion=np.zeros((1, 4, 4, 1)))], [outputs(occlusion=np.ones((1, 4, 4, 1)))])
    with refused("failed_check", "occlusion", "0.0 dB"):
        check_agreement(coarse, map_lost)


def test_random_batches_are_the_same_pictures_in_batches_or_one_by_one():
    together, singles = random_batches(SHAPES), random_batches(SHAPES, one_by_one=True)
    assert [len(batch["emotion"]) for batch in together] == [1, 3] and len(singles) == 4
    for name in SHAPES:
        joined = [np.concatenate([batch[name] for batch in batches]) for batches in (together, singles)]
        np.testing.assert_array_equal(*joined)
    assert [EMOTIONS[row] for row in joined[0][:3].argmax(1)] == ["happiness", "surprise", "anger"]
    assert joined[0][3].sum() == 0
    assert set(random_batches({"masked_image": (None, 4, 4, 3)})[0]) == {"masked_image"}


def test_real_batches_contain_every_picture():
    pictures = {"masked_image": np.random.default_rng(0).random((37, 4, 4, 3)), "emotion": np.eye(7)[np.arange(37) % 7]}
    for one_by_one, sizes in ((False, [16, 16, 5]), (True, [1] * 37)):
        batches = real_batches(pictures, SHAPES, one_by_one)
        assert [len(batch["emotion"]) for batch in batches] == sizes
        for name in SHAPES:
            np.testing.assert_array_equal(np.concatenate([batch[name] for batch in batches]), pictures[name])
