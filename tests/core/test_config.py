"""Settings: what is accepted, what is refused and with which words."""

import re

import pytest

from rac_unet.core import config, registry
from rac_unet.training.arguments import parse, with_overrides
from tests.refusals import refused


def test_yaml_round_trip(tmp_path):
    made = config.from_dict({"model": {"filters": 8}, "loss": {"terms": {"l1": 2, "hole_l1": 1}}})
    file = tmp_path / "config.yaml"
    file.write_text(config.write_yaml(made))
    assert config.from_dict(config.read_yaml(file)) == made


def test_yaml_numbers_written_as_text_are_numbers():
    # YAML 1.1 reads 1e-4, without a dot, as a word.
    assert config.from_dict({"optimizer": {"learning_rate": "1e-4"}}).optimizer.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("values", "kind", "named"),
    [
        ({"modle": {}}, "unknown_name", ["'modle'", "'model'"]),
        ({"model": {"filtres": 3}}, "unknown_name", ["'filtres'", "'filters'"]),
        ({"model": {"filters": 7}}, "bad_value", ["model.filters", "even", "7"]),
        ({"model": {"filters": "many"}}, "bad_value", ["model.filters", "int", "'many'"]),
        ({"model": {"filters": True}}, "bad_value", ["model.filters", "int", "True"]),
        ({"model": {"image_size": 100}}, "bad_value", ["model.image_size", "multiple of 16", "100"]),
        ({"model": {"name": "unet"}}, "unknown_name", ["model.name", "'unet'", "rac_unet, ra_unet"]),
        ({"model": {"name": "a_unet"}}, "mismatch", ["a_unet", "--model.conditioned false"]),
        ({"loss": {"terms": {"ms_sim": 1}}}, "unknown_name", ["loss.terms", "'ms_sim'", "'ms_ssim'"]),
        ({"loss": {"terms": {}}}, "bad_value", ["loss.terms", "ms_ssim", "{}"]),
        ({"loss": {"terms": {"l1": -1}}}, "bad_value", ["loss.terms.l1", "above 0", "-1"]),
        ({"loss": {"terms": ["l1"]}}, "bad_value", ["loss.terms", "{ms_ssim_l1: 1.0}", "['l1']"]),
        ({"loss": {"features": "vgg18"}}, "unknown_name", ["loss.features", "'vgg18'", "vgg16, vgg19, FILE.keras"]),
        ({"loss": {"feature_weights": "imagnet"}}, "unknown_name", ["loss.feature_weights", "'imagenet'"]),
        (
            {"model": {"name": "a_unet", "conditioned": False}, "loss": {"terms": {"painted_l1": 1}}},
            "mismatch",
            ["loss.terms", "painted_l1", "rac_unet_lite", "'a_unet'"],
        ),
        ({"loss": {"terms": {"occlusion": 1}}}, "mismatch", ["loss.terms", "occlusion", "rac_unet_lite", "'rac_unet'"]),
        ({"data": {"cache": "ram"}}, "bad_value", ["data.cache", "auto, memory, disk, off", "'ram'"]),
        ({"training": {"tf32": 1}}, "bad_value", ["training.tf32", "auto, true, false", "1"]),
        ({"optimizer": {"learning_rate": float("nan")}}, "bad_value", ["optimizer.learning_rate", "finite", "nan"]),
        ({"training": {"precision": "float8"}}, "bad_value", ["training.precision", "mixed_bfloat16", "'float8'"]),
        ({"training": 3}, "bad_layout", ["'training'", "epochs", "3"]),
        ([], "bad_layout", ["data, model, loss", "[]"]),
    ],
)
def test_refusals_say_what_is_valid(values, kind, named):
    with refused(kind, *named):
        config.from_dict(values)


def test_broken_yaml_is_one_line(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("model: {filters: [")
    with refused("unreadable", file, "line 1"):
        config.read_yaml(file)


@pytest.mark.parametrize("name", config.preset_names())
def test_presets_are_valid(name):
    made = config.from_dict(config.read_yaml(config.preset_path(name)))
    assert made.model.name in registry.MODELS


def test_command_line_overrides_the_preset():
    made = parse(["--preset", "smoke", "--model.filters", "4", "--optimizer.learning_rate", "3e-4"]).config
    base = parse(["--preset", "smoke"]).config
    assert (made.model.filters, made.optimizer.learning_rate) == (4, 3e-4)
    assert made.training == base.training and made.model.image_size == base.model.image_size


def test_loss_terms_from_the_command_line_replace_the_presets():
    assert parse(["--preset", "smoke", "--loss.terms", "{l1: 1.5}"]).config.loss.terms == {"l1": 1.5}


@pytest.mark.parametrize(
    ("argv", "kind", "named"),
    [
        (["--model.filtres", "3"], "usage", ["'--model.filtres'", "'--model.filters'"]),
        (["--epochs", "3"], "usage", ["'--epochs'", "--training.epochs"]),
        (["--model"], "usage", ["'--model'", "--model.filters"]),
        (["--model.filt", "4"], "usage", ["'--model.filt'", "'--model.filters'"]),
        (["--nonsense=3"], "usage", ["'--nonsense'", "--preset", "--loss.terms"]),
        (["pairs"], "usage", ["'pairs'", "--data.path"]),
        (["--model.filters"], "usage", ["--model.filters"]),
        (["--model.filters", "x"], "usage", ["model.filters", "'x'"]),
        (["--model.filters", "7"], "bad_value", ["model.filters", "even", "7"]),
        (["--model.name", "ra_unet"], "mismatch", ["ra_unet", "--model.conditioned false"]),
        (["--data.cache", "ram"], "usage", ["data.cache", "memory"]),
        (["--preset", "nope"], "unknown_name", ["--preset", "'nope'", "smoke"]),
        (["--config", "nowhere.yaml"], "missing", ["nowhere.yaml"]),
        (["--preset", "smoke", "--config", "c.yaml"], "usage", ["--preset", "--config"]),
        (["--resume", "runs/x", "--model.filters", "4"], "usage", ["--model.filters", "--training.max_hours"]),
        (["--resume", "runs/x", "--preset", "smoke"], "usage", ["--resume", "--preset"]),
        (["--resume", "runs/x", "--modle.filters", "4"], "usage", ["'--modle.filters'", "'--model.filters'"]),
    ],
)
def test_command_line_mistakes(argv, kind, named):
    with refused(kind, *named):
        parse(argv)


def test_a_resumed_run_takes_only_the_settings_given():
    request = parse(["--resume", "runs/x", "--training.max_hours", "2", "--data.path", "null"])
    assert (str(request.resume), request.overrides) == ("runs/x", {"training.max_hours": 2.0, "data.path": None})
    own = config.from_dict({"model": {"filters": 8}, "data": {"path": "there"}, "training": {"max_hours": 1}})
    made = with_overrides(own, request.overrides)
    assert (made.model.filters, made.data.path, made.training.max_hours) == (8, None, 2.0)


def test_help_shows_the_defaults_of_the_preset(capsys):
    with pytest.raises(SystemExit) as stop:
        parse(["--help", "--preset", "smoke"])
    shown = re.search(r"--model\.filters FILTERS.*?\(default: (\d+)\)", capsys.readouterr().out, re.S)
    filters = config.from_dict(config.read_yaml(config.preset_path("smoke"))).model.filters
    assert stop.value.code == 0 and int(shown[1]) == filters != config.RunConfig().model.filters
