"""What can be chosen by name: networks, losses, feature extractors.

A table maps a name to 'module:function', resolved on first use, so that checking one never imports TensorFlow.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable

from rac_unet.core.errors import UserError

MODELS = {
    "rac_unet": "rac_unet.models.rac_unet:build_rac_unet",
    "ra_unet": "rac_unet.models.ra_unet:build_ra_unet",
    "a_unet": "rac_unet.models.a_unet:build_a_unet",
    "rac_unet_lite": "rac_unet.models.rac_unet_lite:build_rac_unet_lite",
}
# Those that can be conditioned on the emotion; their builders alone have that option.
LABELLED_MODELS = ("rac_unet", "rac_unet_lite")
LOSSES = {
    "chroma": "rac_unet.objectives.losses:chroma",
    "composite_psnr": "rac_unet.objectives.losses:composite_psnr",
    "hole_ssim": "rac_unet.objectives.losses:hole_ssim",
    "l1": "rac_unet.objectives.losses:l1",
    "hole_l1": "rac_unet.objectives.losses:hole_l1",
    "hole_l2": "rac_unet.objectives.losses:hole_l2",
    "ms_ssim": "rac_unet.objectives.losses:ms_ssim",
    "ms_ssim_l1": "rac_unet.objectives.losses:ms_ssim_l1",
    "occlusion": "rac_unet.objectives.mask_losses:occlusion",
    "painted_l1": "rac_unet.objectives.mask_losses:painted_l1",
    "perceptual": "rac_unet.objectives.losses:perceptual",
    "ssim": "rac_unet.objectives.losses:ssim",
    "unit_features": "rac_unet.objectives.losses:unit_features",
    "visible_emotion": "rac_unet.objectives.mask_losses:visible_emotion",
}
# These are also given the feature extractor, which is loaded for them alone.
FEATURE_LOSSES = ("perceptual", "unit_features")
# Networks that say what is hidden, and the losses of what they alone put out.
MASK_AWARE_MODELS = ("rac_unet_lite",)
MASK_LOSSES = ("occlusion", "painted_l1", "visible_emotion")
# Losses of what can be seen, which hold whatever emotion is asked for; the others compare with the ground truth.
SEEN_LOSSES = ("occlusion", "visible_emotion")
EXTRACTORS = ("vgg16", "vgg19")


def resolve(table: dict[str, str], name: str) -> Callable:
    """Import what a table entry 'module:function' names."""
    module, function = table[name].split(":")
    return getattr(importlib.import_module(module), function)


def check_name(where: str, name: str, valid) -> None:
    """Raise UserError unless `name` is among `valid`; suggests the nearest spelling and lists all."""
    if name in valid:
        return
    near = difflib.get_close_matches(str(name), [str(v) for v in valid], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UserError(f"{where}: unknown name {name!r}.{hint} Valid: {', '.join(map(str, valid))}", "unknown_name")


def check_label(name: str, conditioned: bool) -> None:
    """Raise UserError where a network is to be conditioned on a label that it does not take."""
    if conditioned and name not in LABELLED_MODELS:
        raise UserError(
            f"model.conditioned: {name} takes no emotion label; write --model.conditioned false, or choose a network "
            f"that takes one: {', '.join(LABELLED_MODELS)}",
            "mismatch",
        )


def check_terms(terms, model: str) -> None:
    """Raise UserError where a loss looks at something the network does not put out."""
    for name in terms:
        if name in MASK_LOSSES and model not in MASK_AWARE_MODELS:
            raise UserError(
                f"loss.terms: {name} needs a network that finds the mask ({', '.join(MASK_AWARE_MODELS)}). "
                f"Received: model.name={model!r}; choose from: {', '.join(n for n in LOSSES if n not in MASK_LOSSES)}",
                "mismatch",
            )


def check_features(features: str, weights: str, prefix: str = "") -> None:
    """Raise UserError unless these can name a feature extractor; whether the files exist is seen when they are needed.

    Args:
        prefix: of the options that name the two, for the message.
    """
    if not features.endswith(".keras"):
        check_name(f"{prefix}features", features, (*EXTRACTORS, "FILE.keras"))
    if not weights.endswith((".h5", ".keras")):
        check_name(f"{prefix}feature_weights", weights, ("imagenet", "none", "FILE.h5", "FILE.keras"))
