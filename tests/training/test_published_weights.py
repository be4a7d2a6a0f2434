"""The published network's float32 weights: they belong to the 8-bit file, start a training, and leave the package."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from rac_unet.core.config import RunConfig
from rac_unet.core.rundir import RunDir, open_weights
from rac_unet.export import main as export
from rac_unet.pairing.toy_pairs import write_toy_pairs
from rac_unet.runtime import published
from rac_unet.runtime.published import PUBLISHED_NETWORK, PUBLISHED_WEIGHTS
from rac_unet.runtime.run_weights import load_network
from rac_unet.runtime.runners import load_runner
from rac_unet.train import main as train
from rac_unet.training.arguments import parse
from rac_unet.training.warm_start import warm_start_facts, warm_start_file
from tests.drawn_masks import drawn_photo
from tests.refusals import refused

ROOT = Path(__file__).resolve().parents[2]
CARD = PUBLISHED_NETWORK.with_name("README.md").read_text(encoding="utf-8")


def psnr(ours, theirs):
    return -10 * np.log10(np.mean((np.asarray(ours) - np.asarray(theirs)) ** 2))


def drawn_crops():
    """Two drawn faces with green masks as the network sees them, with their emotions."""
    crops = [cv2.resize(drawn_photo(edge=edge), (128, 128), interpolation=cv2.INTER_AREA) for edge in (5, 20)]
    return {
        "masked_image": np.stack(crops).astype(np.float32) / 255,
        "emotion": np.eye(7, dtype=np.float32)[[3, 5]],
    }


def test_the_float_network_paints_as_the_8_bit_file_does():
    inputs = drawn_crops()
    ours = load_network(open_weights(PUBLISHED_WEIGHTS))(inputs, training=False)
    theirs = load_runner(PUBLISHED_NETWORK)(**inputs)
    assert np.mean(theirs["occlusion"] > 0.5) > 0.1, "no mask is found, so nothing is compared"
    for name in ("inpainted_image", "painted_image"):
        assert psnr(ours[name], theirs[name]) > 30


def test_the_card_names_both_files_by_their_hashes():
    for file in (PUBLISHED_NETWORK, PUBLISHED_WEIGHTS):
        assert file.name in CARD and hashlib.sha256(file.read_bytes()).hexdigest() in CARD
    assert PUBLISHED_WEIGHTS.stat().st_size <= 6e6


def test_their_settings_name_only_the_network():
    folder = PUBLISHED_WEIGHTS.parent
    assert {path.name for path in folder.iterdir()} == {PUBLISHED_WEIGHTS.name, "config.yaml", "provenance.json"}
    config = open_weights(PUBLISHED_WEIGHTS).config()
    assert config == RunConfig(model=config.model) and config.model.name == "rac_unet_lite"


def test_the_readers_that_guided_it_are_recorded_for_a_run_that_starts_with_it():
    facts = warm_start_facts("published")
    assert facts["weights_sha256"] == hashlib.sha256(PUBLISHED_WEIGHTS.read_bytes()).hexdigest()
    # The second edition's scores name the same readers.
    scores = json.loads((ROOT / "results/guidance/second-edition/metrics.json").read_text())
    used = {guide["weights_sha256"] for guide in scores["emotion"]["classifier"]["guides"]}
    assert len(used) == 2 and {guide["weights_sha256"] for guide in facts["guides"]} == used


def test_published_and_lite_name_the_same_weights(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for given in (["--init_from", "published"], ["--init_from", "lite"], ["--training.init_from", "lite"]):
        config = parse(["--preset", "rac_unet_lite", *given]).config
        # Stored under one name, so that a resumed run starts with them from any folder.
        assert config.training.init_from == "published"
    (tmp_path / "mine.yaml").write_text("model: {name: rac_unet_lite, filters: 32}\ntraining: {init_from: lite}\n")
    assert parse(["--config", "mine.yaml"]).config.training.init_from == "published"
    assert parse(["--resume", "runs/A", "--training.init_from", "lite"]).overrides["training.init_from"] == "published"
    with refused("mismatch", "model.filters: 32 there, 8 here"):
        parse(["--preset", "rac_unet_lite", "--init_from", "lite", "--model.filters", "8"])
    (tmp_path / "lite").mkdir()
    with refused("wrong_type", "lite", "config.yaml"):
        parse(["--preset", "rac_unet_lite", "--init_from", "lite"])


def test_without_the_float_file_the_8_bit_file_is_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(published, "PUBLISHED_WEIGHTS", tmp_path / "none.weights.h5")
    assert warm_start_file("published") == PUBLISHED_NETWORK


def test_an_export_of_the_published_network_needs_a_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("published", "lite"):
        with refused("usage", "--output"):
            export([name, "--format", "keras"])
    with refused("usage", "litert_int8", "--data"):
        export(["lite", "--format", "litert_int8", "--output", "net.tflite"])


@pytest.mark.slow
def test_twenty_steps_on_drawn_faces_lower_the_loss(tmp_path):
    write_toy_pairs(tmp_path / "pairs", 70, size=128, progress=False)
    options = ["--preset", "rac_unet_lite", "--init_from", "lite", "--data.path", str(tmp_path / "pairs")]
    options += ["--training.batch_size", "4", "--training.validate_steps", "10", "--runs", str(tmp_path / "runs")]
    options += ["--training.epochs", "1.5", "--optimizer.warmup_steps", "2"]
    assert train(options) == 0
    (run,) = (RunDir(path) for path in (tmp_path / "runs").iterdir())
    first, last = run.history()[0], run.history()[-1]
    assert last["step"] >= 20 and last["val_loss"] < first["val_loss"]
