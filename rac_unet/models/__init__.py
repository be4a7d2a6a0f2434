"""Networks: `build(name, **options)` makes any of them by name."""

from __future__ import annotations


def build(name: str, **options):
    """Build an untrained network.

    Args:
        name: a name from `rac_unet.config.MODELS`.
        **options: `filters`, `image_size`, `conditioned`.
    Returns: keras.Model with inputs by name (`masked_image`, and `emotion` when conditioned) and the output
        `{"inpainted_image": (B, H, W, 3) float32}`, unbounded; clip to [0, 1] to look at it.
    Raises: UserError naming the valid networks.
    """
    from rac_unet.config import MODELS, check_name, resolve

    check_name("model.name", name, MODELS)
    return resolve(MODELS, name)(**options)
