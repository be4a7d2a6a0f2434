"""Compare three ways to unmask clips whose truth is known: the figures, a strip of pictures, and the times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from rac_unet.benchmarks.clips.made_clips import MadeFrame, Still, make_clip
from rac_unet.benchmarks.clips.methods import METHODS, Result, unmask_by
from rac_unet.benchmarks.clips.steadiness import (
    flicker,
    in_view,
    likeness,
    region_in_view,
    sharpness,
    slow_flicker,
    stabilised,
    still_view,
)
from rac_unet.core.files.whole import write_file
from rac_unet.unmasking.clips.frame import Frame
from rac_unet.unmasking.photo import Unmasker

# Frames of a strip, evenly chosen; and the row of pixels that is shown over time, in shares of the view's height below
# its middle.
_SHOWN, _SLICE = 3, 0.21
# Changes from frame to frame are shown this many times as strong.
_STRONGER = 20
_QUALITY = 88
SOURCE, TRUTH = "source", "truth"


@dataclass(frozen=True)
class Row:
    """The figures of one method on one clip.

    Attributes:
        clip, method: their names.
        flicker: mean change from a frame to the next inside the mask, in grey levels, with the face standing still.
        slow_flicker: the same after a blur, of features without noise.
        sharpness: strength of fine features in grey levels.
        psnr: to the truth in dB; None without one.
        emotion_changes: how often the emotion changed from a frame to the next.
        unpainted: frames in which nothing was painted.
        milliseconds: per frame, on the threads of this run.
        flicker_to_source: flicker relative to the source's own.
        sharpness_to_single_frame: sharpness relative to `frame by frame`, both where they are painted.
    """

    clip: str
    method: str
    flicker: float
    slow_flicker: float
    sharpness: float
    psnr: float | None
    emotion_changes: int | None = None
    unpainted: int | None = None
    milliseconds: float | None = None
    flicker_to_source: float | None = None
    sharpness_to_single_frame: float | None = None


def compare_on(
    name: str, still: Still, path: str, unmasker: Unmasker, count: int, seed: int = 0
) -> tuple[list[Row], np.ndarray]:
    """Unmask a clip by every method.

    Args:
        name: of the clip.
        still: the face of the clip.
        path: of its motion, a name of `PATHS`.
        count: number of frames.
    Returns: a row for the source, one for the truth if it is known, and one per method; and the strip, (H, W, 3) uint8.
    """
    clip = list(make_clip(still, path, count=count, seed=seed))
    frames = [Frame(number, each.time, each.source) for number, each in enumerate(clip)]
    view, matrices = still_view(still.face), [each.matrix for each in clip]
    region = region_in_view(still.hidden, view)
    shown = {SOURCE: [each.source for each in clip]}
    if still.bare is not None:
        shown[TRUTH] = [each.truth for each in clip]
    results = {method: unmask_by(method, frames, unmasker) for method in METHODS}
    shown |= {method: result.frames for method, result in results.items()}
    seen = {key: stabilised(pictures, matrices, view) for key, pictures in shown.items()}
    single = _painted(results["frame by frame"])
    # Where single frames are not painted, they show the mask, which is no sharpness to compare with.
    sharp = sharpness(seen["frame by frame"][single], region) if single.any() else float("nan")
    rows = []
    for key, pictures in seen.items():
        result = results.get(key)
        psnr = likeness(pictures, seen[TRUTH], region) if TRUTH in seen and key != TRUTH else None
        row = Row(
            name, key, flicker(pictures, region), slow_flicker(pictures, region), sharpness(pictures, region), psnr
        )
        if result is not None:
            painted = _painted(result)
            own = sharpness(pictures[painted], region) if painted.any() else float("nan")
            row = replace(
                row,
                sharpness=own,
                emotion_changes=result.emotion_changes,
                unpainted=int((~painted).sum()),
                milliseconds=1e3 * result.seconds / count,
                flicker_to_source=row.flicker / flicker(seen[SOURCE], region),
                sharpness_to_single_frame=own / sharp,
            )
        rows.append(row)
    order = [key for key in (SOURCE, *METHODS, TRUTH) if key in shown]
    return rows, _strip({key: shown[key] for key in order}, clip, view)


def _painted(result: Result) -> np.ndarray:
    return np.array([each is not None for each in result.emotions])


def _strip(shown: dict[str, list[np.ndarray]], clip: list[MadeFrame], view: np.ndarray) -> np.ndarray:
    """Return a row of pictures per method: frames, the mean change between neighbours, a row of pixels over time."""
    chosen = np.linspace(0, len(clip) - 1, min(_SHOWN, len(clip))).round().astype(int)
    rows = []
    for caption, frames in shown.items():
        faces = [in_view(frame, each.matrix, view) for frame, each in zip(frames, clip, strict=True)]
        side = len(faces[0])
        soft = np.stack([cv2.GaussianBlur(face, (0, 0), 2.0).astype(np.float32) for face in faces])
        change = np.clip(_STRONGER * np.abs(np.diff(soft, axis=0)).mean((0, 3)), 0, 255).astype(np.uint8)
        change = cv2.cvtColor(cv2.applyColorMap(change, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
        line = round(side * (0.5 + _SLICE))
        over_time = np.stack([face[line] for face in faces])
        over_time = cv2.resize(over_time, (side, side), interpolation=cv2.INTER_NEAREST)
        gap = np.full((side, 6, 3), 255, np.uint8)
        row = np.hstack([*(faces[i] for i in chosen), gap, change, gap, over_time])
        label = np.full((18, row.shape[1], 3), 255, np.uint8)
        cv2.putText(label, caption, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
        rows += [label, row]
    return np.vstack(rows)


def write_strips(path: Path, strips: Iterable[np.ndarray]) -> None:
    """Write the strips of some clips side by side as a JPEG; shorter ones are filled with white."""
    strips = list(strips)
    tallest = max(len(strip) for strip in strips)
    filled = [
        cv2.copyMakeBorder(strip, 0, tallest - len(strip), 0, 12, cv2.BORDER_CONSTANT, value=(255, 255, 255))
        for strip in strips
    ]
    picture = cv2.cvtColor(np.hstack(filled), cv2.COLOR_RGB2BGR)
    write_file(path, cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes())
