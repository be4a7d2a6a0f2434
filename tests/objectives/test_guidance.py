"""Requested emotions, donors and the losses of readers, against values by hand."""

import numpy as np
import pytest
import tensorflow as tf

from rac_unet.core.emotions import EMOTIONS
from rac_unet.objectives.guidance import (
    GAIN_LOG,
    SHIFT,
    is_masked,
    low_pass_colour,
    neighbours,
    other_emotion,
    reader_crops,
    reader_loss,
    transplanted,
)

ONES = np.ones(7, np.float32)


def one_hot(*places):
    return np.eye(7, dtype=np.float32)[list(places)]


def test_another_emotion_is_never_the_pictures_own_and_as_frequent_as_its_weight():
    draws = tf.constant(np.linspace(0, 1, 6000, endpoint=False), tf.float32)
    weights = np.array([1, 2, 1, 0, 1, 1, 1], np.float32)
    drawn = other_emotion(np.repeat(one_hot(0), 6000, axis=0), draws, weights).numpy()
    assert (drawn.sum(axis=1) == 1).all()
    np.testing.assert_allclose(drawn.mean(axis=0), np.array([0, 2, 1, 0, 1, 1, 1]) / 6, atol=1e-3)
    # Both ends of the range, for each emotion; the larger share of a blended label is the picture's own.
    for own in range(7):
        for draw in (0.0, np.nextafter(np.float32(1), np.float32(0))):
            found = other_emotion(one_hot(own), tf.constant([draw], tf.float32), ONES).numpy()
            assert found.sum() == 1 and found[0, own] == 0
    blended = 0.6 * one_hot(2) + 0.4 * one_hot(3)
    only_those = np.array([0, 0, 1, 1, 0, 0, 0], np.float32)
    np.testing.assert_array_equal(other_emotion(blended, tf.constant([0.9]), only_those), one_hot(3))


def test_if_no_other_emotion_has_a_weight_none_is_requested():
    only_fear = np.array([0, 1, 0, 0, 0, 0, 0], np.float32)
    both = other_emotion(one_hot(1, 2), tf.constant([0.5, 0.5]), only_fear).numpy()
    np.testing.assert_array_equal(both, [np.zeros(7), one_hot(1)[0]])


def test_a_reader_stops_pushing_below_the_margin():
    logits = np.log(np.array([[0.5, 0.5, 0, 0, 0, 0, 0], [0.9, 0.1, 0, 0, 0, 0, 0]]) + 1e-12).astype(np.float32)
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = reader_loss(logits, one_hot(0, 0), margin=0.3)
    np.testing.assert_allclose(loss, [np.log(2) - 0.3, 0], atol=1e-5)
    push = tape.gradient(loss, logits).numpy()
    assert push[0, 0] < -0.4 and (push[1] == 0).all()


def test_a_crop_of_the_same_size_is_the_picture_and_a_frame_is_a_part_of_it():
    image = tf.random.stateless_uniform((2, 16, 16, 3), (1, 2))
    np.testing.assert_allclose(reader_crops(image, 16, (1.0, 0.5, 0.5)), image, atol=1e-6)
    # A square of 8 pixels, 2 from the left and 4 from above.
    part = reader_crops(image, 8, (0.5, 0.375, 0.5))
    np.testing.assert_allclose(part, image[:, 4:12, 2:10], atol=1e-6)
    # Half as large: no pixel is skipped.
    striped = tf.tile(tf.constant([0.0, 1.0])[None, None, :, None], (1, 16, 8, 3))
    np.testing.assert_allclose(reader_crops(striped, 8, (1.0, 0.5, 0.5))[:, :, 1:-1], 0.5, atol=1e-5)


def test_random_numbers_move_blur_and_relight_crops():
    image = tf.random.stateless_uniform((1, 20, 20, 3), (3, 4), maxval=0.5)
    frame, still = (0.5, 0.5, 0.5), [0.5, 0.5, 0.5, 0.0, 0.5]

    def crop(**changed):
        draws = np.array([still], np.float32)
        for name, value in changed.items():
            draws[0, ("right", "down", "zoom", "blur", "gain").index(name)] = value
        return reader_crops(image, 10, frame, tf.constant(draws)).numpy()

    plain = crop()
    np.testing.assert_allclose(plain, image[:, 5:15, 5:15], atol=1e-6)
    # Half a pixel to the right: between neighbours.
    assert 2 * SHIFT * 0.5 * 20 == 1.0
    np.testing.assert_allclose(crop(right=1.0), (image[:, 5:15, 5:15] + image[:, 5:15, 6:16]) / 2, atol=1e-5)
    np.testing.assert_allclose(crop(down=1.0), (image[:, 5:15, 5:15] + image[:, 6:16, 5:15]) / 2, atol=1e-5)
    np.testing.assert_allclose(crop(gain=1.0), plain * np.exp(GAIN_LOG), atol=1e-5)
    assert crop(blur=1.0).std() < 0.8 * plain.std()
    assert np.abs(crop(zoom=1.0) - plain).max() > 0.05


