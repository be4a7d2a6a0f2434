"""Draw one pair on a face without a mask: props, a mask (or none), and degradation, as its plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rac_unet.pairing.mask_policy import NO_MASK, PairPlan

if TYPE_CHECKING:
    import numpy as np


class DrawnPair(NamedTuple):
    """The three images of a pair.

    Attributes:
        unmasked, masked: (H, W, 3) uint8 RGB, equal bit for bit where `occlusion` is 0.
        occlusion: (H, W) uint8, 255 where only the mask is visible, 0 where it is not.
    """

    unmasked: np.ndarray
    masked: np.ndarray
    occlusion: np.ndarray


def draw_pair(image: np.ndarray, points: np.ndarray, plan: PairPlan) -> DrawnPair:
    """Return the pair drawn by `plan`.

    Args:
        image: (H, W, 3) uint8 RGB, a face without a mask.
        points: (68, 2) iBUG-68 landmarks in pixels.
    Raises: UserError as `paint_mask` does.
    """
    import numpy as np

    from rac_unet.synthesis.degrade import degrade
    from rac_unet.synthesis.masks.painting import paint_mask
    from rac_unet.synthesis.props.placing import draw_props

    layers = [] if plan.props_seed is None else draw_props(image, points, plan.props_seed)
    unmasked = image
    for layer in layers:
        if not layer.over_mask:
            unmasked = layer.lay_over(unmasked)
    if plan.style == NO_MASK:
        masked, occlusion = unmasked, np.zeros(image.shape[:2], np.uint8)
    else:
        painted = paint_mask(unmasked, points, plan.style, plan.mask_seed)
        masked, occlusion = painted.image, painted.occlusion
    for layer in layers:
        if layer.over_mask:
            unmasked, masked = layer.lay_over(unmasked), layer.lay_over(masked)
            occlusion = np.rint(occlusion * (1 - layer.cover)).astype(np.uint8)
    masked = np.where(occlusion[..., None] == 0, unmasked, masked)
    if plan.degrade_seed is not None:
        unmasked, masked, occlusion = degrade(unmasked, masked, occlusion, plan.degrade_seed)
    return DrawnPair(unmasked, masked, occlusion)
