"""BRISQUE: image quality without a reference. Needs the extra `brisque`.

Mittal, Moorthy and Bovik 2012 (doi:10.1109/TIP.2012.2214050), by the package `brisque`. Its support vector machine was
trained on photographs of about 768 x 512 pixels, so values of small aligned faces are only comparable with those of
other images of the same size, such as their ground truth.
"""

from __future__ import annotations

import functools
import threading
import warnings

import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.core.extras import install_command

# The package is not thread-safe.
_one_at_a_time = threading.Lock()


def require_brisque() -> None:
    """Raise UserError when the package is not installed."""
    _scorer()


def brisque(image: np.ndarray) -> np.ndarray:
    """Return the BRISQUE of each image; about 0 to 100, lower is better.

    Args:
        image: (B, H, W, 3) float RGB; clipped to [0, 1], but its contrast is not stretched.
    Returns: (B,) float64; NaN where it is undefined, as for an image of one colour.
    Raises: UserError when the package is not installed.
    """
    scorer = _scorer()
    pictures = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    with _one_at_a_time, warnings.catch_warnings(), np.errstate(all="ignore"):
        # A flat image divides by zero, and fits may not converge; neither is an error, the result can be NaN.
        warnings.simplefilter("ignore")
        values = np.array([scorer.score(picture) for picture in pictures], np.float64)
    return np.where(np.isfinite(values), values, np.nan)


@functools.cache
def _scorer():
    try:
        with warnings.catch_warnings():
            # It imports names that SciPy has deprecated.
            warnings.simplefilter("ignore")
            from brisque import BRISQUE
    except ImportError as error:
        raise UserError(
            f"--brisque needs the package brisque ({error}); install it with: {install_command('brisque')} (its "
            "libsvm is built with a C compiler)",
            "missing_extra",
        ) from None

    class Scorer(BRISQUE):
        def scale_features(self, features):
            # Some features are arrays of one number, which float() rejects since NumPy 2.4.
            low, high, values = (
                np.array([np.asarray(value, np.float64).item() for value in row])
                for row in (self.scale_params["min_"], self.scale_params["max_"], features)
            )
            return 2.0 * (values - low) / (high - low) - 1.0

    return Scorer(url=False)