def test_low_pass_colour_counts_a_tint_fully_and_detail_hardly():
    rng = np.random.default_rng(0)
    truth = rng.random((4, 32, 32, 3)).astype(np.float32)
    occlusion = np.zeros((4, 32, 32, 1), np.float32)
    occlusion[:3, 14:29, 5:26] = 0.4
    painted = rng.random((4, 32, 32, 3)).astype(np.float32)
    hidden = occlusion[..., 0] > 0
    painted[:2][hidden[:2]] = truth[:2][hidden[:2]]
    painted[0, ..., 1] += 0.3  # one of three channels
    stripes = np.where(np.arange(32) % 2, 0.2, -0.2)[None, :, None]
    painted[2] = truth[2] + stripes
    colour = low_pass_colour({"unmasked_image": truth, "occlusion": occlusion}, {"inpainted_image": painted}).numpy()
    np.testing.assert_allclose(colour[:2], [0.1, 0], atol=1e-5)
    assert 0 < colour[2] < 0.02  # 0.2 pixel by pixel
    assert colour[3] == 0  # nothing hidden


def test_neighbours_are_exchanged_and_the_last_of_an_odd_batch_stays():
    assert neighbours(tf.range(5)).numpy().tolist() == [1, 0, 3, 2, 4]


def test_a_transplant_has_the_donors_detail_in_the_light_of_the_picture():
    side, rng = 64, np.random.default_rng(0)
    detail = rng.choice([-0.1, 0.1], size=(2, side, side, 1)).astype(np.float32)
    own = np.float32([0.3, 0.4, 0.2]) + detail[:1]
    donor = np.float32([0.6, 0.5, 0.8]) + detail[1:]
    occlusion = np.zeros((1, side, side, 1), np.float32)
    occlusion[:, 24:, 8:56] = 1
    made = transplanted({"unmasked_image": tf.constant(own), "occlusion": tf.constant(occlusion)}, donor).numpy()[0]
    hidden = occlusion[0, ..., 0] > 0
    np.testing.assert_array_equal(made[~hidden], own[0][~hidden])
    # Far from the mask's edge: brightness and tint of the picture, detail of the donor.
    inside = made[36:60, 20:44]
    np.testing.assert_allclose(inside.mean(axis=(0, 1)), [0.3, 0.4, 0.2], atol=0.01)
    expected = np.float32([0.3, 0.4, 0.2]) + detail[1, 36:60, 20:44]
    assert np.abs(inside - expected).mean() < 0.03
    # At the edge the picture's own pixels continue.
    assert np.abs(made[24, 20:44] - own[0, 24, 20:44]).mean() < 0.2 * np.abs(donor[0, 24] - own[0, 24]).mean()


def test_a_reader_is_satisfied_by_the_requested_distribution():
    request = tf.constant([[0.5, 0.5, 0, 0, 0, 0, 0]], tf.float32)
    logits = tf.math.log(tf.constant([[0.4999, 0.4999, 1e-5, 1e-5, 1e-5, 1e-5, 1e-5]], tf.float32))
    np.testing.assert_allclose(reader_loss(logits, request, 0.0), 0, atol=1e-3)
    assert reader_loss(tf.math.log(tf.constant([[0.9, 0.05, 0.01, 0.01, 0.01, 0.01, 0.01]])), request, 0.1)[0] > 0.2


def test_a_face_without_a_mask_has_nothing_to_judge():
    occlusion = np.zeros((2, 4, 4, 1), np.float32)
    occlusion[1, 0, 0] = 0.1
    assert is_masked(occlusion).numpy().tolist() == [False, True]


@pytest.mark.slow
def test_guidance_compiles_with_xla():
    @tf.function(jit_compile=True)
    def both(image, draws):
        asked = other_emotion(one_hot(0, 1), draws[:, 0], ONES)
        with tf.GradientTape() as tape:
            tape.watch(image)
            crops = reader_crops(image, 6, (0.75, 0.5, 0.45), draws)
            logits = tf.reduce_mean(crops, axis=[1, 2, 3])[:, None] * tf.range(7.0)
            targets = {"unmasked_image": image[::-1], "occlusion": image[..., :1]}
            loss = reader_loss(logits, asked, 0.1) + low_pass_colour(targets, {"inpainted_image": image})
        return asked, tape.gradient(loss, image)

    image = tf.random.stateless_uniform((2, 16, 16, 3), (5, 6))
    asked, gradient = both(image, tf.constant([[0.1, 0.3, 0.2, 0.9, 0.5]] * 2))
    assert asked.shape == (2, len(EMOTIONS)) and np.isfinite(gradient).all() and np.abs(gradient).max() > 0
