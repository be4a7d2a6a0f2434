"""Write a sample sheet as one PNG or JPEG: a row per face, a captioned column per kind of picture."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from rac_unet.core.files.whole import replace_file

TILE_INCHES = 1.3
# Pixels of a sheet per pixel of a picture, so that details of small faces can be seen.
ZOOM = 1.6
# For a JPEG, with many faces: largest tile in pixels, and quality. 24 rows of nine tiles are about 600 kB.
LARGE_TILE = 160
JPEG_QUALITY = 88


def write_sheet(path: Path, columns: dict[str, np.ndarray], rows: list[str], title: str = "") -> None:
    """Write a sheet.

    Args:
        path: PNG or JPEG to write; tiles of a JPEG are at most `LARGE_TILE` pixels wide.
        columns: caption -> (N, S, S, 3) pictures, float in [0, 1] (clipped) or uint8.
        rows: N labels, written to the left of the rows.
        title: written at the top; empty for none.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pictures = list(columns.values())
    is_jpeg = path.suffix == ".jpg"
    size = max(pictures[0].shape[1], 96) * ZOOM
    if is_jpeg:
        size = min(size, LARGE_TILE)
    height, width = len(rows) * TILE_INCHES + 0.4, len(columns) * TILE_INCHES + 1.0
    # Without pyplot, so that the figures and the backend of a notebook are not changed.
    figure = Figure(figsize=(width, height), dpi=size / TILE_INCHES, facecolor="white")
    FigureCanvasAgg(figure)
    if title:
        figure.text(0.01, 1 - 0.04 / height, title, fontsize=7, va="top", color="0.35")
    for x, (caption, images) in enumerate(columns.items()):
        for y, image in enumerate(images):
            left, bottom = 1.0 + x * TILE_INCHES, (len(rows) - 1 - y) * TILE_INCHES
            box = [left / width, bottom / height, TILE_INCHES * 0.98 / width, TILE_INCHES * 0.98 / height]
            axes = figure.add_axes(box)
            axes.set_axis_off()
            if image.dtype != np.uint8:
                image = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
            axes.imshow(image, interpolation="lanczos")
            if y == 0:
                axes.set_title(caption, fontsize=8, pad=3)
    for y, label in enumerate(rows):
        middle = (len(rows) - 1 - y + 0.5) * TILE_INCHES / height
        figure.text(0.94 / width, middle, label, fontsize=8, ha="right", va="center")
    content = io.BytesIO()
    if is_jpeg:
        figure.savefig(content, format="jpeg", pil_kwargs={"quality": JPEG_QUALITY, "optimize": True})
    else:
        figure.savefig(content, format="png")
    replace_file(path, lambda temporary: temporary.write_bytes(content.getvalue()))
