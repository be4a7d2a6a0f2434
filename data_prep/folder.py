"""Prepare a folder of labelled photos: find each face, cut it upright, paint masks, write pairs.

    python -m data_prep.folder --photos DIR --labels labels.csv --output D

Run it again after an interruption and it goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.arguments import add_common_arguments, parse_styles, positive
from rac_unet.errors import CommandParser, UserError, run_command

if TYPE_CHECKING:
    from data_prep.labels import LabelledPhoto
    from rac_unet.data.preparing import Made

# Below this a face holds too little detail to be worth a 128-pixel crop.
MIN_FACE_PIXELS = 24


@dataclass(frozen=True)
class PhotoMaker:
    """Turn one labelled photo into an aligned crop and its masked variants."""

    photos: str
    styles: tuple[str, ...]
    variants: int
    size: int
    seed: int
    source: str

    @cached_property
    def _detector(self):
        from rac_unet.faces.detect import FaceDetector

        return FaceDetector()

    def __call__(self, photo: LabelledPhoto, folder: str, unfinished: str) -> Made:
        import cv2
        import numpy as np

        from rac_unet.data.preparing import ImageWriter, Made, draw_style
        from rac_unet.faces.align import align_face
        from rac_unet.faces.detect import central_face
        from rac_unet.faces.masks import paint_mask
        from rac_unet.faces.photo_files import UnreadablePhoto, read_photo

        try:
            image = read_photo(os.path.join(self.photos, photo.path))
        except UnreadablePhoto as error:
            return Made(photo.path, skipped=str(error))
        faces = self._detector.detect(image)
        if not faces:
            return Made(photo.path, skipped="no face found")
        height, width = image.shape[:2]
        face = central_face(faces, width, height)
        x0, y0, x1, y1 = face.box
        pixels = max(x1 - x0, y1 - y0)
        if pixels < MIN_FACE_PIXELS:
            return Made(photo.path, skipped=f"face is {pixels:.0f} pixels wide, {MIN_FACE_PIXELS} are needed")
        drawn = [draw_style(self.styles, self.seed, photo.key, variant) for variant in range(self.variants)]
        try:
            aligned = align_face(image, face.points, self.size)
            painted = [paint_mask(aligned.image, aligned.points, *style_and_seed) for style_and_seed in drawn]
        except (UserError, ValueError, ArithmeticError, np.linalg.LinAlgError, cv2.error) as error:
            # One freak face must not end a run over a hundred thousand photos.
            return Made(photo.path, skipped=f"face cannot be aligned or masked: {error}".splitlines()[0])
        images = ImageWriter(folder, unfinished, photo.split, photo.key)
        made = Made(photo.path, files=images.files)
        if len(faces) > 1:
            made.note = f"{len(faces)} faces; the most central one was taken"
        unmasked = images.write("", aligned.image)
        for variant, ((style, _), masked) in enumerate(zip(drawn, painted, strict=True)):
            made.rows.append(
                {
                    "key": f"{photo.key}-{variant}",
                    "masked": images.write(f"-{variant}_masked", masked.image),
                    "unmasked": unmasked,
                    "occlusion": images.write(f"-{variant}_occlusion", masked.occlusion),
                    "emotion": photo.emotion,
                    "split": photo.split,
                    "identity": photo.identity,
                    "source": self.source,
                    "mask_style": style,
                }
            )
            made.hidden.append(float((masked.occlusion > 0).mean()))
        return made


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    from data_prep.labels import read_labels
    from rac_unet.data.preparing import describe, prepare

    styles = parse_styles(options.styles)
    photos, labels_file = Path(options.photos), Path(options.labels)
    if not photos.is_dir():
        raise UserError(f"--photos {photos} is {'not a folder' if photos.exists() else 'not there'}")
    if not any(photos.iterdir()):
        raise UserError(f"--photos {photos} is an empty folder")
    try:
        content = labels_file.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"--labels {labels_file} is not there; it is a CSV file with the columns path and emotion"
        ) from None
    labels = read_labels(labels_file, content, options.seed)
    source = getattr(options, "source", None) or photos.resolve().name
    settings = {
        "made_by": "folder",
        "format": 1,
        "source": source,
        "labels_sha256": hashlib.sha256(content).hexdigest(),
        "variants": options.variants,
        "size": options.size,
        "styles": list(styles),
        "seed": options.seed,
    }
    maker = PhotoMaker(str(photos), styles, options.variants, options.size, options.seed, source)
    print(describe(prepare(options.output, labels, maker, settings, options.workers)))
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m data_prep.folder",
        description="Prepare a folder of labelled photos as a data set of pairs (masked and unmasked faces).",
        epilog="Run it again to continue an interrupted run. Photos without a usable face go to skipped.csv.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--photos", required=True, metavar="DIR", help="folder of photos", default=argparse.SUPPRESS)
    parser.add_argument(
        "--labels", required=True, metavar="FILE", default=argparse.SUPPRESS,
        help="CSV file with the columns path (inside DIR) and emotion, and if known identity and split",
    )  # fmt: skip
    parser.add_argument("--variants", type=positive, default=1, metavar="K", help="masks painted on each face")
    parser.add_argument(
        "--source", metavar="NAME", default=argparse.SUPPRESS,
        help="what the column source says (default: the name of DIR)",
    )  # fmt: skip
    add_common_arguments(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
