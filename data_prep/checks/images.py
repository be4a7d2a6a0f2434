"""Check the pixels of a data set's images row by row, and compute perceptual hashes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from data_prep.checks.near_duplicates import picture_hash
from rac_unet.data.pair_checks import IMAGE_COLUMNS
from rac_unet.data.pairs import PairSet
from rac_unet.pairing.mask_policy import NO_MASK

# A mask hides about a third of a face; outside this range the occlusion map or the picture is wrong.
LEAST_PLAUSIBLE, MOST_PLAUSIBLE = 0.02, 0.85
# A picture with less contrast (standard deviation in grey levels of 255) is blank.
MIN_CONTRAST = 2.0


@dataclass
class RowResult:
    """Result of checking one row.

    Attributes:
        faults: (column, message) of faulty files.
        hidden: share of hidden pixels; NaN without an occlusion map.
        hash: hash of the unmasked picture, or of the masked one without ground truth; None if it was not requested.
    """

    faults: list[tuple[str, str]] = field(default_factory=list)
    hidden: float = float("nan")
    hash: np.ndarray | None = None


class RowsToCheck(Sequence):
    """Sequence of (three paths, whether to hash, whether without a mask); each picture is hashed once."""

    def __init__(self, pairs: PairSet):
        self._columns = [pairs.frame[column].tolist() for column in IMAGE_COLUMNS]
        shown = pairs.frame["unmasked"].where(pairs.frame["unmasked"] != "", pairs.frame["masked"])
        self.shown = shown.tolist()
        self._first = (~shown.duplicated()).tolist()
        self._bare = (pairs.frame["mask_style"] == NO_MASK).tolist()

    def __len__(self) -> int:
        return len(self._first)

    def __getitem__(self, row: int) -> tuple[str, str, str, bool, bool]:
        return (*(column[row] for column in self._columns), self._first[row], self._bare[row])


@dataclass(frozen=True)
class RowChecker:
    """Callable that checks a row, for worker processes.

    Args:
        root: folder of pairs.csv.
    """

    root: str

    def __call__(self, item: tuple[str, str, str, bool, bool]) -> RowResult:
        *names, wants_hash, bare = item
        result, images = RowResult(), {}
        for column, name in zip(IMAGE_COLUMNS, names, strict=True):
            if name:
                try:
                    images[column] = read_whole_png(f"{self.root}/{name}", channels=1 if column == "occlusion" else 3)
                except (OSError, ValueError) as error:
                    result.faults.append((column, f"{column} {name!r} {error}"))
        blank = {
            column for column in ("masked", "unmasked") if column in images and images[column].std() < MIN_CONTRAST
        }
        for column in sorted(blank):
            result.faults.append((column, f"{column} {names[IMAGE_COLUMNS.index(column)]!r} is blank"))
        if len(images) == 3 and len({image.shape[:2] for image in images.values()}) == 1:
            self._compare(images, names, result, bare)
        shown = "unmasked" if names[1] else "masked"
        if wants_hash and shown in images and shown not in blank:
            result.hash = picture_hash(images[shown])
        return result

    @staticmethod
    def _compare(images: dict[str, np.ndarray], names: list[str], result: RowResult, bare: bool) -> None:
        hidden = images["occlusion"] > 0
        result.hidden = float(hidden.mean())
        wrong = int(((images["masked"] != images["unmasked"]).any(axis=2) & ~hidden).sum())
        if wrong:
            result.faults.append(
                ("masked", f"masked {names[0]!r} differs from unmasked in {wrong:,} pixels where nothing is hidden")
            )
        if bare:
            if result.hidden:
                result.faults.append(
                    (
                        "occlusion",
                        f"occlusion {names[2]!r} hides {100 * result.hidden:.1f} % of the pixels of a face "
                        f"without a mask (mask_style is {NO_MASK!r})",
                    )
                )
        elif not LEAST_PLAUSIBLE <= result.hidden <= MOST_PLAUSIBLE:
            result.faults.append(
                (
                    "occlusion",
                    f"occlusion {names[2]!r} hides {100 * result.hidden:.1f} % of the pixels; "
                    f"{100 * LEAST_PLAUSIBLE:.0f} to {100 * MOST_PLAUSIBLE:.0f} % are plausible",
                )
            )


def read_whole_png(path: str, channels: int) -> np.ndarray:
    """Read a PNG file as (H, W, 3) BGR or (H, W) grey uint8, with its checksums checked.

    Raises: OSError when it cannot be opened; ValueError, with a message that follows the file's name, when it is
        damaged or of another kind.
    """
    with open(path, "rb") as file:
        content = file.read()
    place = 8
    while place < len(content):
        if place + 12 > len(content):
            raise ValueError("is cut off")
        (length,) = struct.unpack(">I", content[place : place + 4])
        end = place + 12 + length
        if end > len(content):
            raise ValueError("is cut off")
        if zlib.crc32(content[place + 4 : end - 4]) != struct.unpack(">I", content[end - 4 : end])[0]:
            raise ValueError("is damaged: a checksum is wrong")
        place = end
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError("cannot be decoded")
    found = 1 if image.ndim == 2 else image.shape[2]
    if found != channels or image.dtype != np.uint8:
        raise ValueError(f"has {found} channels of {image.dtype}; {channels} of uint8 are needed")
    return image
