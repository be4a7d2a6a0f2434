"""The discriminators and their hinge losses, against values by hand and trained to separate two textures."""

import keras
import numpy as np
import tensorflow as tf

from rac_unet.objectives.adversarial import (
    SpectralConv2D,
    build_discriminator,
    build_face_discriminator,
    composed,
    discriminator_hinge,
    labelled_scores,
    painter_hinge,
)


def test_hinge_by_hand_counts_only_painted_patches():
    occlusion = np.zeros((1, 4, 4, 1), np.float32)
    occlusion[0, :2, :2] = 1  # one whole cell of four
    occlusion[0, 2, 2] = 0.3  # a quarter of another
    real = tf.constant([[[0.5, 9], [9, 2.0]]])[..., None]
    painted = tf.constant([[[-0.5, 9], [9, 1.0]]])[..., None]
    np.testing.assert_allclose(painter_hinge(painted, occlusion), [(0.5 - 0.25 * 1.0) / 1.25], rtol=1e-6)
    np.testing.assert_allclose(
        discriminator_hinge(real, painted, occlusion), [(0.5 + 0.5 + 0.25 * (0 + 2)) / 1.25], rtol=1e-6
    )
    assert painter_hinge(painted, np.zeros_like(occlusion)).numpy() == [0]


def test_real_faces_with_a_wrong_label_share_the_weight_of_painted_ones():
    occlusion = np.ones((1, 4, 4, 1), np.float32)
    real, painted, wrong = (tf.fill((1, 2, 2, 1), value) for value in (0.5, -0.5, 2.0))
    loss = discriminator_hinge(real, painted, occlusion, wrong)
    np.testing.assert_allclose(loss, [0.5 + (0.5 + 3.0) / 2], rtol=1e-6)


def test_a_single_score_counts_fully_if_anything_is_hidden():
    occlusion = np.zeros((2, 4, 4, 1), np.float32)
    occlusion[0, 0, 0] = 0.2
    scores = tf.fill((2, 1, 1, 1), 3.0)
    np.testing.assert_array_equal(painter_hinge(scores, occlusion), [-3, 0])


def test_the_score_of_a_label_is_added():
    scores = tf.constant([[10.0, 1, 2, 3, 4, 5, 6, 7]] * 3)[:, None, None]
    label = np.zeros((3, 7), np.float32)
    label[0, 2], label[1, :2] = 1, (0.25, 0.75)
    np.testing.assert_allclose(labelled_scores(scores, label)[:, 0, 0, 0], [13, 10 + 0.25 + 1.5, 10])
    assert labelled_scores(scores[..., :1], None).shape == (3, 1, 1, 1)


def test_the_face_discriminator_sees_only_the_lower_face():
    model = build_face_discriminator(32, filters=4, conditional=True)
    image = tf.random.stateless_uniform((1, 32, 32, 3), (1, 2))
    occlusion = tf.ones((1, 32, 32, 1))
    other_eyes = tf.concat([1 - image[:, :12], image[:, 12:]], axis=1)
    other_chin = tf.concat([image[:, :26], 1 - image[:, 26:]], axis=1)
    scores = [model({"image": one, "occlusion": occlusion}).numpy() for one in (image, other_eyes, other_chin)]
    assert scores[0].shape == (1, 1, 1, 8)
    np.testing.assert_array_equal(scores[0], scores[1])
    assert (scores[0] != scores[2]).any()


def test_composed_keeps_the_truth_where_nothing_is_hidden():
    occlusion = np.zeros((1, 2, 2, 1), np.float32)
    occlusion[0, 0, 0] = 0.1
    made = composed(
        {"occlusion": occlusion, "unmasked_image": tf.ones((1, 2, 2, 3))}, {"inpainted_image": tf.zeros((1, 2, 2, 3))}
    ).numpy()
    assert (made[0, 0, 0] == 0).all() and made.sum() == 9


def test_the_kernel_is_divided_by_its_largest_singular_value():
    keras.utils.set_random_seed(0)
    layer = SpectralConv2D(5, 1, use_bias=True)
    picture = tf.random.normal((1, 8, 8, 3))
    layer.build(picture.shape)
    layer.kernel.assign(10 * layer.kernel)
    for _ in range(60):
        made = layer(picture, training=True)
    kernel = layer.kernel.numpy().reshape(3, 5)
    wanted = picture.numpy().reshape(-1, 3) @ (kernel / np.linalg.svd(kernel)[1][0])
    np.testing.assert_allclose(made.numpy().reshape(-1, 5), wanted, atol=1e-4)
    before = layer.direction.numpy()
    layer(picture)  # inference changes no variable
    np.testing.assert_array_equal(layer.direction.numpy(), before)


def test_it_learns_to_separate_noise_from_smooth_images():
    keras.utils.set_random_seed(0)
    model = build_discriminator(32, filters=4)
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(model.trainable_variables)
    occlusion = tf.ones((4, 32, 32, 1))
    smooth, noise = tf.fill((4, 32, 32, 3), 0.5), tf.random.stateless_uniform((4, 32, 32, 3), (1, 2))
    assert model({"image": smooth, "occlusion": occlusion}).shape == (4, 4, 4, 1)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            scores = [model({"image": image, "occlusion": occlusion}, training=True) for image in (noise, smooth)]
            loss = tf.reduce_mean(discriminator_hinge(*scores, occlusion))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    losses = [float(step()) for _ in range(160)]
    # The loss has converged to within 0.1 by then, whatever the rounding; without learning it stays at 2.
    assert losses[0] > 1.5 and min(losses[-20:]) < 1
