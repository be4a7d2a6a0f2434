"""Show pictures and curves below a notebook's cell."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

_WIDTH = 900


def show_pictures(*paths: str | os.PathLike) -> None:
    """Show picture files, each below its name; one that is not there is said to be missing."""
    from IPython.display import Image, display

    if not paths:
        print("no picture yet; the first is made at the first validation")
    for path in map(Path, paths):
        print(path if path.is_file() else f"{path}: not there")
        if path.is_file():
            display(Image(data=path.read_bytes(), width=_WIDTH))


def show_curve(history_file: str | os.PathLike) -> None:
    """Draw a run's history.csv: loss in training and validation, and what else was measured on validation faces."""
    from IPython.display import Image, display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(history_file)
    if not path.is_file():
        print(f"{path}: not there yet; it is written at the first validation")
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    epochs = [float(row["epoch"]) for row in rows]
    names = list(rows[0]) if rows else []
    scores = [name for name in names if name.startswith("val_psnr") or name.endswith("accuracy")]
    # No pyplot, which would keep every figure of a long session.
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, columns in zip(figure.subplots(1, 2), (["loss", "val_loss"], scores), strict=True):
        for name in columns:
            values = [float(row[name]) for row in rows if name in row]
            axes.plot(epochs, values, marker="o" if len(rows) < 40 else None, label=name)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        if columns:
            axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=90)
    print(path)
    display(Image(data=picture.getvalue()))


def show_pairs(data: str | os.PathLike, output: str | os.PathLike) -> None:
    """Draw one pair of each emotion to the PNG `output` and show it.

    Args:
        data: folder of pairs as images; TFRecord shards are not read here.
    """
    import cv2
    import numpy as np

    from rac_unet.data.pairs import read
    from rac_unet.scoring.sheets import write_sheet

    pairs = read(data)
    rows = pairs.frame.drop_duplicates("emotion").index.to_numpy()
    shown = pairs.take(rows).with_truth()
    if not len(shown):
        print("no pair with a truth to show")
        return
    columns = {
        name: np.stack([cv2.imread(path)[..., ::-1] for path in shown.paths(name)])
        for name in ("masked", "unmasked", "occlusion")
    }
    write_sheet(Path(output), columns, shown.frame["emotion"].astype(str).tolist(), f"{len(pairs):,} pairs")
    show_pictures(output)
