"""Settings: what is accepted, what is refused and with which words."""

import pytest

from rac_unet import config, registry
from rac_unet.errors import UserError
from rac_unet.training.arguments import parse


def test_yaml_round_trip(tmp_path):
    made = config.from_dict({"model": {"filters": 8}, "loss": {"terms": {"l1": 2, "hole_l1": 1}}})
    file = tmp_path / "config.yaml"
    file.write_text(config.write_yaml(made))
    assert config.from_dict(config.read_yaml(file)) == made


def test_yaml_numbers_written_as_text_are_numbers():
    # YAML 1.1 reads 1e-4, without a dot, as a word.
    assert config.from_dict({"optimizer": {"learning_rate": "1e-4"}}).optimizer.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"modle": {}}, "Did you mean 'model'"),
        ({"model": {"filtres": 3}}, "Did you mean 'filters'"),
        ({"model": {"filters": 7}}, "even number"),
        ({"model": {"filters": "many"}}, "type int"),
        ({"model": {"filters": True}}, "type int"),
        ({"model": {"image_size": 100}}, "multiple of 16"),
        ({"model": {"name": "unet"}}, "rac_unet"),
        ({"model": {"name": "a_unet"}}, "--model.conditioned false"),
        ({"loss": {"terms": {"ms_sim": 1}}}, "Did you mean 'ms_ssim'"),
        ({"loss": {"terms": {}}}, "at least one"),
        ({"loss": {"terms": {"l1": -1}}}, "above 0"),
        ({"loss": {"terms": ["l1"]}}, "names with weights"),
        ({"loss": {"features": "vgg18"}}, "vgg16, vgg19, FILE.keras"),
        ({"loss": {"feature_weights": "imagnet"}}, "Did you mean 'imagenet'"),
        ({"data": {"cache": "ram"}}, "auto, memory, disk, off"),
        ({"optimizer": {"learning_rate": float("nan")}}, "finite"),
        ({"training": {"precision": "float8"}}, "mixed_bfloat16"),
        ({"training": 3}, "epochs"),
        ([], "sections"),
    ],
)
def test_refusals_say_what_is_valid(values, words):
    with pytest.raises(UserError) as error:
        config.from_dict(values)
    assert words in str(error.value)


def test_broken_yaml_is_one_line(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("model: {filters: [")
    with pytest.raises(UserError, match="is not a YAML file") as error:
        config.read_yaml(file)
    assert "\n" not in str(error.value)


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
    ("argv", "words"),
    [
        (["--model.filtres", "3"], "Did you mean '--model.filters'"),
        (["--epochs", "3"], "--training.epochs"),
        (["--model.filters", "x"], "model.filters"),
        (["--model.name", "ra_unet"], "--model.conditioned false"),
        (["--data.cache", "ram"], "memory"),
        (["--preset", "nope"], "smoke"),
        (["--config", "nowhere.yaml"], "no config file"),
        (["--preset", "smoke", "--config", "c.yaml"], "not both"),
        (["--resume", "runs/x", "--model.filters", "4"], "leave out"),
    ],
)
def test_command_line_mistakes(argv, words):
    with pytest.raises(UserError) as error:
        parse(argv)
    assert words in str(error.value)
