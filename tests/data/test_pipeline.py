"""The pipeline: same pixels and order with every cache, continued at any step, both images changed alike."""

from dataclasses import fields, replace

import numpy as np
import pytest

from rac_unet.core.config import DataConfig
from rac_unet.core.emotions import EMOTIONS
from rac_unet.data import augmenting
from rac_unet.data import pairs as pairs_module
from rac_unet.data.draws import AUGMENTATION
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset, make_training_blocks, make_training_dataset
from tests.refusals import refused


@pytest.fixture(scope="module")
def train(toy_pairs):
    return pairs_module.read(toy_pairs).split("train")


def _batches(pairs, count, cache="memory", **options):
    changed = {field.name for field in fields(DataConfig)} & set(options)
    changes = DataConfig(**{name: options.pop(name) for name in changed})
    settings = {"batch_size": 4, "seed": 5, "epochs": 3, "changes": changes} | options
    dataset = make_training_dataset(pairs, Pictures(pairs, 64, cache), **settings)
    return [tuple({k: v.numpy() for k, v in part.items()} for part in batch) for batch in dataset.take(count)]


def _same(a, b):
    return all((x[k] == y[k]).all() for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True) for k in x)


def test_contract(train):
    inputs, targets = _batches(train, 1)[0]
    shapes = {name: array.shape for name, array in {**inputs, **targets}.items()}
    assert shapes == {
        "masked_image": (4, 64, 64, 3),
        "emotion": (4, 7),
        "unmasked_image": (4, 64, 64, 3),
        "occlusion": (4, 64, 64, 1),
    }
    assert (targets["emotion"] == inputs["emotion"]).all()
    for name, array in {**inputs, **targets}.items():
        assert array.dtype == np.float32 and array.min() >= 0 and array.max() <= 1, name
    assert (inputs["emotion"].sum(1) == 1).all()


def test_jitter_moves_both_pictures_alike_and_by_no_more_than_asked(train):
    plain, moved = _batches(train, 6, augment=False), _batches(train, 6, jitter=0.1)
    shifts = []
    for (_, targets), (inputs, new) in zip(plain, moved, strict=True):
        known = new["occlusion"][..., 0] == 0
        assert (inputs["masked_image"][known] == new["unmasked_image"][known]).all()
        for old, hidden in zip(targets["occlusion"], new["occlusion"], strict=True):
            centres = [np.argwhere(o[..., 0] > 0.5).mean(0) for o in (old, old[:, ::-1], hidden)]
            # A twentieth of the side, and what zoom and turn do to a point a quarter of the side from the middle.
            shifts.append(min(np.abs(centres[2] - c).max() for c in centres[:2]))
    assert 1 < max(shifts) < 64 * (0.05 + 0.25 * 0.25)
    assert _same(_batches(train, 2, jitter=0.1), _batches(train, 2, jitter=0.1))


def test_a_moved_mask_stays_as_large_as_it_was(train):
    pixels = np.zeros((64, 32, 32, 7), np.float32)
    pixels[..., :6] = 0.5
    pixels[:, 10:20, 8:24] = (1, 1, 1, 0.5, 0.5, 0.5, 1)
    # Zoom and turn none, shifts of any part of a pixel.
    spread = np.random.default_rng(0).uniform(-1, 1, (64, 4)).astype(np.float32)
    spread[:, :2] = 0
    masked, unmasked, occlusion = np.split(augmenting._jittered(pixels, spread, 0.1).numpy(), [3, 6], axis=-1)
    assert abs((occlusion > 0).sum((1, 2, 3)).mean() / 160 - 1) < 0.02
    assert (masked == unmasked)[(occlusion == 0)[..., 0]].all()


