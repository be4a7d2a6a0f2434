"""Every network can be written in every format, and loads where the package is not installed."""

import importlib.util

import numpy as np
import pytest

from rac_unet.benchmarks.overfit import every_network
from rac_unet.core.config import ModelConfig, RunConfig
from rac_unet.core.registry import MODELS
from rac_unet.exporting.agreement import measure
from rac_unet.exporting.formats import FORMATS
from rac_unet.exporting.fresh_process import run_fresh
from rac_unet.exporting.write_and_verify import check_agreement, export_network
from rac_unet.models import build, build_configured
from rac_unet.pairing.opening import read_pairs
from tests.runs import untrained_run

CONVERTED = ("ra_unet", "rac_unet", "rac_unet_portrait")
DECISIVE = ("kernel_size", "strides", "padding", "activation", "use_bias", "axis", "interpolation", "dilation_rate")


def test_every_network_loads_where_the_package_is_not(tmp_path):
    """All in one process, since its imports take most of the time."""
    batch = {"masked_image": np.random.default_rng(0).random((2, 32, 32, 3), np.float32)}
    batch["emotion"] = np.eye(7, dtype=np.float32)[[2, 5]]
    expected, lines = {}, ["made = {}"]
    for name, config in every_network(filters=2, image_size=32).items():
        network = build_configured(config)
        FORMATS["keras"].write(network, tmp_path / f"{name}.keras")
        lines += FORMATS["keras"].loading_lines(tmp_path / f"{name}.keras", network.input)
        lines.append(f"made[{name!r}] = outputs['inpainted_image']")
        expected[name] = network({key: batch[key] for key in network.input}, training=False)["inpainted_image"].numpy()
    received = run_fresh([*lines, "outputs = made"], [batch])[0]
    assert len(expected) >= 4 and set(received) == set(expected)
    for name, picture in expected.items():
        found = measure([{"inpainted_image": picture}], [{"inpainted_image": received[name]}])
        check_agreement(FORMATS["keras"], found)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVERTED)
def test_networks_go_into_every_portable_format(name, toy_pairs, tmp_path):
    """The other two .tflite formats use the same converter, with fewer steps."""
    row = MODELS[name]
    model = ModelConfig(name, filters=2, image_size=2 * row.side_multiple, conditioned=row.takes_label)
    config = RunConfig(model=model)
    run = untrained_run(tmp_path / "runs", config)
    installed = importlib.util.find_spec("tf2onnx") and importlib.util.find_spec("onnxruntime")
    for format in ("litert_int8", "onnx") if installed else ("litert_int8",):
        exported = export_network(run, format, pairs=read_pairs(toy_pairs), calibrated=8)
        assert exported.path.parent == run.export() and exported.path.stat().st_size == exported.size


def test_the_other_networks_have_no_further_operations_to_convert():
    """The compact network is converted in test_lite_and_onnx.py."""
    converted = set.union(*(operations(name) for name in CONVERTED))
    assert len(converted) > 15
    for name in set(MODELS) - {*CONVERTED, "rac_unet_lite"}:
        assert operations(name) <= converted, name


def operations(name):
    """Kinds of layers, with the settings that decide which operation each becomes."""
    layers = [(type(layer).__name__, layer.get_config()) for layer in build(name, filters=2, image_size=32).layers]
    return {(kind, *(str(config.get(key)) for key in DECISIVE)) for kind, config in layers}
