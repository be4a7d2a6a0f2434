"""Read a GIF, an animated WebP or an animated PNG as a clip, with Pillow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from rac_unet.clips.colours import BT709, FULL, LIMITED, RGB, Colours
from rac_unet.clips.decoded import Damage, Facts, Picture, UnreadableClip, check_size, plane_array
from rac_unet.photos.kinds import HEAD_BYTES, kind_of
from rac_unet.photos.pixels import as_array, eight_bit, on_white
from rac_unet.photos.reading import UnreadablePhoto, open_image

ENDINGS = (".gif", ".webp", ".png", ".apng")
# Browsers show frames with a shorter time for a tenth of a second.
_SHORTEST, _USUAL = 20, 100
_MILLISECOND = Fraction(1, 1000)


def is_animation(path: str | os.PathLike) -> bool:
    """Return whether a file is an animation of several frames; False if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return Path(path).suffix.lower() in ENDINGS and getattr(_image(file), "n_frames", 1) > 1
    # Plugins raise any kind of exception over damaged bytes.
    except Exception:
        return False


class Animation:
    """An animated picture; transparent pixels are laid on white.

    Args:
        path: its path.
        lossless: whether to keep its RGB pixels as they are.
    Raises: UnreadableClip.
    """

    def __init__(self, path: str | os.PathLike, lossless: bool = False):
        self.path = os.fspath(path)
        try:
            with open(self.path, "rb") as file:
                image = _image(file)
                (width, height), count = image.size, getattr(image, "n_frames", 1)
        except UnreadablePhoto as reason:
            raise UnreadableClip(str(reason), "unreadable") from None
        except Exception as error:
            raise UnreadableClip(f"file cannot be read as an animation ({error})", "unreadable") from None
        check_size(width, height)
        colours = (
            Colours(RGB, 0, FULL, 2, 2, height)
            if lossless
            else Colours("yuv420p", BT709, LIMITED, BT709, BT709, height)
        )
        times = [duration for _, duration in self._frames(Damage(), decode=False)]
        total = Fraction(sum(times), 1000)
        rate = Fraction(len(times), 1) / total if total else Fraction(10)
        notes = ("as a clip, it is not repeated",)
        self.facts = Facts(
            width,
            height,
            rate,
            _MILLISECOND,
            0,
            count,
            float(total),
            colours,
            Fraction(1),
            Path(path).suffix[1:],
            notes,
        )

    def pictures(self, target: int | None, damage: Damage) -> Iterator[Picture]:
        """Return all pictures; see `Film.pictures`. An animation is always read from its beginning."""
        now = 0
        for pixels, duration in self._frames(damage):
            if self.facts.colours.format == RGB:
                yield Picture((pixels,), pixels, now, duration)
            else:
                frame = av.VideoFrame.from_ndarray(pixels, format=RGB).reformat(
                    format="yuv420p", dst_colorspace=BT709, src_color_range=FULL, dst_color_range=LIMITED
                )
                yield Picture(tuple(map(plane_array, frame.planes)), pixels, now, duration)
            now += duration

    def _frames(self, damage: Damage, decode: bool = True) -> Iterator[tuple[np.ndarray | None, int]]:
        with open(self.path, "rb") as file:
            image = _image(file)
            for number in range(getattr(image, "n_frames", 1)):
                try:
                    image.seek(number)
                    # WebP has a frame's time only once it is decoded.
                    image.load()
                    pixels = as_array(eight_bit(image.copy())) if decode else None
                except Exception:
                    damage.ends_early = True
                    return
                if pixels is not None:
                    pixels = on_white(pixels) if pixels.shape[2] == 4 else pixels
                duration = round(image.info.get("duration") or 0)
                yield pixels, duration if duration >= _SHORTEST else _USUAL


def _image(file):
    kind = kind_of(file.read(HEAD_BYTES))
    file.seek(0)
    return open_image(kind, file)
