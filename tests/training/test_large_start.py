"""Warm start of rac_unet_portrait with the weights of a run of rac_unet_lite, and training of some layers alone."""

import keras
import numpy as np
import pytest

from rac_unet.core import rundir
from rac_unet.models import build, build_configured
from rac_unet.models.freezing import freeze_other_layers
from rac_unet.models.importing.enlarging import enlarge
from rac_unet.runtime.runners import load_network
from rac_unet.train import main
from rac_unet.training.arguments import parse
from tests.refusals import refused

LOSSES = ["--loss.terms", "{painted_l1: 1, occlusion: 1}", "--loss.adversarial", "0"]


@pytest.fixture(scope="module")
def run(toy_pairs, tmp_path_factory):
    words = ["--preset", "rac_unet_lite", "--data.path", str(toy_pairs), "--model.image_size", "32"]
    config = parse([*words, "--model.filters", "4"]).config
    found = rundir.create(tmp_path_factory.mktemp("runs"), "compact", config, {})
    found.best_weights.parent.mkdir()
    keras.utils.set_random_seed(1)
    build_configured(config.model).save_weights(found.best_weights)
    found.write_history([{"step": 1, "images": 4}])
    return found


def test_the_large_network_enlarges_a_compact_one_and_trains_its_detail_only(run, tmp_path, capsys):
    words = [*LOSSES, "--training.batch_size", "4", "--training.max_hours", "1e-7"]
    words += ["--model.filters", "4", "--model.image_size", "64", "--guidance.teacher", str(run.path)]
    words += ["--training.only_layers", "detail", "--training.freeze_batch_norm", "false"]
    start = ["--preset", "rac_unet_portrait", "--init_from", str(run.path)]
    assert main([*start, "--runs", str(tmp_path), *words]) == 0
    said = capsys.readouterr().out
    assert f"the best weights of {run.path}, enlarged" in said and f"teacher  {run.path.name}, 32 px" in said
    large = load_network(rundir.RunDir(next(tmp_path.iterdir())))
    expected = build("rac_unet_portrait", filters=4, image_size=64)
    enlarge(load_network(run), expected)
    changed = set()
    for layer, before in zip(large.layers, expected.layers, strict=True):
        if layer.name.startswith("detail"):
            is_changed = any(
                np.abs(now - then).max() > 1e-9
                for now, then in zip(layer.get_weights(), before.get_weights(), strict=True)
            )
            changed |= {layer.name} if is_changed else set()
        else:
            # Weights and batch norm statistics.
            for now, then in zip(layer.get_weights(), before.get_weights(), strict=True):
                np.testing.assert_array_equal(now, then)
    assert {"detail_painted_image_conv", "detail_occlusion_conv", "detail_bn"} <= changed
    with refused("mismatch", "model.filters: 4 there, 32 here"):
        parse([*start, "--model.image_size", "64"])
    with refused("mismatch", "model.image_size: 32 there, 48 here"):
        parse([*start, *words, "--model.image_size", "96"])


def test_which_layers_are_trained(toy_pairs, run, tmp_path):
    words = ["--preset", "smoke", "--data.path", str(toy_pairs), "--runs", str(tmp_path)]
    with refused("usage", "training.only_layers", "--init_from"):
        main([*words, "--training.only_layers", "detail"])
    with refused("bad_value", "training.only_layers", "'(detail'"):
        parse([*words, "--training.only_layers", "(detail"])
    model = build("rac_unet_lite", filters=2, image_size=32)
    with refused("unknown_name", "training.only_layers", "'detail'", "stem_conv"):
        freeze_other_layers(model, "detail")
    freeze_other_layers(model, "stem_conv|fine")
    assert {weight.path.split("/")[0] for weight in model.trainable_variables} == {
        "stem_conv",
        "fine_upsample",
        "fine_upsample_bn",
        "fine_conv",
        "fine_bn",
    }
