"""A guided training from a run's weights: resumed bit for bit, equal on two devices, with every term recorded."""

import shutil

import h5py
import keras
import numpy as np
import pytest

from rac_unet.core import rundir
from rac_unet.core.emotions import EMOTIONS
from rac_unet.models import build_configured
from rac_unet.runtime.classifier import ClassifierConfig, build_classifier, write_classifier
from rac_unet.train import main
from rac_unet.training.arguments import parse
from rac_unet.training.state import find_backups
from tests.forked import Training

pytestmark = pytest.mark.usefixtures("tiny_networks")

# Terms that are fast to trace, and a learning rate at which devices differ only by rounding; see test_distribution.
OPTIONS = [
    *("--loss.terms", "{hole_l1: 1, occlusion: 0.5}", "--optimizer.learning_rate", "1e-5"),
    *("--optimizer.schedule", "constant", "--optimizer.warmup_steps", "0", "--data.label_dropout", "0.2"),
    *("--training.batch_size", "8", "--training.epochs", str(6 / 7), "--training.validate_steps", "3"),
    *("--training.max_hours", "0", "--training.sample_every", "100"),
]


@pytest.fixture(scope="module")
def folder(toy_pairs, tmp_path_factory):
    """Readers with different class orders, and a run for the warm start."""
    folder = tmp_path_factory.mktemp("guided")
    keras.utils.set_random_seed(0)
    for name, classes in (("first", EMOTIONS), ("second", sorted(EMOTIONS))):
        config = ClassifierConfig(tuple(classes), image_size=32, filters=2)
        write_classifier(folder / name, build_classifier(config), config, {})
    words = ["--preset", "rac_unet_lite", "--data.path", str(toy_pairs), "--model.image_size", "32"]
    config = parse([*words, "--model.filters", "2"]).config
    run = rundir.create(folder, "start", config, {})
    run.best_weights.parent.mkdir()
    build_configured(config.model).save_weights(run.best_weights)
    run.path.rename(folder / "start")
    return folder


def words(folder, runs, *more):
    readers = f"[{folder / 'first'}, {folder / 'second'}]"
    preset = ["--preset", "rac_unet_lite_guided", "--init_from", folder / "start", "--guidance.readers", readers]
    preset += ["--guidance.teacher", folder / "start", "--guidance.teaching", 1]
    return [*preset, *OPTIONS, "--runs", folder / runs, *more]


@pytest.fixture(scope="module")
def whole(folder):
    said = Training(words(folder, "whole", "--training.deterministic", "true"), folder / "said").finish()
    assert "guidance" in said and "first (32 px), second (32 px)" in said
    (run,) = (folder / "whole").iterdir()
    return rundir.RunDir(run)


def curve(run):
    return [{key: value for key, value in row.items() if key != "train_seconds"} for row in run.history()]


def arrays(file):
    found = {}
    with h5py.File(file) as opened:
        opened.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


@pytest.mark.slow
def test_every_term_is_recorded_and_the_readers_are_named(folder, whole):
    rows = whole.history()
    assert [row["step"] for row in rows] == [3, 6]
    guided = {"readers", "readers_accuracy", "colour", "teacher"}
    assert guided | {f"val_{name}" for name in guided} | {"asked", "adversarial", "discriminator"} <= set(rows[0])
    assert all(0 < row["asked"] < 1 and row["readers"] > 0 and row["colour"] > 0 for row in rows)
    facts = whole.provenance()["guidance"]["readers"]
    assert whole.provenance()["guidance"]["teacher"]["run"] == "start"
    assert [fact["name"] for fact in facts] == ["first", "second"]
    assert [fact["classes"] for fact in facts] == [list(EMOTIONS), sorted(EMOTIONS)]
    with np.load(find_backups(whole.backup)[0]) as backup:
        # Two discriminators: a score for all and one for each emotion.
        assert sum(backup[name].shape[-1:] == (8,) for name in backup.files if name.startswith("adversary/")) >= 4


@pytest.mark.slow
def test_frozen_statistics_do_not_change(folder, whole):
    before, after = arrays(folder / "start/checkpoints/best.weights.h5"), arrays(whole.last_weights)
    moving = [name for name in before if before[name].ndim == 1 and (before[name] == after[name]).all()]
    learned = [name for name in before if (before[name] != after[name]).any()]
    # The last two of a batch norm's four vectors are statistics.
    statistics = [name for name in before if "batch_normalization" in name and name.endswith(("vars/2", "vars/3"))]
    assert len(statistics) == 4 and set(statistics) <= set(moving) and learned


@pytest.mark.slow
def test_a_resumed_training_ends_bit_for_bit_the_same(folder, whole):
    run = rundir.RunDir(shutil.copytree(whole.path, folder / "resumed"))
    find_backups(run.backup)[0].unlink()
    for name in ("first", "second"):
        shutil.copytree(folder / name, folder / "elsewhere" / name)
    readers = f"[{folder / 'elsewhere/first'}, {folder / 'elsewhere/second'}]"
    said = Training(["--resume", run.path, "--guidance.readers", readers], folder / "resumed_said").finish()
    assert "resumed  at step 3" in said
    assert curve(run) == curve(whole)
    mine, reference = arrays(run.last_weights), arrays(whole.last_weights)
    assert mine.keys() == reference.keys() and all((mine[name] == reference[name]).all() for name in mine)
    with np.load(find_backups(run.backup)[0]) as ours, np.load(find_backups(whole.backup)[0]) as theirs:
        assert ours.files == theirs.files
        assert all((ours[name] == theirs[name]).all() for name in ours.files if name != "numbers")


@pytest.mark.slow
def test_two_devices_have_the_losses_of_one(toy_pairs, folder):
    given = [
        *("--preset", "smoke", "--data.path", toy_pairs, "--model.image_size", 32, "--loss.terms", "{hole_l1: 1}"),
        *("--loss.adversarial", 0.1, "--guidance.readers", f"[{folder / 'second'}]", "--data.label_dropout", 0.2),
        *("--optimizer.learning_rate", 1e-5, "--optimizer.schedule", "constant", "--optimizer.warmup_steps", 0),
        *("--training.epochs", 2 / 7, "--training.sample_every", 100),
    ]
    devices = ["--training.strategy", "mirrored", "--training.replicas", 2]
    two = Training([*given, *devices, "--runs", folder / "two"], folder / "two_said")
    assert main([*map(str, given), "--runs", str(folder / "one")]) == 0
    two.finish()
    rows = [rundir.RunDir(next((folder / runs).iterdir())).history() for runs in ("one", "two")]
    (one,), (other,) = rows
    assert 0 < one["asked"] < 1
    for name in one.keys() - {"train_seconds"}:
        assert other[name] == pytest.approx(one[name], rel=1e-3, abs=1e-6), name
