"""Run directories without a training, for tests of what reads runs."""

import keras

from rac_unet.core.rundir import create
from rac_unet.models import build_configured


def untrained_run(folder, config):
    """A run directory with the weights of an untrained network."""
    run = create(folder, "tiny", config, {})
    keras.utils.set_random_seed(1)
    run.best_weights.parent.mkdir()
    build_configured(config.model).save_weights(run.best_weights)
    return run
