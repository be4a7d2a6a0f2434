"""Load a run's network with its trained weights as a Keras model."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from rac_unet.core.errors import UserError, one_line
from rac_unet.core.registry import check_name
from rac_unet.core.rundir import RunDir, WeightsFile

WEIGHTS = ("best", "last")
_ADVICE_RUN = "use the other weights, restore the file, or continue the run with --resume"
_ADVICE_FILE = "restore the file, or put the config.yaml of its own run next to it"


def load_network(run: RunDir, weights: str = "best"):
    """Load a run's network with its weights, in float32 whatever precision it was trained in.

    Args:
        weights: `best` (lowest validation loss) or `last`.
    Returns: keras.Model of `rac_unet.models.build`.
    Raises: UserError when the weights are missing, damaged, non-finite, or do not match the network in config.yaml.
    """
    config, file = run.config().model, weights_file(run, weights)
    from rac_unet.models import build_configured

    model = build_configured(config)
    try:
        with warnings.catch_warnings():
            # Keras warns about each missing container, then raises an error for weights that are really missing.
            warnings.simplefilter("ignore")
            model.load_weights(file)
    except Exception as error:  # h5py and Keras raise many different classes for a damaged file
        raise UserError(
            f"{file} is damaged, or does not match the network in {run.config_file} ({one_line(error)}); "
            f"{_ADVICE_FILE if isinstance(run, WeightsFile) else _ADVICE_RUN}",
            "unreadable",
        ) from error
    bad = [variable.path for variable in model.weights if not np.isfinite(variable.value.numpy()).all()]
    if bad:
        raise UserError(
            f"{file} holds values that are not numbers (first in {bad[0]}); use the other weights", "diverged"
        )
    return model


def weights_file(run: RunDir, weights: str) -> Path:
    """Return the path of a run's `best` or `last` weights; raise UserError if the file does not exist."""
    check_name("weights", weights, WEIGHTS)
    file = {"best": run.best_weights, "last": run.last_weights}[weights]
    if not file.is_file():
        raise UserError(
            f"{run.path} has no {weights} weights yet ({file.name}); train it for at least one epoch (--resume)",
            "missing",
        )
    return file