def test_mixup_blends_what_is_seen_with_the_neighbour(train):
    pixels = np.zeros((3, 2, 2, 7), np.float32)
    pixels[..., :6] = np.array([0.2, 0.6, 0.8], np.float32)[:, None, None, None]
    pixels[:, 0, :, :3], pixels[:, 0, :, 6:] = 1.0, 1.0  # the upper row wears a white mask
    labels = np.eye(7, dtype=np.float32)[[1, 4, 6]]
    draw = np.array([0.25, 0.6, 0.1], np.float32)  # the first by 0.25, the second not, the third has no neighbour
    mixed, emotion = (tensor.numpy() for tensor in augmenting._mixed(pixels, labels, draw, 0.5))
    np.testing.assert_allclose(mixed[0, ..., 3:6], 0.75 * 0.2 + 0.25 * 0.6, rtol=1e-6)
    assert (mixed[:, 0, :, :3] == 1).all() and (mixed[:, 1, :, :3] == mixed[:, 1, :, 3:6]).all()
    assert (mixed[1] == pixels[1]).all() and (emotion[1] == labels[1]).all()
    np.testing.assert_allclose(mixed[2], pixels[2], rtol=1e-6)
    np.testing.assert_allclose(emotion[0], 0.75 * labels[0] + 0.25 * labels[1], rtol=1e-6)


def test_recolouring_changes_the_cloth_alone_to_the_colour_drawn():
    pixels = np.zeros((4, 2, 2, 7), np.float32)
    pixels[..., 3:6] = pixels[..., :3] = (0.8, 0.6, 0.4)
    pixels[:, 0, 0, :3], pixels[:, 0, 0, 6] = 0.9, 1.0  # white cloth
    pixels[:, 0, 1, :3], pixels[:, 0, 1, 6] = (0.7, 0.4, 0.3), 0.5  # half face, half red-brown cloth
    pixels[3, ..., 3:6] = 0.5  # black and white
    draws = np.array([(0.1, 0, 1, 0), (0.1, 1 / 3, 0.5, 1), (0.7, 0, 1, 0), (0.1, 0, 1, 0)], np.float32)
    new = augmenting._recoloured(pixels, draws, 0.5).numpy()
    np.testing.assert_array_equal(new[..., 3:], pixels[..., 3:])
    np.testing.assert_array_equal(new[:, 1], pixels[:, 1])
    np.testing.assert_array_equal(new[2:], pixels[2:])  # not drawn; no colour in the picture
    np.testing.assert_allclose(new[0, 0, 0, :3], (0.9, 0, 0), atol=1e-6)  # pure red over white
    np.testing.assert_allclose(new[1, 0, 0, :3], (0.45, 0.9, 0.45), atol=1e-6)  # half green
    # The cloth adds (0.3, 0.1, 0.1) to half the face: red keeps the first; grey is 0.1598 and green leaves its middle.
    np.testing.assert_allclose(new[0, 0, 1, :3], (0.7, 0.3, 0.2), atol=1e-6)
    np.testing.assert_allclose(new[1, 0, 1, :3], (0.4 + 0.0799, 0.3 + 0.1598, 0.2 + 0.0799), atol=1e-5)


def test_recolouring_follows_the_seed_and_leaves_the_rest_of_the_augmentation(train):
    plain, new = _batches(train, 6), _batches(train, 6, recolour=0.5)
    assert _same(new[4:], _batches(train, 2, recolour=0.5, first_step=4))
    changed = []
    for (inputs, targets), (inputs2, targets2) in zip(plain, new, strict=True):
        assert all((targets[name] == targets2[name]).all() for name in targets)
        known = targets["occlusion"][..., 0] == 0
        assert (inputs2["masked_image"][known] == targets2["unmasked_image"][known]).all()
        changed += (inputs["masked_image"] != inputs2["masked_image"]).any((1, 2, 3)).tolist()
    assert 0.2 < np.mean(changed) < 0.8


def test_a_batch_shared_out_is_mixed_as_one(train):
    whole = _batches(train, 3, mixup=0.7)
    shares = [_batches(train, 3, mixup=0.7, shard=(worker, 2)) for worker in range(2)]
    for batch, first, second in zip(whole, *shares, strict=True):
        for part, one, two in zip(batch, first, second, strict=True):
            for name in part:
                np.testing.assert_allclose(part[name], np.concatenate([one[name], two[name]]), atol=1e-6)


