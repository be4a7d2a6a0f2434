"""TensorFlow, without its greetings, and the one switch of it that changes figures on newer GPUs."""

from __future__ import annotations

from rac_unet.core.quiet import silenced_stderr


def import_tensorflow() -> None:
    """Import TensorFlow and let it look for its devices, without its notes; later imports are silent by themselves.

    Commands call this once they have refused what can be refused without TensorFlow. No setting of it is changed.
    """
    with silenced_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()


def set_tf32(wanted: bool) -> None:
    """Let GPUs from Ampere on multiply float32 with 10 bits of mantissa (TF32) or not, in this whole process."""
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(wanted)


def uses_tf32() -> bool:
    """Whether float32 products are rounded so: it is switched on, as TensorFlow has it, and a GPU here can do it."""
    import tensorflow as tf

    if not tf.config.experimental.tensor_float_32_execution_enabled():
        return False
    gpus = tf.config.list_physical_devices("GPU")
    found = (tf.config.experimental.get_device_details(gpu).get("compute_capability") for gpu in gpus)
    # One that does not say which it is may be new.
    return any(capability is None or capability >= (8, 0) for capability in found)
