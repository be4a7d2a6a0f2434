"""Warm start: a training that starts with another run's weights, with features and a discriminator."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from rac_unet.core import rundir
from rac_unet.core.config import RunConfig
from rac_unet.core.errors import UserError
from rac_unet.data.pairs import read
from rac_unet.exporting.lite_writing import write_lite_float32
from rac_unet.models import build, build_configured
from rac_unet.runtime.runners import load_network, load_runner
from rac_unet.train import _with_absolute_paths, main
from rac_unet.training import loop
from rac_unet.training import warm_start as module
from rac_unet.training.arguments import parse
from rac_unet.training.resuming import refuse_changed_start
from rac_unet.training.state import find_backups
from rac_unet.training.warm_start import _sample_inputs, warm_start, warm_start_facts, warm_start_source
from tests.lite_networks import randomised
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("tiny_networks")

QUICK = ["--loss.terms", "{l1: 1}", "--loss.adversarial", "0.01", "--optimizer.ema", "0.9"]


def make_run(folder, toy_pairs, preset, *words):
    """A run directory like one of a finished training, with the weights of an untrained network."""
    config = parse(["--preset", preset, "--data.path", str(toy_pairs), "--model.image_size", "32", *words]).config
    run = rundir.create(folder, preset, config, {})
    run.best_weights.parent.mkdir()
    keras.utils.set_random_seed(1)
    build_configured(config.model).save_weights(run.best_weights)
    run.write_history([{"step": 1, "images": 4}])
    return run


@pytest.fixture(scope="module")
def run(toy_pairs, tmp_path_factory):
    words = ["--model.filters", "4", "--training.batch_size", "4", "--data.jitter", "0.05"]
    return make_run(tmp_path_factory.mktemp("runs"), toy_pairs, "rac_unet_lite", *words)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    first = keras.layers.Conv2D(4, 3, activation="relu")(image)
    file = tmp_path_factory.mktemp("features") / "maps.keras"
    keras.Model(image, [first, keras.layers.Conv2D(4, 3, strides=2)(first)]).save(file)
    return str(file)


def sharpen(run, features, runs, *more):
    options = ["--loss.features", features, "--training.batch_size", "4", "--training.max_hours", "1e-7", *more]
    code = main(["--preset", "rac_unet_lite_sharp", "--init_from", str(run.path), "--runs", str(runs), *options])
    return code, rundir.RunDir(next(runs.iterdir()))


def test_it_uses_the_runs_network_and_data_and_the_presets_losses(run, features):
    config = parse(["--preset", "rac_unet_lite_sharp", "--init_from", str(run.path), "--data.jitter", "0"]).config
    assert config.model == run.config().model and config.data.path == run.config().data.path
    assert config.data.jitter == 0 and config.data.label_dropout == run.config().data.label_dropout
    assert config.loss.adversarial > 0 and "unit_features" in config.loss.terms


@pytest.mark.slow
def test_it_starts_with_the_weights_trains_with_a_discriminator_and_resumes(run, features, tmp_path, capsys):
    # The learning rate is so small that the initial weights are still recognisable.
    code, sharp = sharpen(
        run, features, tmp_path, "--optimizer.learning_rate", "1e-12", "--optimizer.warmup_steps", "0"
    )
    assert code == 0 and f"starts   with the best weights of {run.path}" in capsys.readouterr().out
    kernels = [
        [w for v, w in zip(m.weights, m.get_weights(), strict=True) if v.name == "kernel"]
        for m in (load_network(run), load_network(sharp))
    ]
    for before, after in zip(*kernels, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6)
    digest = hashlib.sha256(run.best_weights.read_bytes()).hexdigest()
    assert warm_start_source(sharp) == {
        "run": run.path.name,
        "pictures_seen": run.history()[-1]["images"],
        "weights_sha256": digest,
    }
    (row,) = sharp.history()
    assert {"adversarial", "discriminator", "unit_features", "val_unit_features"} <= set(row)
    assert row["discriminator"] > 0 and "val_adversarial" not in row
    with np.load(find_backups(sharp.backup)[0]) as backup:
        assert any(name.startswith("adversary/") for name in backup.files)
    # A started run does not need the first run any more, which may have been moved.
    assert main(["--resume", str(sharp.path), "--training.max_hours", "1e-6"]) == 0
    assert "resumed  at step" in capsys.readouterr().out
    assert len(sharp.history()) == 2


def test_the_preset_for_other_networks_has_no_losses_of_the_map(toy_pairs, tmp_path, features):
    run = make_run(tmp_path, toy_pairs, "smoke").path
    config = parse(["--preset", "sharp", "--init_from", str(run)]).config
    assert config.model.name == "rac_unet" and "occlusion" not in config.loss.terms
    with refused("mismatch", run, "model.name: 'rac_unet' there, 'rac_unet_lite' here"):
        parse(["--preset", "rac_unet_lite_sharp", "--init_from", str(run)])


def test_mistakes_are_reported_before_anything_is_written(run, features, toy_pairs, tmp_path):
    with refused("missing", tmp_path / "nowhere"):
        parse(["--preset", "rac_unet_lite_sharp", "--init_from", str(tmp_path / "nowhere")])
    with refused("wrong_type", run.best_weights, f"in {run.path}"):
        parse(["--preset", "rac_unet_lite_sharp", "--init_from", str(run.best_weights)])
    with refused("usage", "--resume", "--init_from"):
        parse(["--resume", str(run.path), "--init_from", str(run.path)])
    with refused("usage", "--init_from", "--training.init_from"):
        parse(["--init_from", str(run.path), "--training.init_from", str(run.path)])
    with refused("mismatch", run.path, "model.filters: 4 there, 8 here"):
        sharpen(run, features, tmp_path / "runs", "--model.filters", "8")
    assert not (tmp_path / "runs").exists()


def test_settings_and_files_are_checked_like_the_option(run, tmp_path):
    settings = ["--preset", "rac_unet_lite_sharp", "--model.image_size", "32"]
    options = [*settings, "--training.init_from", str(run.path), "--runs", str(tmp_path / "runs")]
    with refused("mismatch", run.path, "model.filters: 4 there, 64 here"):
        main(options)
    file = tmp_path / "mine.yaml"
    file.write_text(f"model: {{filters: 8}}\ntraining: {{init_from: {run.path}}}\n")
    with refused("mismatch", run.path, "model.filters: 4 there, 8 here"):
        main(["--config", str(file), "--runs", str(tmp_path / "runs")])
    with refused("missing", tmp_path / "nowhere"):
        parse([*settings, "--training.init_from", str(tmp_path / "nowhere")])
    assert parse([*options, "--model.filters", "4"]).config.training.init_from == str(run.path)
    damaged = rundir.RunDir(shutil.copytree(run.path, tmp_path / "damaged"))
    damaged.best_weights.write_bytes(b"half")
    with pytest.raises(UserError, match=str(damaged.best_weights)):
        main([*settings[:2], *QUICK, "--init_from", str(damaged.path), "--runs", str(tmp_path / "runs")])
    assert not (tmp_path / "runs").exists()


class Killed(BaseException):
    pass


def test_a_run_killed_before_its_first_backup_starts_again_with_the_same_weights(toy_pairs, tmp_path, monkeypatch):
    source = make_run(tmp_path, toy_pairs, "smoke", "--model.name", "a_unet", "--model.conditioned", "false")
    started = []

    def train(trainer, stop):
        started.append(
            (trainer.step, [[v.numpy() for v in group] for group in trainer._backed_up_variables().values()])
        )
        raise Killed

    monkeypatch.setattr(loop.Trainer, "train", train)
    with pytest.raises(Killed):
        main(["--preset", "sharp", "--init_from", str(source.path), "--runs", str(tmp_path / "runs"), *QUICK])
    (run,) = (rundir.RunDir(path) for path in (tmp_path / "runs").iterdir())
    with pytest.raises(Killed):
        main(["--resume", str(run.path)])
    (_, before), (step, after) = started
    assert step == 0
    theirs = load_network(source).get_weights()
    for group in (0, 2):
        # The network's and the averaged weights.
        for mine, its in zip(after[group], theirs, strict=True):
            np.testing.assert_array_equal(mine, its)
    for mine, its in zip(sum(after, []), sum(before, []), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_without_a_backup_the_source_run_must_be_unchanged(run, tmp_path):
    source = rundir.RunDir(shutil.copytree(run.path, tmp_path / "source"))
    words = ["--preset", "rac_unet_lite_sharp", "--init_from", str(source.path)]
    config = parse(words).config
    run = rundir.create(tmp_path, "sharp", config, {"begun_from": warm_start_facts(str(source.path))})
    refuse_changed_start(run, config)
    with refused("changed", run.path, "training.init_from", source.path):
        refuse_changed_start(run, started_with(config, None))
    moved = source.path.rename(tmp_path / "moved")
    with refused("missing", run.path, source.path, "--training.init_from"):
        refuse_changed_start(run, config)
    refuse_changed_start(run, started_with(config, moved))
    (moved / "checkpoints/best.weights.h5").write_bytes(b"trained further")
    with refused("changed", run.path, moved, "SHA-256"):
        refuse_changed_start(run, started_with(config, moved))
    # A run with a backup does not need it any more.
    run.backup.mkdir()
    (run.backup / "step_00000001.npz").touch()
    refuse_changed_start(run, config)


def started_with(config, path):
    return dataclasses.replace(config, training=dataclasses.replace(config.training, init_from=path and str(path)))


def stage(folder, name, images, before=None, **provenance):
    """A run without weights whose records name another run as its warm start, after some images."""
    config = RunConfig()
    if before:
        config = dataclasses.replace(config, training=dataclasses.replace(config.training, init_from=str(before.path)))
    run = rundir.create(folder, name, config, provenance)
    run.write_history([{"step": n, "images": n * images / 2} for n in (1, 2)])
    return run


def test_images_seen_by_earlier_runs_are_counted_if_known(tmp_path):
    first = stage(tmp_path, "first", 100)
    second = stage(tmp_path, "second", 30, first, begun_from={"run": "first", "pictures_seen": 80})
    third = stage(tmp_path, "third", 7, second)
    assert warm_start_source(first) is None
    # The record from the start of training counts, whatever became of the first run; older runs read the first run.
    assert warm_start_source(second) == {"run": "first", "pictures_seen": 80}
    assert warm_start_source(third) == {"run": second.path.name, "pictures_seen": 110}
    assert warm_start_source(stage(tmp_path, "fourth", 5, third)) == {"run": third.path.name, "pictures_seen": 117}
    first.history_file.unlink()
    gone = stage(tmp_path, "gone", 7, rundir.RunDir(tmp_path / "away"))
    for unknown in (first, gone, rundir.RunDir(tmp_path)):
        assert warm_start_source(stage(tmp_path, "after", 5, unknown)) == {
            "run": unknown.path.name,
            "pictures_seen": None,
        }
    circle = stage(tmp_path, "circle", 5, first)
    first.config_file.write_text(circle.config_file.read_text().replace(str(first.path), str(circle.path)))
    first.write_history([{"step": 1, "images": 5}])
    assert warm_start_source(circle)["pictures_seen"] is None


@pytest.fixture(scope="module")
def lite_file(tiny_networks, tmp_path_factory):
    """An exported network of 4 filters and 32 px, with folded batch norms."""
    file = tmp_path_factory.mktemp("lite") / "net.tflite"
    write_lite_float32(randomised(build("rac_unet_lite", filters=4, image_size=32)), file)
    return file


# No setting of the network.
PLAIN = ["--preset", "rac_unet_lite_sharp", "--loss.terms", "{l1: 1}", "--loss.adversarial", "0"]


def settings_for(file, pairs, *more):
    return parse([*PLAIN, "--init_from", str(file), "--data.path", str(pairs), *more]).config


def test_a_lite_file_sets_the_network(lite_file, toy_pairs, tmp_path):
    model = settings_for(lite_file, toy_pairs).model
    assert (model.name, model.filters, model.image_size, model.conditioned) == ("rac_unet_lite", 4, 32, True)
    config = settings_for("published", toy_pairs)
    assert (config.model.name, config.model.filters, config.model.image_size) == ("rac_unet_lite", 32, 128)
    # The package may have another path when the run is resumed.
    assert _with_absolute_paths(config).training.init_from == "published"
    with refused("mismatch", lite_file, "model.filters: 4 there, 8 here", "model.conditioned: True there, False here"):
        settings_for(lite_file, toy_pairs, "--model.filters", "8", "--model.conditioned", "false")
    with refused("missing", tmp_path / "none.tflite"):
        settings_for(tmp_path / "none.tflite", toy_pairs)
    (tmp_path / "text.tflite").write_text("not a network")
    with refused("unreadable", tmp_path / "text.tflite"):
        settings_for(tmp_path / "text.tflite", toy_pairs)


def test_a_network_from_a_lite_file_paints_the_same_in_training_mode(lite_file, toy_pairs, monkeypatch):
    config, pairs = settings_for(lite_file, toy_pairs, "--data.augment", "false"), read(toy_pairs)
    found = warm_start(config, pairs)
    assert str(lite_file) in found.description
    model = build_configured(config.model)
    model.set_weights(found.weights)
    given = {
        name: value.numpy() for name, value in next(iter(_sample_inputs(model, config, pairs.split("train")))).items()
    }
    painted = load_runner(lite_file)(**given)["inpainted_image"]
    np.testing.assert_allclose(model(given)["inpainted_image"], painted, atol=1e-4)
    trained = model(given, training=True)["inpainted_image"].numpy()
    # Without measured statistics, with mean 0 and variance 1, these differ by more than 0.1.
    assert np.sqrt(np.mean((trained - painted) ** 2)) < 0.02
    monkeypatch.setattr(module, "_LEAST_DB", 1000.0)
    with refused("failed_check", lite_file):
        warm_start(config, pairs)


def test_a_run_from_a_lite_file_starts_again_with_the_same_weights(lite_file, toy_pairs, tmp_path, monkeypatch):
    file = Path(shutil.copy(lite_file, tmp_path / "net.tflite"))
    started = []

    def train(trainer, stop):
        started.append([v.numpy() for group in trainer._backed_up_variables().values() for v in group])
        raise Killed

    monkeypatch.setattr(loop.Trainer, "train", train)
    with pytest.raises(Killed):
        main(
            [
                *PLAIN,
                "--init_from",
                str(file),
                "--data.path",
                str(toy_pairs),
                "--training.batch_size",
                "4",
                "--runs",
                str(tmp_path / "runs"),
            ]
        )
    (run,) = (rundir.RunDir(path) for path in (tmp_path / "runs").iterdir())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert warm_start_source(run) == {"run": "net.tflite", "pictures_seen": None, "weights_sha256": digest}
    with pytest.raises(Killed):
        main(["--resume", str(run.path)])
    for before, after in zip(*started, strict=True):
        np.testing.assert_array_equal(after, before)
    file.write_bytes(file.read_bytes() + b"\0")
    with refused("changed", run.path, file, "SHA-256"):
        main(["--resume", str(run.path)])
    file.unlink()
    with refused("missing", run.path, file, "--training.init_from"):
        main(["--resume", str(run.path)])


@pytest.fixture
def weights_file(run, tmp_path):
    """The weights of `run`, copied out of it, with its config.yaml next to them."""
    folder = tmp_path / "weights"
    folder.mkdir()
    shutil.copy(run.config_file, folder)
    return Path(shutil.copy(run.best_weights, folder / "net.weights.h5"))


def test_a_weights_file_starts_a_training_with_its_network(weights_file, run, toy_pairs):
    config = settings_for(weights_file, toy_pairs)
    assert config.model == run.config().model
    # The data set and its changes are not taken over, only the network.
    assert run.config().data.jitter == 0.05 and config.data.jitter == 0
    found = warm_start(config, read(toy_pairs))
    for mine, its in zip(found.weights, load_network(run).get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)
    digest = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    facts = {"run": weights_file.name, "pictures_seen": None, "weights_sha256": digest}
    assert warm_start_facts(str(weights_file)) == facts


def test_a_weights_file_passes_on_the_readers_that_guided_it(weights_file):
    readers = [{"name": "READER", "weights_sha256": "12ab", "data_fingerprint": None}]
    rundir.RunDir(weights_file.parent).provenance_file.write_text(json.dumps({"guidance": {"readers": readers}}))
    assert warm_start_facts(str(weights_file))["guides"] == readers


def test_a_weights_file_without_its_settings_or_of_another_network_is_refused(weights_file, run, toy_pairs, tmp_path):
    with refused("missing", tmp_path / "none.weights.h5"):
        settings_for(tmp_path / "none.weights.h5", toy_pairs)
    with refused("mismatch", weights_file, "model.filters: 4 there, 8 here"):
        settings_for(weights_file, toy_pairs, "--model.filters", "8")
    settings = weights_file.with_name("config.yaml")
    away = settings.rename(tmp_path / "config_of_another_folder.yaml")
    with refused("missing", weights_file, "config.yaml"):
        settings_for(weights_file, toy_pairs)
    settings.write_text("kind: classifier\n")
    with refused("wrong_type", settings.parent):
        settings_for(weights_file, toy_pairs)
    settings.write_text(away.read_text().replace("filters: 4", "filters: 8"))
    with refused("unreadable", weights_file, settings):
        warm_start(settings_for(weights_file, toy_pairs), read(toy_pairs))


def other_network(file):
    build("a_unet", filters=4, image_size=32, conditioned=False).save_weights(file)


def other_content(file):
    with h5py.File(file, "w") as stored:
        stored["layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 4), np.float32)
        stored["measured"] = np.arange(9)


def not_finite(file):
    with h5py.File(file, "r+") as stored:
        stored["layers/conv2d/vars/0"][...] = np.nan


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]), "unreadable"),
        (lambda file: file.write_text("a page of the download site"), "unreadable"),
        (other_network, "unreadable"),
        (other_content, "unreadable"),
        (not_finite, "diverged"),
    ],
    ids=["truncated", "text", "other network", "other content", "not finite"],
)
def test_a_weights_file_that_is_something_else_is_refused(weights_file, toy_pairs, tmp_path, damage, kind):
    config = settings_for(weights_file, toy_pairs)
    damage(weights_file)
    with refused(kind, weights_file):
        warm_start(config, read(toy_pairs))
