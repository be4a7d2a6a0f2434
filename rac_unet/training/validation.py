"""Score the validation split during training, and draw the sample sheet."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset
from rac_unet.reports.sheets import write_sheet
from rac_unet.scoring.metrics import compose, is_masked, psnr
from rac_unet.scoring.shown_faces import faces_to_show


def validate(
    infer, pairs: PairSet, pictures: Pictures, batch_size: int, terms: list[str], sheet: Path | None, title: str
) -> dict[str, float]:
    """Return the mean scores over a split.

    Args:
        infer: `TrainingStep.infer`.
        pairs, pictures: the split.
        batch_size: batch size of one device.
        terms: names of the loss terms.
        sheet: file of the sample sheet, which always shows the same faces; None for no sheet.
        title: heading of the sheet.
    Returns: `val_loss`, `val_<term>`, and `val_psnr_composite` and `val_psnr_hole` in dB over the images with hidden
        pixels; NaN if there are none.
    """
    rows, composite, hole = [], [], []
    chosen = faces_to_show(pairs)
    shown: dict[int, tuple[np.ndarray, ...]] = {}
    seen = 0
    for inputs, targets, image, values in infer(make_scoring_dataset(pairs, pictures, batch_size)):
        image, truth = np.clip(image.numpy(), 0, 1), targets["unmasked_image"].numpy()
        occlusion = targets["occlusion"].numpy()
        rows.append(values.numpy())
        # Without a mask, the composite is the ground truth itself.
        masked_only = is_masked(occlusion)
        composite.append(psnr(truth, compose(truth, image, occlusion))[masked_only])
        hole.append(psnr(truth, image, occlusion > 0)[masked_only])
        for i in range(len(truth)):
            if seen + i in chosen:
                shown[seen + i] = inputs["masked_image"].numpy()[i], image[i], truth[i], occlusion[i]
        seen += len(truth)
    if sheet:
        masked, image, truth, occlusion = (np.stack(column) for column in zip(*(shown[i] for i in chosen), strict=True))
        columns = {"masked": masked, "painted": image, "pasted": compose(truth, image, occlusion), "truth": truth}
        write_sheet(sheet, columns, [pairs[i].emotion for i in chosen], title)
    means = np.concatenate(rows).mean(0)
    scores = dict(zip(["val_loss", *(f"val_{name}" for name in terms)], (float(m) for m in means), strict=True))
    for name, parts in (("val_psnr_composite", composite), ("val_psnr_hole", hole)):
        values = np.concatenate(parts)
        scores[name] = float(values.mean()) if len(values) else math.nan
    return scores


def decibels(value: float) -> str:
    """Format a PSNR; a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.2f} dB"
