"""Show pictures and training curves in a notebook."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

_LABELS = {
    "loss": "training loss",
    "val_loss": "validation loss",
    "val_psnr_hole": "hole PSNR, dB",
    "val_psnr_composite": "composite PSNR, dB",
    "val_accuracy": "accuracy",
    "val_mean_class_accuracy": "mean accuracy of the emotions",
}


def show_pictures(*paths: str | os.PathLike) -> None:
    """Show picture files, each below its name; missing files are named."""
    from IPython.display import Image, display

    if not paths:
        print("no pictures yet; the first is written at the first validation")
    for path in map(Path, paths):
        print(path if path.is_file() else f"{path}: not found")
        if path.is_file():
            display(Image(data=path.read_bytes()))


def show_curve(history_file: str | os.PathLike) -> None:
    """Plot a run's history.csv: training and validation loss, and other measures on validation faces."""
    from IPython.display import Image, display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(history_file)
    if not path.is_file():
        print(f"{path} does not exist yet; it is written at the first validation")
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    epochs = [float(row["epoch"]) for row in rows]
    there = [name for name in _LABELS if rows and name in rows[0]]
    losses = [name for name in there if name.endswith("loss")]
    halves = {"loss": losses, "on validation faces": [name for name in there if name not in losses]}
    # Without pyplot, which would keep all figures of a long session in memory.
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, columns) in zip(figure.subplots(1, 2), halves.items(), strict=True):
        for name in columns:
            # Columns that only some versions of rac_unet wrote have empty cells.
            values = [float(row[name] or "nan") for row in rows]
            axes.plot(epochs, values, marker="o" if len(rows) < 40 else None, label=_LABELS[name])
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        if columns:
            axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=90)
    print(path)
    display(Image(data=picture.getvalue()))


def show_pairs(data: str | os.PathLike, output: str | os.PathLike) -> None:
    """Write a sheet with one pair of each emotion to the PNG file `output`, and show it.

    Args:
        data: folder of pairs with image files; TFRecords are not supported.
    """
    import cv2
    import numpy as np

    from rac_unet.data.pairs import read
    from rac_unet.reports.sheets import write_sheet

    pairs = read(data)
    # Shuffled, since one person's pictures often follow each other.
    rows = pairs.frame[pairs.has_truth].sample(frac=1, random_state=0).drop_duplicates("emotion")
    shown = pairs.take(rows.sort_values("emotion").index.to_numpy())
    if not len(shown):
        print("no pairs with ground truth to show")
        return
    columns = {
        name: np.stack([cv2.imread(path)[..., ::-1] for path in shown.paths(name)])
        for name in ("masked", "unmasked", "occlusion")
    }
    write_sheet(Path(output), columns, shown.frame["emotion"].astype(str).tolist(), f"{len(pairs):,} pairs")
    show_pictures(output)
