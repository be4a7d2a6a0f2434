"""The table of metrics: how each is computed and when, its heading, direction, digits and unit.

`evaluate`, `compare`, their tables and the comparison page read this table. To add a metric of one number per image,
write a function of a `View` and a row of `METRICS`. Rows without a function are computed elsewhere: emotion and control
accuracy in `evaluation.py`, lower-face distances in `emotions/plausibility.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rac_unet.scoring import metrics
from rac_unet.scoring.brisque import brisque

if TYPE_CHECKING:
    import pandas as pd

# Whose images a column is about, in addition to the baselines.
NETWORK, TRUTH = "network", "truth"
RAW, COMPOSITE = "raw", "composite"
# What a metric needs to be available.
ALWAYS, MAP, FEATURES, BRISQUE = "always", "map", "features", "brisque"
JUDGE, CONTROL, PLAUSIBILITY = "judge", "control", "plausibility"


class GroundTruth:
    """The ground truth of a batch, against which the images of every system are scored.

    Attributes:
        image: (B, S, S, 3) float32 in [0, 1].
        hidden: (B, S, S, 1) bool, where occlusion is above 0.
        extractor: from `rac_unet.objectives.features.load_extractor`; None for no feature distances.
        feature_maps: the extractor's maps of `image`; None without one.
    """

    def __init__(self, image: np.ndarray, occlusion: np.ndarray, extractor=None):
        self.image, self.hidden, self.extractor = image, occlusion > 0, extractor
        self.feature_maps = extractor.maps(image) if extractor else None


class View:
    """One view, raw or composite, of a system's images: the input of a metric.

    Attributes:
        truth: the ground truth of the same images.
        image: (B, S, S, 3) float32 in [0, 1].
        predicted_map: (B, S, S, 1) in [0, 1], the system's map of the mask; None if it does not predict one.
    """

    def __init__(self, truth: GroundTruth, image: np.ndarray, predicted_map: np.ndarray | None = None):
        self.truth, self.image, self.predicted_map = truth, image, predicted_map

    @functools.cached_property
    def feature_maps(self) -> list:
        """The extractor's maps of `image`, computed once for all metrics."""
        return self.truth.extractor.maps(self.image)


def _hole_psnr(view: View) -> np.ndarray:
    return metrics.psnr(view.truth.image, view.image, view.truth.hidden)


def _psnr(view: View) -> np.ndarray:
    return metrics.psnr(view.truth.image, view.image)


def _ssim(view: View) -> np.ndarray:
    return metrics.ssim(view.truth.image, view.image)


def _ms_ssim(view: View) -> np.ndarray:
    return metrics.ms_ssim(view.truth.image, view.image)


def _feature_distance(view: View) -> np.ndarray:
    from rac_unet.objectives.features import map_distance

    return map_distance(view.truth.feature_maps, view.feature_maps).numpy()


def _unit_feature_distance(view: View) -> np.ndarray:
    from rac_unet.objectives.features import unit_map_distance

    return unit_map_distance(view.truth.feature_maps, view.feature_maps).numpy()


def _brisque(view: View) -> np.ndarray:
    return brisque(view.image)


def _map_iou(view: View) -> np.ndarray:
    return metrics.map_iou(view.truth.hidden, view.predicted_map)


def _map_claims(view: View) -> np.ndarray:
    return metrics.map_claims(view.truth.hidden, view.predicted_map)


def _ms_ssim_setting(_scores: pd.DataFrame, image_size: int) -> dict[str, int]:
    from rac_unet.objectives.ssim import MS_SSIM_WINDOW, scales_that_fit

    return {"window": MS_SSIM_WINDOW, "scales": scales_that_fit(image_size)}


def _brisque_setting(scores: pd.DataFrame, _image_size: int) -> str:
    undefined = int(scores["network_brisque_raw"].isna().sum())
    return "clipped to [0, 1], not stretched" + (f"; undefined for {undefined} painted pictures" if undefined else "")


