"""Resolve `auto` settings for the device: precision, XLA, steps per call."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rac_unet.core.config import TrainingConfig
from rac_unet.core.errors import UserError

# CPU flags for bfloat16 multiplication; other CPUs emulate it, slower than float32.
BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")
# Steps per call: between two calls an accelerator waits for Python. A CPU runs Python itself and gains nothing.
STEPS_PER_CALL = {"CPU": 1, "GPU": 8, "TPU": 32}


@dataclass(frozen=True)
class DeviceFacts:
    """Properties of the training device.

    Attributes:
        kind: CPU, GPU or TPU.
        capability: compute capability of the weakest GPU, such as (7, 5); None for other devices or if unknown.
        bfloat16: whether a CPU has instructions for bfloat16.
    """

    kind: str
    capability: tuple[int, int] | None = None
    bfloat16: bool = False


@dataclass(frozen=True)
class Choices:
    """The resolved settings: `precision` (a Keras policy), `jit_compile`, and `steps_per_call` of at least 1."""

    precision: str
    jit_compile: bool
    steps_per_call: int


def device_facts(tpu: bool) -> DeviceFacts:
    """Return the properties of this process's training device."""
    import tensorflow as tf

    if tpu:
        return DeviceFacts("TPU")
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return DeviceFacts("CPU", bfloat16=_cpu_has_bfloat16())
    found = [tf.config.experimental.get_device_details(gpu).get("compute_capability") for gpu in gpus]
    return DeviceFacts("GPU", capability=None if None in found else min(found))


def resolve_auto(training: TrainingConfig, device: DeviceFacts, replicas: int) -> Choices:
    """Resolve the settings that the config leaves at `auto`.

    Precision: float16 on GPUs with tensor cores (T4: 7.5), bfloat16 on TPUs and on CPUs with instructions for it,
    float32 elsewhere (P100: 6.0). XLA: on a single GPU, since it cannot compile the exchange between several; a TPU
    always uses it.

    Raises: UserError when the device does not support the requested precision.
    """
    precision = training.precision
    if precision == "auto":
        if device.kind == "TPU" or (device.kind == "CPU" and device.bfloat16):
            precision = "mixed_bfloat16"
        elif device.kind == "GPU" and device.capability and device.capability >= (7, 0):
            precision = "mixed_float16"
        else:
            precision = "float32"
    _refuse_unsupported(precision, device)
    jit = training.jit_compile
    if jit == "auto":
        jit = device.kind == "GPU" and replicas == 1
    elif jit and replicas > 1 and device.kind != "TPU":
        raise UserError(
            f"--training.jit_compile true works on one device: XLA cannot compile the exchange between {replicas}; "
            "use auto",
            "unsupported",
        )
    return Choices(precision, bool(jit), training.steps_per_call or STEPS_PER_CALL[device.kind])


def _refuse_unsupported(precision: str, device: DeviceFacts) -> None:
    reason = None
    if precision == "mixed_float16" and device.kind == "TPU":
        reason = "a TPU has bfloat16 but no float16; use --training.precision mixed_bfloat16"
    elif device.kind == "GPU" and device.capability:
        major, minor = device.capability
        if precision == "mixed_bfloat16" and device.capability < (8, 0):
            other = "mixed_float16" if major >= 7 else "float32"
            reason = f"this GPU (compute capability {major}.{minor}) has no bfloat16; use --training.precision {other}"
        elif precision == "mixed_float16" and device.capability < (6, 0):
            reason = (
                f"this GPU (compute capability {major}.{minor}) has no fast float16; use --training.precision float32"
            )
    if reason:
        raise UserError(f"--training.precision {precision}: {reason}, or auto", "unsupported")


def _cpu_has_bfloat16() -> bool:
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT").upper() not in ("ALL", "DEFAULT"):
        # TensorFlow checks only the CPU, and crashes if oneDNN is limited to older instructions.
        return False
    try:
        flags = next(
            line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")
        ).split()
    except (OSError, StopIteration):
        return False
    return any(flag in flags for flag in BFLOAT16_FLAGS)
