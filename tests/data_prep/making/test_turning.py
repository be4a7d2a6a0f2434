"""The direction along which generated heads turn is found in latents where it is known."""

import numpy as np

from data_prep.making.turning import find_turning, head_yaw, load_turning


def test_the_direction_is_found_and_other_things_stay():
    rng = np.random.default_rng(0)
    # Latents change along `pose` with the yaw; everything else is independent of it.
    pose = rng.normal(size=8)
    yaws = rng.normal(0.05, 0.2, 20_000)
    latents = (yaws - 0.05)[:, None] * pose + rng.normal(0, 0.3, (len(yaws), 8))
    turning = find_turning(latents, yaws)
    np.testing.assert_allclose(turning.direction * (turning.reading @ pose), pose, atol=0.15)
    np.testing.assert_allclose(turning.reading @ turning.direction, 1)
    turned = turning.turn(latents[:5], np.full(5, 0.4))
    np.testing.assert_allclose(turned @ turning.reading + turning.straight, 0.4)
    np.testing.assert_allclose(turning.turn(turned, np.full(5, 0.4)), turned)


def test_the_shipped_direction_is_read_as_saved(tmp_path):
    shipped = load_turning()
    assert shipped.reading.shape == shipped.direction.shape == (512,)
    np.testing.assert_allclose(shipped.reading @ shipped.direction, 1, rtol=1e-4)
    shipped.save(tmp_path / "turning.npy")
    again = load_turning(tmp_path / "turning.npy")
    np.testing.assert_array_equal(again.reading, shipped.reading)
    assert again.straight == shipped.straight


def test_yaw_is_the_nose_between_the_eyes():
    points = np.zeros((68, 2))
    points[36:42, 0], points[42:48, 0], points[30, 0] = 40, 60, 50
    assert head_yaw(points) == 0
    points[30, 0] = 60
    assert head_yaw(points) == 0.5
    assert head_yaw(points * 3) == 0.5
