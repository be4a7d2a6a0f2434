"""Sheets of faces behind real masks, before and after, to count by eye the straps that are left.

    python -m tests.straps_sheet PHOTOS --output D               # pages of faces, and D/straps.csv to fill in
    python -m tests.straps_sheet --counted straps.csv            # shares of the filled table
    python -m tests.straps_sheet PHOTOS --counted straps.csv --output D     # and a figure of faces with straps

Photos are chosen evenly in the order of their names, whatever is found on them. Of each, the largest painted face is
shown, or the largest face, or the whole photo. `tint`: the painted skin has clearly another colour than the face's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from rac_unet.core.errors import UserError, run_command
from rac_unet.core.files.whole import check_new, write_file, write_text
from rac_unet.faces.align import align_face
from rac_unet.photos.metadata import PhotoMetadata
from rac_unet.photos.reading import read_photo
from rac_unet.scoring.statistics import summarise
from rac_unet.unmasking.framing import grey_outside
from rac_unet.unmasking.inputs import list_photos
from rac_unet.unmasking.output import encode_result

# The columns that are filled in by eye, and what may be written there.
ANSWERS = {"straps_before": ("yes", "no"), "straps_after": ("gone", "partly", "left")}
ANSWERS |= dict.fromkeys(("rim_left", "tint", "grotesque"), ("yes", "no"))
COLUMNS = ["number", "photo", "painted", *ANSWERS, "remark"]
# Faces on a page, pairs in a row, and scale of a face in its view: ears and the ends of straps are outside the crop.
PAGE, IN_A_ROW, ZOOM, FIGURE_FACES, FIGURE_SIDE = 12, 3, 0.8, 8, 160


def evenly(items: Sequence, count: int) -> list:
    """Return up to `count` items, evenly spaced."""
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))]


def views(unmasker, photo: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return a face before and after, (side, side, 3) uint8 each, and whether it was painted.

    Args:
        photo: (H, W, 3) uint8 RGB.
    """
    result = unmasker.unmask(photo, "neutral")
    found = list(zip(result.faces, unmasker.find_faces(photo), strict=True))
    if not found:
        scale, view = side / max(photo.shape), np.full((side, side, 3), 224, np.uint8)
        small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:side, :side]
        view[: small.shape[0], : small.shape[1]] = small
        return view, view, False
    face, cut = next((pair for pair in found if pair[0].painted), found[0])
    middle = np.linalg.solve(cut.matrix[:, :2], np.full(2, len(cut.crop) / 2) - cut.matrix[:, 2])
    wider = middle + (cut.face.points - middle) / ZOOM
    tiles = [align_face(image, wider, side) for image in (photo, result.image)]
    before, after = (grey_outside(tile.image, tile.matrix, photo.shape) for tile in tiles)
    return before, after, face.painted


def sheet(pairs: list[tuple[str, np.ndarray, np.ndarray]], in_a_row: int = IN_A_ROW) -> np.ndarray:
    """Return a picture of (label, before, after), row by row."""
    tiles = []
    for label, *pair in pairs:
        tile = cv2.copyMakeBorder(np.hstack(pair), 16, 2, 2, 4, cv2.BORDER_CONSTANT, value=(255, 255, 255))
        tiles.append(cv2.putText(tile, label, (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % in_a_row)
    return np.vstack([np.hstack(tiles[i : i + in_a_row]) for i in range(0, len(tiles), in_a_row)])


def read_counted(path: Path) -> pd.DataFrame:
    """Return a filled table, all columns as text; raises UserError for a missing column or a wrong answer."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := [name for name in COLUMNS if name not in table]:
        raise UserError(f"{path.name}: no column {', '.join(missing)}; fill in the table of this tool", "bad_layout")
    for row in table.to_dict("records"):
        for name, words in ANSWERS.items():
            expected = ("",) if name == "straps_after" and row["straps_before"] == "no" else words
            if row[name] not in expected:
                raise UserError(
                    f"{path.name}, photo {row['number']}: {name} is {row[name]!r}; expected {' or '.join(words)}, and "
                    "nothing in straps_after without straps",
                    "bad_row",
                )
    return table


def shares(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (what, count and share with its 95 % interval over photos) for each question to a filled table."""
    strapped, painted = table[table.straps_before == "yes"], table[table.painted == "yes"]
    questions = [("photos with visible straps", table, "straps_before", "yes")]
    for of, part in (("", strapped), (", painted faces", strapped[strapped.painted == "yes"])):
        questions += [(f"straps {word}{of}", part, "straps_after", word) for word in ANSWERS["straps_after"]]
    questions += [(f"{name}, painted faces", painted, name, "yes") for name in ("rim_left", "tint", "grotesque")]
    found = []
    for what, part, column, word in questions:
        answers = (part[column] == word).to_numpy()
        if mean := summarise(answers, part.photo.to_numpy()):
            middle, low, high = (f"{100 * value:.0f}" for value in (mean.mean, mean.low, mean.high))
            found.append((what, f"{answers.sum()} of {mean.n}, {middle} % [{low}, {high}]"))
    return found


def main(argv: list[str] | None = None) -> int:
    """Write pages and an empty table, or the shares of a filled one."""
    parser = argparse.ArgumentParser(prog="python -m tests.straps_sheet", description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="?", metavar="PHOTOS", help="folder of photos of real masks")
    parser.add_argument("--output", type=Path, metavar="D", help="folder of the pages and of straps.csv")
    parser.add_argument("--counted", type=Path, metavar="FILE", help="a filled straps.csv")
    parser.add_argument("--count", type=int, default=60, help="number of photos (default: 60)")
    parser.add_argument("--side", type=int, default=256, help="side of a face on the pages in pixels (default: 256)")
    parser.add_argument("--model", default="lite", help="as for predict (default: lite)")
    args = parser.parse_args(argv)
    if args.counted:
        table = read_counted(args.counted)
        for what, share in shares(table):
            print(f"{what:<30} {share}")
    if not args.photos or not args.output:
        return 0 if args.counted else parser.error("give PHOTOS and --output, or --counted")
    from rac_unet.unmasking.photo import Unmasker

    files = {str(file.place): file.path for file in list_photos([str(args.photos)], args.output).photos}
    unmasker = Unmasker(args.model)
    args.output.mkdir(parents=True, exist_ok=True)
    if args.counted:
        chosen = evenly(table[table.straps_before == "yes"].to_dict("records"), FIGURE_FACES)
        pairs = [(row["number"], *views(unmasker, read_photo(files[row["photo"]]), FIGURE_SIDE)[:2]) for row in chosen]
        figure = encode_result(sheet(pairs, FIGURE_FACES // 2), "jpeg", PhotoMetadata(), True, quality=85)
        write_file(args.output / "straps.jpg", figure)
        return 0
    check_new(args.output / "straps.csv")
    pairs, rows = [], []
    for number, name in enumerate(evenly(sorted(files), args.count), 1):
        before, after, painted = views(unmasker, read_photo(files[name]), args.side)
        pairs.append((f"{number} {name}", before, after))
        rows.append({"number": number, "photo": name, "painted": "yes" if painted else "no"})
    for page, first in enumerate(range(0, len(pairs), PAGE), 1):
        picture = encode_result(sheet(pairs[first : first + PAGE]), "png", PhotoMetadata(), True)
        write_file(args.output / f"page{page}.png", picture)
    write_text(args.output / "straps.csv", pd.DataFrame(rows, columns=COLUMNS).to_csv(index=False))
    return 0


if __name__ == "__main__":
    run_command(main)
