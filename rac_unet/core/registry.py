"""Tables of everything that can be chosen by name: networks, losses, feature extractors, emotion classifiers.

A row names its function as 'module:function', resolved on first use, so that checking a name never imports TensorFlow.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass

from rac_unet.core.errors import UserError


@dataclass(frozen=True)
class Network:
    """A network that can be chosen.

    Attributes:
        builder: function of `filters`, `image_size` and, if it takes a label, `conditioned`; returns a keras.Model.
        takes_label: whether it can be conditioned on the emotion.
        outputs: names of its outputs.
        enlarges: the network with whose weights it can start, at half the side; it then paints what that one paints.
        side_multiple: the side of its images is a multiple of this number of pixels, and at least twice the number.
    """

    builder: str
    takes_label: bool
    outputs: tuple[str, ...] = ("inpainted_image",)
    side_multiple: int = 16
    enlarges: str | None = None

    @property
    def finds_mask(self) -> bool:
        """Whether it predicts which pixels are hidden."""
        return "occlusion" in self.outputs


@dataclass(frozen=True)
class Loss:
    """A loss term that can be chosen.

    Attributes:
        function: `(targets, outputs) -> (B,) float32`; with a keyword argument `extractor` if it needs features.
        output: the network's output that it scores; networks without that output cannot be trained with it.
        needs_features: whether it compares feature maps; the feature extractor is loaded for such losses only.
        any_label: whether it is valid for any requested emotion, since it scores what the visible pixels show; other
            losses compare with the ground truth, which shows a single emotion.
    """

    function: str
    output: str = "inpainted_image"
    needs_features: bool = False
    any_label: bool = False


_MASK_AWARE = ("inpainted_image", "occlusion", "painted_image", "visible_emotion")
MODELS = {
    "rac_unet": Network("rac_unet.models.rac_unet:build_rac_unet", takes_label=True),
    "ra_unet": Network("rac_unet.models.ra_unet:build_ra_unet", takes_label=False),
    "a_unet": Network("rac_unet.models.a_unet:build_a_unet", takes_label=False),
    "rac_unet_lite": Network(
        "rac_unet.models.rac_unet_lite:build_rac_unet_lite",
        takes_label=True,
        outputs=_MASK_AWARE,
    ),
    "rac_unet_portrait": Network(
        "rac_unet.models.rac_unet_portrait:build_rac_unet_portrait",
        takes_label=True,
        outputs=_MASK_AWARE,
        side_multiple=32,
        enlarges="rac_unet_lite",
    ),
}
LOSSES = {
    "chroma": Loss("rac_unet.objectives.losses:chroma"),
    "composite_psnr": Loss("rac_unet.objectives.losses:composite_psnr"),
    "hole_ssim": Loss("rac_unet.objectives.losses:hole_ssim"),
    "l1": Loss("rac_unet.objectives.losses:l1"),
    "hole_l1": Loss("rac_unet.objectives.losses:hole_l1"),
    "hole_l2": Loss("rac_unet.objectives.losses:hole_l2"),
    "ms_ssim": Loss("rac_unet.objectives.losses:ms_ssim"),
    "ms_ssim_l1": Loss("rac_unet.objectives.losses:ms_ssim_l1"),
    "occlusion": Loss("rac_unet.objectives.mask_losses:occlusion", output="occlusion", any_label=True),
    "painted_l1": Loss("rac_unet.objectives.mask_losses:painted_l1", output="painted_image"),
    "perceptual": Loss("rac_unet.objectives.losses:perceptual", needs_features=True),
    "ssim": Loss("rac_unet.objectives.losses:ssim"),
    "unit_features": Loss("rac_unet.objectives.losses:unit_features", needs_features=True),
    "visible_emotion": Loss(
        "rac_unet.objectives.mask_losses:visible_emotion", output="visible_emotion", any_label=True
    ),
}
EXTRACTORS = ("vgg16", "vgg19")
CLASSIFIERS = {
    "resnet18": "rac_unet.models.classifiers.resnet18:build_resnet18",
    "small_reader": "rac_unet.models.classifiers.small_reader:build_small_reader",
}


def resolve(place: str) -> Callable:
    """Import the function that 'module:function' names."""
    module, function = place.split(":")
    return getattr(importlib.import_module(module), function)


def check_name(where: str, name: str, valid) -> None:
    """Raise UserError unless `name` is among `valid`; suggests the nearest spelling and lists all."""
    if name in valid:
        return
    near = difflib.get_close_matches(str(name), [str(v) for v in valid], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UserError(f"{where}: unknown name {name!r}.{hint} Valid: {', '.join(map(str, valid))}", "unknown_name")


def check_label(name: str, conditioned: bool) -> None:
    """Raise UserError if a network that takes no label is to be conditioned on one."""
    if conditioned and not MODELS[name].takes_label:
        others = ", ".join(other for other, network in MODELS.items() if network.takes_label)
        raise UserError(
            f"model.conditioned: {name} takes no emotion label; write --model.conditioned false, or choose a network "
            f"that takes one: {others}",
            "mismatch",
        )


def check_terms(terms, model: str) -> None:
    """Raise UserError if a loss scores an output that the network does not have."""
    given = MODELS[model].outputs
    for name in terms:
        output = LOSSES[name].output
        if output not in given:
            others = ", ".join(other for other, network in MODELS.items() if output in network.outputs)
            valid = ", ".join(other for other, loss in LOSSES.items() if loss.output in given)
            raise UserError(
                f"loss.terms: {name} needs a network with the output {output} ({others}). Received: "
                f"model.name={model!r}; choose from: {valid}",
                "mismatch",
            )


def check_features(features: str, weights: str, prefix: str = "") -> None:
    """Raise UserError unless these can name a feature extractor; files are looked for when they are needed.

    Args:
        prefix: of the options that name the two, for the message.
    """
    if not features.endswith(".keras"):
        check_name(f"{prefix}features", features, (*EXTRACTORS, "FILE.keras"))
    if not weights.endswith((".h5", ".keras")):
        check_name(f"{prefix}feature_weights", weights, ("imagenet", "none", "FILE.h5", "FILE.keras"))