def test_a_picture_is_moved_as_its_draws_say():
    point = np.zeros((1, 65, 65, 1), np.float32)
    point[0, 32, 42] = 1  # ten to the right of the middle
    for spread, place in {(0, 0, 0, 0): (32, 42), (0, 0, 1, 0): (32, 42 - 6.5), (0, 1, 0, 0): (32 - 2, 42)}.items():
        found = augmenting._moved(point, np.array([spread], np.float32), 0.2).numpy()[0, ..., 0]
        middle = (np.argwhere(found > 0) * found[found > 0][:, None]).sum(0) / found.sum()
        np.testing.assert_allclose(middle, place, atol=0.35)


@pytest.mark.parametrize("cache", ["off", "disk"])
def test_a_cache_changes_nothing(train, cache):
    assert _same(_batches(train, 4), _batches(train, 4, cache))


def test_disk_cache_is_found_again(train):
    reports = []
    Pictures(train, 64, "disk")
    Pictures(train, 64, "disk", lambda done, total: reports.append(done))
    assert reports == []


def test_continued_at_any_step_sees_the_same(train):
    steps = 2 * (len(train) // 4) + 1  # into the third epoch
    assert _same(_batches(train, steps + 2)[steps:], _batches(train, 2, first_step=steps))


def test_order_follows_the_seed_and_differs_between_epochs(train):
    steps = len(train) // 4
    batches = _batches(train, 2 * steps, augment=False)
    first, second = batches[:steps], batches[steps:]
    assert not _same(first, second) and not _same(first[:1], _batches(train, 1, seed=6, augment=False))
    # Each epoch shows every picture once, up to the last incomplete batch.
    sums = [[float(i.sum()) for b in epoch for i in b[1]["unmasked_image"]] for epoch in (first, second)]
    assert [len(set(each)) for each in sums] == 2 * [steps * 4]


def test_augmentation_changes_both_pictures_alike(train):
    plain, augmented = _batches(train, 6, augment=False), _batches(train, 6)
    flips = changed = 0
    for (inputs, targets), (inputs2, targets2) in zip(plain, augmented, strict=True):
        known = targets2["occlusion"][..., 0] == 0
        assert (inputs2["masked_image"][known] == targets2["unmasked_image"][known]).all()
        for old, new in zip(targets["occlusion"], targets2["occlusion"], strict=True):
            flips += (old[:, ::-1] == new).all() and not (old == new).all()
            assert (old[:, ::-1] == new).all() or (old == new).all()
        changed += (inputs["emotion"] == inputs2["emotion"]).all()
        assert np.abs(targets2["unmasked_image"].mean() - targets["unmasked_image"].mean()) < 0.15
    assert 0 < flips < 24 and changed == 6


def test_weights_say_how_often_a_pair_is_shown_and_equal_ones_change_nothing(train):
    ids = train.emotion_ids
    weights = np.where(ids == ids[0], 2.5, 0.75)
    weighted = replace(train, frame=train.frame.assign(weight=weights))
    steps = len(train) // 4
    batches = _batches(weighted, 40 * steps, epochs=40, augment=False)
    shown = np.concatenate([inputs["emotion"].argmax(1) for inputs, _ in batches])
    expected = weights[ids == ids[0]].sum() / weights.sum()
    assert abs((shown == ids[0]).mean() - expected) < 0.03
    same = replace(train, frame=train.frame.assign(weight=3.0))
    assert _same(_batches(same, 3), _batches(train, 3))
    assert _same(_batches(weighted, steps + 3)[steps + 1 :], _batches(weighted, 2, first_step=steps + 1))


def test_workers_share_every_batch(train):
    whole = _batches(train, 3)
    parts = [_batches(train, 3, shard=(worker, 2)) for worker in (0, 1)]
    joined = [
        tuple({k: np.concatenate([a[k], b[k]]) for k in a} for a, b in zip(first, second, strict=True))
        for first, second in zip(*parts, strict=True)
    ]
    for batch, other in zip(whole, joined, strict=True):
        for part, other_part in zip(batch, other, strict=True):
            for name in part:  # exp rounds by the length of the vector
                np.testing.assert_allclose(part[name], other_part[name], atol=1e-6)
    with refused("mismatch", "batch of 4", "3 workers"):
        _batches(train, 1, shard=(0, 3))


def test_label_dropout_withholds_a_share(train):
    labels = np.concatenate([i["emotion"] for i, _ in _batches(train, 36, label_dropout=0.5)])
    assert 0.3 < (labels.sum(1) == 0).mean() < 0.7


def test_scoring_is_every_pair_in_order(train):
    ids = np.concatenate(
        [i["emotion"].numpy().argmax(1) for i, _ in make_scoring_dataset(train, Pictures(train, 64), 5)]
    )
    assert [EMOTIONS[i] for i in ids] == train.frame["emotion"].tolist()


def test_smaller_pictures_are_means_and_keep_the_promise(train):
    full = next(iter(make_scoring_dataset(train, Pictures(train, 64), 4)))
    half = next(iter(make_scoring_dataset(train, Pictures(train, 32), 4)))
    means = full[1]["unmasked_image"].numpy().reshape(4, 32, 2, 32, 2, 3).mean((2, 4))
    np.testing.assert_allclose(half[1]["unmasked_image"], means, atol=0.6 / 255)
    known = half[1]["occlusion"].numpy()[..., 0] == 0
    assert (half[0]["masked_image"].numpy()[known] == half[1]["unmasked_image"].numpy()[known]).all()


def test_refusals(train):
    with refused("mismatch", "64 px", "--size 48", "--model.image_size 64"):
        Pictures(train, 48)
    with refused("mismatch", f"{len(train)} pairs", "1000", "--training.batch_size"):
        make_training_dataset(train, Pictures(train, 64), 1000, 0, 1)


def test_guidance_draws_leave_the_augmentation_as_it_is(train):
    pictures, settings = Pictures(train, 64, "memory"), {"batch_size": 4, "seed": 5, "epochs": 3}
    first, again, plain = (
        [block[2] for block in make_training_blocks(train, pictures, **settings, **more).take(6).as_numpy_iterator()]
        for more in ({"guidance_draws": 8}, {"guidance_draws": 8, "first_step": 2}, {})
    )
    assert first[0].shape == (1, 4, AUGMENTATION.count + 8)
    np.testing.assert_array_equal(np.concatenate(first)[..., : AUGMENTATION.count], np.concatenate(plain))
    np.testing.assert_array_equal(first[2:], again[:4])
    # Uniform, and none like another.
    new = np.concatenate(first)[..., AUGMENTATION.count :]
    assert len(np.unique(new)) == new.size and 0 <= new.min() < 0.1 < 0.9 < new.max() < 1


def test_blocks_are_the_same_batches_dealt_out(train):
    """Three steps a block, two devices: each block holds one device's halves of three whole batches."""
    pictures, settings = Pictures(train, 64, "memory"), {"batch_size": 4, "seed": 5, "epochs": 3, "first_step": 2}
    steps = list(make_training_blocks(train, pictures, **settings).take(6).as_numpy_iterator())
    dealt = list(make_training_blocks(train, pictures, **settings, steps_per_block=3, replicas=2).take(4))
    for part in range(3):
        whole = np.concatenate([step[part] for step in steps])
        for device in (0, 1):
            mine = np.concatenate([block[part] for block in dealt[device::2]])
            np.testing.assert_array_equal(mine, whole[:, 2 * device : 2 * device + 2])
    assert dealt[0][0].dtype == np.uint8 and dealt[0][0].shape == (3, 2, 64, 64, 7)
    with refused("mismatch", "batch of 4", "3 devices"):
        make_training_blocks(train, pictures, **settings, replicas=3)