@dataclass(frozen=True)
class Metric:
    """A row of the table.

    Attributes:
        name: column of scores.csv, after the system's name, and key of metrics.json.
        heading: of tables and plots, without the unit.
        measure: function from a `View` to (B,) numbers, one per image; None if judges read it, or if it is one number
            for all images.
        view: the view that is measured. A composite metric is NaN if nothing is hidden.
        needs: condition of being available, one of the names above.
        unit: dB, % or empty.
        scale: factor from stored values to this unit.
        higher: whether higher is better.
        digits: number of decimals; of significant digits if `significant`, for metrics without a fixed scale.
        significant: see `digits`.
        printed, compared: whether `evaluate` prints it and `compare` shows it; scores.csv and metrics.json have all.
        truth_name: name of the ground truth's column, if it differs; then the metric of the ground truth is computed.
        is_label: the column has the emotion that a judge reads; correct if it equals the image's label.
        of_set: whose images -> keys of metrics.json, for one number for all images, which has no interval.
        setting: key of metrics.json's `settings`, and a function from the table of scores.csv and the image size to its
            value, which describes how all views of the metric are computed.
    """

    name: str
    heading: str
    measure: Callable[[View], np.ndarray] | None = None
    view: str = RAW
    needs: str = ALWAYS
    unit: str = ""
    scale: float = 1
    higher: bool = True
    digits: int = 2
    significant: bool = False
    printed: bool = True
    compared: bool = True
    truth_name: str = ""
    is_label: bool = False
    of_set: dict[str, tuple[str, ...]] = field(default_factory=dict)
    setting: tuple[str, Callable[[pd.DataFrame, int], Any]] | None = None

    @property
    def title(self) -> str:
        """Heading with its unit."""
        return f"{self.heading} {self.unit}".rstrip()

    @property
    def arrow(self) -> str:
        """Title with an arrow in the better direction."""
        return f"{self.title} {'↑' if self.higher else '↓'}"

    def text(self, value: float, sign: str = "") -> str:
        """Format a value in this metric's unit, with its digits."""
        return f"{value:{sign}#.{self.digits}g}" if self.significant else f"{value:{sign}.{self.digits}f}"

    def column(self, who: str = NETWORK) -> str:
        """Return the column of scores.csv with this metric of a system or of the ground truth."""
        return f"{who}_{self.truth_name if who == TRUTH and self.truth_name else self.name}"

    def values(self, scores: pd.DataFrame, who: str = NETWORK) -> np.ndarray | None:
        """Return (N,) float64 in this metric's unit, NaN where undefined; None if scores.csv has no such column."""
        column = scores.get(self.column(who))
        if column is None:
            return None
        column = column == scores["emotion"] if self.is_label else column
        return column.to_numpy(np.float64) * self.scale

    def set_value(self, found: dict[str, Any], who: str = NETWORK) -> float | None:
        """Return the one number for all images in metrics.json; None if there is none."""
        keys: tuple[str, ...] = self.of_set.get(who, ())
        value: Any = found if keys else None
        for key in keys:
            value = (value or {}).get(key)
        return value


# Name of control accuracy in scores.csv and metrics.json, as the first published results spell it.
CONTROL_ACCURACY = "obeyed"
METRICS = (
    Metric("psnr_hole", "hole PSNR", _hole_psnr, unit="dB",
           setting=("psnr", lambda *_: "dB for a peak of 1; per picture, then mean; hidden = occlusion > 0")),
    Metric("psnr_composite", "composite PSNR", _psnr, COMPOSITE, unit="dB"),
    Metric("psnr_raw", "raw PSNR", _psnr, unit="dB"),
    Metric("ssim_composite", "composite SSIM", _ssim, COMPOSITE, digits=3,
           setting=("ssim", lambda *_: {"window": 11, "sigma": 1.5})),
    Metric("ssim_raw", "raw SSIM", _ssim, digits=3, printed=False, compared=False),
    Metric("ms_ssim_composite", "composite MS-SSIM", _ms_ssim, COMPOSITE, digits=3,
           setting=("ms_ssim", _ms_ssim_setting)),
    Metric("ms_ssim_raw", "raw MS-SSIM", _ms_ssim, digits=3, printed=False, compared=False),
    # Its scale depends on the extractor, from thousandths to hundreds.
    Metric("feature_distance_composite", "composite feature distance", _feature_distance, COMPOSITE, FEATURES,
           higher=False, digits=4, significant=True,
           setting=("feature_distance", lambda *_: "L1 between feature maps, mean over each, summed over depths")),
    Metric("feature_distance_raw", "raw feature distance", _feature_distance, RAW, FEATURES, higher=False, digits=4,
           significant=True, compared=False),
    Metric("unit_feature_distance_composite", "composite unit feature distance", _unit_feature_distance, COMPOSITE,
           FEATURES, higher=False, digits=3,
           setting=("unit_feature_distance", lambda *_: "squared difference of features of unit length, mean over "
                    "places, summed over depths")),
    Metric("unit_feature_distance_raw", "raw unit feature distance", _unit_feature_distance, RAW, FEATURES,
           higher=False, digits=3, printed=False, compared=False),
    Metric("brisque_composite", "composite BRISQUE", _brisque, COMPOSITE, BRISQUE, higher=False, digits=1,
           truth_name="brisque", setting=("brisque", _brisque_setting)),
    Metric("brisque_raw", "raw BRISQUE", _brisque, RAW, BRISQUE, higher=False, digits=1, compared=False),
    Metric("map_iou", "map IoU", _map_iou, RAW, MAP, digits=3),
    Metric("map_claims", "map false positives", _map_claims, RAW, MAP, unit="%", scale=100, higher=False),
    Metric("reads", "emotion accuracy", None, COMPOSITE, JUDGE, unit="%", scale=100, digits=1, is_label=True),
    Metric(CONTROL_ACCURACY, "control accuracy", None, COMPOSITE, CONTROL, unit="%", scale=100, digits=1),
    Metric("lower_face_distance", "lower-face distance", None, COMPOSITE, PLAUSIBILITY, unit="%", higher=False,
           digits=1, of_set={NETWORK: ("plausibility", "right_label"), TRUTH: ("plausibility", "floor")}),
    Metric("lower_face_distance_asked", "lower-face distance on request", None, COMPOSITE, PLAUSIBILITY, unit="%",
           higher=False, digits=1, of_set={NETWORK: ("plausibility", "mean")}),
)  # fmt: skip
BY_NAME = {metric.name: metric for metric in METRICS}
COMPARED = tuple(metric for metric in METRICS if metric.compared)
# The main metric, since known pixels raise all others.
MAIN = BY_NAME["psnr_hole"]


