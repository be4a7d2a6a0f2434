"""Measure how long `predict` takes for a photo, with and without its start, and whether its memory grows.

Each is measured in a new process that never imports TensorFlow, as users run it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rac_unet.core.errors import UserError

SIDE = 1024  # one megapixel
_STARTS = 5

# Prints a JSON line. The photo is shifted by a pixel each time, so that consecutive calls get different inputs.
_RUNNING = """
import json, sys, time
import numpy as np
from rac_unet.photos.reading import read_photo
from rac_unet.unmasking.photo import Unmasker
file, model, threads, count = sys.argv[1], sys.argv[2] or None, int(sys.argv[3]) or None, int(sys.argv[4])
photo, unmasker = read_photo(file), Unmasker(model, threads)
def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
seconds, painted, middle = [], 0, 0.0
for i in range(count):
    shifted = np.roll(photo, i % 17, axis=1)
    start = time.perf_counter()
    painted += unmasker.unmask(shifted).painted
    seconds.append(time.perf_counter() - start)
    if i == min(99, count // 2):
        middle = resident()
print(json.dumps({"seconds": seconds, "painted": painted, "growth": resident() - middle,
                  "tensorflow": "tensorflow" in sys.modules}))
"""


def photo_speed(scratch: Path, model: Path | None, photo_count: int) -> dict[str, float | int | bool]:
    """Measure the times for a photo of one megapixel with one masked face.

    Args:
        scratch: folder for the photo and the results.
        model: run directory or export; None for the published network.
        photo_count: photos one after the other, of which the first 10 are not timed.
    Returns: milliseconds per photo on one thread and on all (median), seconds of the whole command (median of 5), and
        the megabytes by which the process grew after the 100th photo.
    Raises: UserError when the network finds no mask on the photo, or cannot be opened.
    """
    folder, count = scratch / "photos", photo_count
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "photo.png"
    _write_photo(file)
    one = _run(_RUNNING, str(file), str(model or ""), "1", str(min(count, 60)))
    every = _run(_RUNNING, str(file), str(model or ""), "0", str(count))
    starts = []
    for i in range(_STARTS):
        chosen = ["--model", str(model)] if model else []
        command = [sys.executable, "-m", "rac_unet.predict", str(file), "--output", str(folder / f"out{i}"), *chosen]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        starts.append(time.perf_counter() - start)
        if done.returncode:
            raise UserError(f"predict failed: {_last_line(done.stderr)}", "failed_check")
    return {
        "megapixels": SIDE * SIDE / 1e6,
        "milliseconds_one_thread": 1e3 * statistics.median(one["seconds"][10:]),
        "milliseconds_all_threads": 1e3 * statistics.median(every["seconds"][10:]),
        "seconds_from_start_to_end": statistics.median(starts),
        "photos_in_a_row": count,
        "megabytes_grown_after_the_100th": every["growth"],
        "tensorflow_imported": one["tensorflow"] or every["tensorflow"],
    }


def _write_photo(file: Path) -> None:
    """Write a toy face with a mask, as large as in a portrait, with a plain background."""
    import cv2

    from rac_unet.synthesis.masks.painting import paint_mask
    from rac_unet.synthesis.toys.face import draw_face

    face = draw_face(3, "happiness", 1, size=512)
    masked = paint_mask(face.image, face.points, "surgical", 1).image
    border = (SIDE - 512) // 2
    photo = cv2.copyMakeBorder(masked, border, border, border, border, cv2.BORDER_REPLICATE)
    cv2.imwrite(str(file), photo[..., ::-1])


def _run(code: str, *words: str) -> dict:
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"the photo could not be run: {_last_line(done.stderr)}", "failed_check")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    if not found["painted"]:
        raise UserError("the network found no mask on the photo of the benchmark; train it first", "empty")
    return found


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no error message"])[-1]
