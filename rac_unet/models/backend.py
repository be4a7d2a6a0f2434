"""TensorFlow, without its greetings."""

from __future__ import annotations

from rac_unet.quiet import silenced_stderr


def import_tensorflow() -> None:
    """Import TensorFlow and let it look for its devices, without its notes; later imports are silent by themselves.

    Commands call this once they have refused what can be refused without TensorFlow.
    """
    with silenced_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()
        # From Ampere on, GPUs would multiply float32 matrices with 10 bits of mantissa. The structural losses subtract
        # nearly equal means of squares, and with so few bits their variances come out negative.
        tf.config.experimental.enable_tensor_float_32_execution(False)