def score_images(
    truth: GroundTruth, image: np.ndarray, predicted_map: np.ndarray | None = None, given: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Compute all available metrics of a system's images, one number per image.

    Args:
        truth: the ground truth.
        image: (B, S, S, 3) float; clipped to [0, 1].
        predicted_map: (B, S, S, 1) in [0, 1]; None if the system does not predict the mask.
        given: optional conditions that are met: FEATURES (`truth` has an extractor), BRISQUE (requested and installed).
    Returns: name of the metric -> (B,). Metrics of the composite and of the hole are NaN if nothing is hidden.
    """
    image = np.clip(image, 0, 1).astype(np.float32)
    composite = metrics.compose(truth.image, image, truth.hidden)
    views = {RAW: View(truth, image, predicted_map)}
    # For the masked input and for Telea's inpainting both views are the same image.
    same = np.array_equal(image, composite)
    views[COMPOSITE] = views[RAW] if same else View(truth, composite, predicted_map)
    available = {ALWAYS, *given, *([] if predicted_map is None else [MAP])}
    measured: dict[tuple, np.ndarray] = {}
    scores = {}
    # If nothing is hidden, the composite is the ground truth, whose perfect scores would raise every mean.
    masked = metrics.is_masked(truth.hidden)
    for metric in METRICS:
        if metric.measure and metric.needs in available:
            view = views[metric.view]
            if (metric.measure, view) not in measured:
                measured[metric.measure, view] = metric.measure(view)
            values = measured[metric.measure, view]
            is_void = metric.view == COMPOSITE and not masked.all()
            scores[metric.name] = np.where(masked, values, np.nan) if is_void else values
    return scores


def score_truth(truth: GroundTruth, given: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Compute the no-reference metrics of the ground truth itself: column of scores.csv -> (B,)."""
    found = {}
    for metric in METRICS:
        if metric.measure and metric.truth_name and metric.needs in given:
            found[metric.column(TRUTH)] = metric.measure(View(truth, truth.image))
    return found


def describe_settings(scores: pd.DataFrame, image_size: int) -> dict[str, Any]:
    """Describe how metrics were computed and their better direction, for metrics.json's `settings`."""
    there = [metric for metric in METRICS if metric.setting and metric.column() in scores]
    higher = [metric.setting[0] for metric in there if metric.higher]
    lower = [metric.setting[0] for metric in there if not metric.higher]
    better = [f"higher for {', '.join(higher[:-1])} and {higher[-1]}", *(f"lower for {name}" for name in lower)]
    return {
        **{key: value(scores, image_size) for key, value in (metric.setting for metric in there)},
        "better": ", ".join(better),
    }
