"""Time both passes over a clip, on a given number of threads, in a new process."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path


def time_passes(size: tuple[int, int], threads: int, count: int, model: Path | None = None) -> dict[str, float | int]:
    """Measure the time of both passes over a clip with one face, without reading and writing the clip.

    Args:
        size: width and height of the frames.
        threads: number of threads of the networks and of OpenCV.
        count: number of frames.
        model: run directory or export; None for the published network.
    Returns: milliseconds per frame of the first and of the second pass, by the clock and of processor time, and frames
        per second of both together.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_time, size, threads, count, model).result()


def _time(size: tuple[int, int], threads: int, count: int, model: Path | None) -> dict[str, float | int]:
    import cv2

    from rac_unet.benchmarks.clips.made_clips import drawn_still, make_clip
    from rac_unet.unmasking.clips.frame import Frame
    from rac_unet.unmasking.clips.painting import ClipPainter
    from rac_unet.unmasking.clips.tracking import find_tracks
    from rac_unet.unmasking.photo import Unmasker

    cv2.setNumThreads(threads)
    unmasker = Unmasker(model, threads)
    clip = make_clip(drawn_still(), "talking", size, count=count)
    frames = [Frame(number, each.time, each.source) for number, each in enumerate(clip)]
    # The first run loads the networks.
    _ = [*ClipPainter(find_tracks(frames[:3], unmasker), unmasker).paint(frames[:3])]
    start, worked = time.perf_counter(), time.process_time()
    decisions = find_tracks(frames, unmasker)
    between, worked_between = time.perf_counter(), time.process_time()
    results = ClipPainter(decisions, unmasker).paint(frames)
    painted = sum(result is not frame.pixels for frame, result in zip(frames, results, strict=True))
    end, worked_end = time.perf_counter(), time.process_time()
    per_frame = 1e3 / count
    return {
        "width": size[0],
        "height": size[1],
        "threads": threads,
        "frames": count,
        "painted_frames": painted,
        "first_pass_ms": per_frame * (between - start),
        "second_pass_ms": per_frame * (end - between),
        "first_pass_processor_ms": per_frame * (worked_between - worked),
        "second_pass_processor_ms": per_frame * (worked_end - worked_between),
        "frames_per_second": count / (end - start),
    }
