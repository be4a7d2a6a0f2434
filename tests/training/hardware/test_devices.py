"""What `auto` resolves to on each device, and which settings are refused."""

import pytest

from rac_unet.core.config import TrainingConfig
from rac_unet.training.hardware import devices
from rac_unet.training.hardware.devices import DeviceFacts, device_facts, resolve_auto
from tests.refusals import refused

CPU, CPU_BF16, TPU = DeviceFacts("CPU"), DeviceFacts("CPU", bfloat16=True), DeviceFacts("TPU")
P100, T4, A100 = (DeviceFacts("GPU", capability=c) for c in ((6, 0), (7, 5), (8, 0)))


@pytest.mark.parametrize(
    ("device", "replicas", "precision", "jit", "steps"),
    [
        (CPU, 1, "float32", False, 1),
        (CPU_BF16, 1, "mixed_bfloat16", False, 1),
        (P100, 1, "float32", True, 8),
        (T4, 1, "mixed_float16", True, 8),
        (T4, 2, "mixed_float16", False, 8),
        (A100, 1, "mixed_float16", True, 8),
        (TPU, 8, "mixed_bfloat16", False, 32),
        (DeviceFacts("GPU"), 1, "float32", True, 8),
    ],
)
def test_auto(device, replicas, precision, jit, steps):
    found = resolve_auto(TrainingConfig(precision="auto", jit_compile="auto"), device, replicas)
    assert (found.precision, found.jit_compile, found.steps_per_call) == (precision, jit, steps)


def test_explicit_settings_are_kept():
    training = TrainingConfig(precision="mixed_bfloat16", jit_compile=True, steps_per_call=5)
    found = resolve_auto(training, CPU, 1)
    assert (found.precision, found.jit_compile, found.steps_per_call) == ("mixed_bfloat16", True, 5)


@pytest.mark.parametrize(
    ("device", "precision", "named"),
    [
        (T4, "mixed_bfloat16", ["capability 7.5", "--training.precision mixed_float16"]),
        (P100, "mixed_bfloat16", ["capability 6.0", "--training.precision float32"]),
        (DeviceFacts("GPU", capability=(5, 2)), "mixed_float16", ["5.2", "--training.precision float32"]),
        (TPU, "mixed_float16", ["TPU", "--training.precision mixed_bfloat16"]),
    ],
)
def test_an_unsupported_precision_is_refused(device, precision, named):
    with refused("unsupported", f"--training.precision {precision}:", *named):
        resolve_auto(TrainingConfig(precision=precision), device, 1)


def test_xla_on_several_gpus_is_refused():
    with refused("unsupported", "--training.jit_compile"):
        resolve_auto(TrainingConfig(jit_compile=True), T4, 2)


def test_a_limited_onednn_has_no_bfloat16(monkeypatch):
    """TensorFlow would crash with bfloat16, even if the CPU has it."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setattr(devices.Path, "read_text", lambda path: f"flags : {' '.join(devices.BFLOAT16_FLAGS)}")
    assert not devices._cpu_has_bfloat16()
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    assert devices._cpu_has_bfloat16()


def test_this_machine_is_recognised():
    assert device_facts(tpu=True) == TPU
    assert device_facts(tpu=False).kind in ("CPU", "GPU")
