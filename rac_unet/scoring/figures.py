"""The figures a system is described by: name, heading, which direction is better, how many digits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A column of a table, of one number per picture or of one for all.

    Attributes:
        column: name in scores.csv, after the system's.
        heading: for people.
        higher: whether higher is better.
        digits: after the point; or significant ones, where `significant` says that the scale is not fixed.
        compared: whether `compare` shows it; `evaluate` shows them all.
        of_set: keys of metrics.json under which it is, where it is one number of all pictures, without an interval.
        of_truth: the same for what the truth itself has.
    """

    column: str
    heading: str
    higher: bool = True
    digits: int = 2
    percent: bool = False
    significant: bool = False
    compared: bool = True
    of_set: tuple[str, ...] = ()
    of_truth: tuple[str, ...] = ()

    @property
    def arrow(self) -> str:
        """The heading with an arrow in the better direction."""
        return f"{self.heading} {'↑' if self.higher else '↓'}"

    def text(self, value: float, sign: str = "") -> str:
        """The value with this figure's digits."""
        return f"{value:{sign}#.{self.digits}g}" if self.significant else f"{value:{sign}.{self.digits}f}"


ALL_FIGURES = (
    Figure("psnr_hole", "hole PSNR dB"),
    Figure("psnr_composite", "composite PSNR dB"),
    Figure("psnr_raw", "raw PSNR dB"),
    Figure("ssim_composite", "composite SSIM", digits=3),
    Figure("ms_ssim_composite", "composite MS-SSIM", digits=3),
    # Their scale is the extractor's own, from thousandths to hundreds.
    Figure("feature_distance_composite", "composite feature distance", higher=False, digits=4, significant=True),
    Figure("feature_distance_raw", "raw feature distance", higher=False, digits=4, significant=True, compared=False),
    Figure("unit_feature_distance_composite", "composite unit feature distance", higher=False, digits=3),
    Figure("brisque_composite", "composite BRISQUE", higher=False, digits=1),
    Figure("brisque_raw", "raw BRISQUE", higher=False, digits=1, compared=False),
    # Of networks that find the mask themselves.
    Figure("map_iou", "map IoU", digits=3),
    Figure("map_claims", "seen pixels claimed %", higher=False, percent=True),
    Figure("reads", "emotion accuracy %", digits=1, percent=True),
    Figure("obeyed", "control accuracy %", digits=1, percent=True),
    Figure("lower_face_distance", "lower-face distance %", higher=False, digits=1,
           of_set=("plausibility", "right_label"), of_truth=("plausibility", "floor")),
    Figure("lower_face_distance_asked", "lower-face distance on request %", higher=False, digits=1,
           of_set=("plausibility", "mean")),
)  # fmt: skip
FIGURES = tuple(figure for figure in ALL_FIGURES if figure.compared)
