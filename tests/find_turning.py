"""Find the direction along which generated heads turn, and write data_prep/making/turning.npy.

    python -m data_prep.generated --wheel W --output D --count 2000 --seed 21
    python -m tests.find_turning W D

Prints how well the yaw of every fourth face is predicted from the other faces.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from data_prep.making.face_generator import LABELS_FILE, draw_latent, open_generator
from data_prep.making.turning import FILE, find_turning, head_yaw
from rac_unet.core.errors import run_command
from rac_unet.faces.detect import FaceDetector
from rac_unet.photos.reading import read_photo


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.find_turning", description=__doc__.split("\n")[0])
    parser.add_argument("wheel", help="random_face-….whl")
    parser.add_argument("faces", type=Path, help="folder written by data_prep.generated")
    options = parser.parse_args(arguments)
    generator, detector = open_generator(options.wheel), FaceDetector()
    settings = json.loads((options.faces / "prep.json").read_text())
    latents, yaws = [], []
    with (options.faces / LABELS_FILE).open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        number = int(row["identity"].split("-")[-1])
        _, noise, truncation = draw_latent(settings["seed"], number, *settings["truncation"])
        found = detector.detect(read_photo(options.faces / row["path"]))
        if len(found) == 1:
            latents.append(generator.latent(noise, truncation))
            yaws.append(head_yaw(found[0].points))
    latents, yaws = np.stack(latents), np.array(yaws)
    fourth = np.arange(len(yaws)) % 4 == 3
    held_out = latents[fourth] @ find_turning(latents[~fourth], yaws[~fourth]).reading
    print(f"correlation with the yaw of {fourth.sum()} held-out faces: {np.corrcoef(held_out, yaws[fourth])[0, 1]:.3f}")
    find_turning(latents, yaws).save(FILE)
    print(f"wrote {FILE.name}")
    return 0


if __name__ == "__main__":
    run_command(main)
