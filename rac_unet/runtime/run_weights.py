"""A run's network with its trained weights, as a Keras model."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from rac_unet.core.errors import UserError, one_line
from rac_unet.core.registry import check_name
from rac_unet.core.rundir import RunDir

WEIGHTS = ("best", "last")


def load_network(run: RunDir, weights: str = "best"):
    """Rebuild a run's network under float32, whatever precision it was trained in, with its weights.

    Args:
        weights: `best` (lowest validation loss) or `last`.
    Returns: keras.Model, as `rac_unet.models.build` makes it.
    Raises: UserError when the weights are missing, damaged, not numbers, or of another network than config.yaml's.
    """
    config, file = run.config().model, weights_file(run, weights)
    from rac_unet.models import build_configured

    model = build_configured(config)
    try:
        with warnings.catch_warnings():
            # Keras warns of each container it misses, in thousands, and then raises for what is really missing.
            warnings.simplefilter("ignore")
            model.load_weights(file)
    except Exception as error:  # h5py and Keras fail in many ways of their own on a damaged file
        raise UserError(
            f"{file} is damaged, or not of the network in {run.config_file} ({one_line(error)}); "
            "use the other weights, restore the file, or continue the run with --resume",
            "unreadable",
        ) from error
    bad = [variable.path for variable in model.weights if not np.isfinite(variable.value.numpy()).all()]
    if bad:
        raise UserError(
            f"{file} holds values that are not numbers (first in {bad[0]}); use the other weights", "diverged"
        )
    return model


def weights_file(run: RunDir, weights: str) -> Path:
    """Path of a run's `best` or `last` weights; raises UserError when there are none of that name."""
    check_name("weights", weights, WEIGHTS)
    file = {"best": run.best_weights, "last": run.last_weights}[weights]
    if not file.is_file():
        raise UserError(
            f"{run.path} has no {weights} weights yet ({file.name}); finish one epoch, or --resume it", "missing"
        )
    return file
