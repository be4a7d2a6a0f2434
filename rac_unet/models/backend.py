"""Import TensorFlow without its start-up log, and switch TF32, which changes results on newer GPUs."""

from __future__ import annotations

from rac_unet.core.errors import require
from rac_unet.core.quiet import silenced_stderr


def import_tensorflow() -> None:
    """Import TensorFlow and list its devices with standard error silenced; later imports print nothing.

    Commands call this after they have checked everything that can be checked without TensorFlow. No TensorFlow setting
    is changed.

    Raises: UserError when it is not installed.
    """
    require("a network that TensorFlow runs", "train")
    with silenced_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()


def set_tf32(wanted: bool) -> None:
    """Enable or disable TF32 for this process: GPUs from Ampere on then multiply float32 with 10 bits of mantissa."""
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(wanted)


def uses_tf32() -> bool:
    """Return whether float32 products use TF32: it is enabled, as by default, and one of the GPUs supports it."""
    import tensorflow as tf

    if not tf.config.experimental.tensor_float_32_execution_enabled():
        return False
    gpus = tf.config.list_physical_devices("GPU")
    found = (tf.config.experimental.get_device_details(gpu).get("compute_capability") for gpu in gpus)
    # A GPU of unknown compute capability may be a new one.
    return any(capability is None or capability >= (8, 0) for capability in found)
