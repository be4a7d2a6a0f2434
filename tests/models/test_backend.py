"""Importing TensorFlow does not change TF32; `set_tf32` does."""

import pytest
import tensorflow as tf

from rac_unet.core.config import RunConfig, TrainingConfig
from rac_unet.models.backend import import_tensorflow, set_tf32, uses_tf32
from rac_unet.train import _take_devices


@pytest.fixture(params=[True, False])
def switched(request):
    """TF32 switched on or off, restored after the test."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    set_tf32(request.param)
    yield request.param
    set_tf32(before)


def test_importing_tensorflow_leaves_tf32_as_it_is(switched):
    import_tensorflow()
    assert tf.config.experimental.tensor_float_32_execution_enabled() == switched


@pytest.mark.parametrize("wanted", ["auto", True, False])
def test_the_setting_switches_tf32(switched, wanted):
    _take_devices(RunConfig(training=TrainingConfig(tf32=wanted)))
    expected = switched if wanted == "auto" else wanted
    assert tf.config.experimental.tensor_float_32_execution_enabled() == expected


@pytest.mark.parametrize(("capability", "can"), [((7, 5), False), ((8, 0), True), (None, True)])
def test_only_newer_gpus_round_products(switched, monkeypatch, capability, can):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"])
    details = {"compute_capability": capability} if capability else {}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    assert uses_tf32() == (switched and can)
