"""Networks: `build(name, **options)` makes any of them by name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rac_unet.core.config import ModelConfig


def build(name: str, **options):
    """Build an untrained network.

    Args:
        name: a name from `rac_unet.core.registry.MODELS`.
        **options: `filters`, `image_size`, and `conditioned`, which can be true only if its row says that it takes a
            label.
    Returns: keras.Model with inputs by name (`masked_image`, and `emotion` when conditioned) and the outputs of its
        row by name, of which `inpainted_image`, (B, H, W, 3) float32, is unbounded; clip it to [0, 1] to look at it.
    Raises: UserError naming the valid networks, or those that take a label where this one does not.
    """
    from rac_unet.core.registry import MODELS, check_label, check_name, resolve

    check_name("model.name", name, MODELS)
    network = MODELS[name]
    if not network.takes_label:
        check_label(name, options.pop("conditioned", False))
    return resolve(network.builder)(**options)


def build_configured(model: ModelConfig, precision: str = "float32"):
    """Build the untrained network that a config's model section describes; see `build`.

    Args:
        precision: float32, mixed_bfloat16 or mixed_float16.
    """
    options = asdict(model)
    with built_under(precision):
        return build(options.pop("name"), **options)


@contextlib.contextmanager
def built_under(precision: str) -> Iterator[None]:
    """Set Keras's global precision policy for the building of a network alone.

    Layers remember the policy they were built under and an exported model would carry it along.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
