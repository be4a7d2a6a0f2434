"""Matrix products with full float32 precision, also on GPUs that use TF32 (10 bits of mantissa).

Structural losses subtract nearly equal means of squares, and with 10 bits the difference is noise. TensorFlow switches
TF32 for a whole process, not for one operation (`tf.matmul` takes no precision), and float64 is tens of times slower on
most GPUs. If TF32 is in use, each factor is therefore split into the part that TF32 keeps and the rest, and the three
relevant products are summed: three times the work of these small products, for errors of 2^-21 instead of 2^-11.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from rac_unet.models.backend import uses_tf32

# Bit mask of the sign, the exponent and the upper 10 bits of a float32's mantissa.
_KEPT = np.int32(-(1 << 13))


def times_matrix(x, matrix: np.ndarray):
    """Return x @ matrix.

    Args:
        x: (..., N) float32.
        matrix: (N, M) float32, constant.
    """
    return _exact(x, matrix, lambda a, b: _multiply(a, b), lambda gradient: times_matrix(gradient, matrix.T))


def matrix_times(matrix: np.ndarray, x):
    """Return matrix @ x.

    Args:
        matrix: (M, N) float32, constant.
        x: (..., N, K) float32.
    """
    return _exact(x, matrix, lambda a, b: _multiply(b, a), lambda gradient: matrix_times(matrix.T, gradient))


def _exact(x, matrix: np.ndarray, product: Callable, gradient: Callable):
    if not uses_tf32():
        return product(x, tf.constant(matrix))
    kept, rest = (tf.constant(part) for part in _split(tf.constant(matrix)))

    @tf.custom_gradient
    def compute(x):
        x_kept, x_rest = _split(x)
        return product(x_kept, kept) + (product(x_kept, rest) + product(x_rest, kept)), gradient

    return compute(x)


def _split(x):
    """Split each number into the part that TF32 keeps and the rest; their sum is the number."""
    kept = tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(x, tf.int32), _KEPT), tf.float32)
    return kept, x - kept


def _multiply(a, b):
    return tf.matmul(a, b)
