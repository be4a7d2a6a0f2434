"""Networks with non-trivial batch norm statistics, like trained ones, for tests that read exported files."""

import keras
import numpy as np


def randomised(model):
    """Return the network with random weights, none of them zero or one."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, value.shape) for value in layer.get_weights()])
        else:
            layer.set_weights([value + rng.normal(0, 0.1, value.shape) for value in layer.get_weights()])
    return model


def inputs(count=6, size=32, seed=0):
    """Return smooth images, like faces, each with an emotion."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((count, 4, 4, 3), np.float32)
    image = np.kron(coarse, np.ones((1, size // 4, size // 4, 1), np.float32))
    return {"masked_image": image, "emotion": np.eye(7, dtype=np.float32)[np.arange(count) % 7]}
