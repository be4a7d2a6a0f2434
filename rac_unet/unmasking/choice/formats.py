"""The format of each result for `--format same`, and how large results will be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rac_unet.photos.kinds import HEAD_BYTES, kind_of
from rac_unet.photos.reading import open_image
from rac_unet.photos.writing import KINDS, QUALITY

SAME = "same"
# The format of results of photos of each kind; of all others png, which loses nothing.
_LIKE = {"JPEG": "jpeg", "PNG": "png", "WebP": "webp", "HEIC": "jpeg", "AVIF": "webp"}
# Kinds that lose detail when they are written, and are therefore much smaller than PNG.
_LOSSY = ("JPEG", "WebP", "HEIC", "AVIF", "JPEG 2000")
# Bytes per pixel of photographs in each format: the mean of 40 photographs, and at quality 95.
_BYTES = {"png": 1.45, "jpeg": 0.6, "webp": 0.4}
# So many photos of each kind are looked at to estimate sizes.
_SAMPLE = 12


def kind_name(path: Path) -> str:
    """Return `Photo.kind` of a file by its first bytes; "" for a file that is no photo."""
    try:
        # Opening a pipe would block.
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return kind_of(file.read(HEAD_BYTES)).name
    except (OSError, ValueError):
        return ""


def result_format(path: Path, wanted: str) -> str:
    """Return png, jpeg or webp: the wanted format, or for `same` the photo's own or its substitute."""
    return _LIKE.get(kind_name(path), "png") if wanted == SAME else wanted


def forecast(photos: Sequence[Path], wanted: str, max_side: int | None = None) -> str:
    """Return what the format means for the size and the pixels of results, "" if there is nothing to say.

    Args:
        photos: the photos to process.
        wanted: png, jpeg, webp or same.
        max_side: longest side of the results.
    """
    if wanted not in (SAME, "png"):
        return ""
    groups: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for path in photos:
        if kind := kind_name(path):
            groups[kind, _LIKE.get(kind, "png") if wanted == SAME else wanted].append(path)
    parts = []
    for (kind, form), paths in groups.items():
        count = f"{len(paths):,} {kind}"
        if KINDS[form] != kind and (wanted == SAME or kind in _LOSSY):
            quality = f" of quality {QUALITY}" if form == "jpeg" else ""
            parts.append(
                f"{count} become{'s' * (len(paths) == 1)} {KINDS[form]}{quality}{_growth(paths, form, max_side)}"
            )
        elif wanted == SAME and kind == "JPEG":
            one = "its" if len(paths) == 1 else "their"
            parts.append(f"{count} compressed again at {one} own quality, of about the same size")
        elif wanted == SAME and kind == "WebP":
            parts.append(f"{count} compressed again, lossless ones without loss, others at quality {QUALITY}")
    if wanted == "png":
        return f"{'; '.join(parts)}; --format same keeps their format" if parts else ""
    lossy = any(form != "png" for _, form in groups)
    return "; ".join(parts) + ("; compression changes pixels outside the masks slightly" if lossy else "")


def _growth(paths: list[Path], form: str, max_side: int | None) -> str:
    """Return how large the results will be compared with the photos, in words; "" if this cannot be said."""
    before = after = 0.0
    for path in paths[:: -(-len(paths) // _SAMPLE)]:
        try:
            with path.open("rb") as file:
                kind = kind_of(file.read(HEAD_BYTES))
                file.seek(0)
                width, height = open_image(kind, file).size
            scale = min(1.0, max_side / max(width, height)) if max_side else 1.0
            before += path.stat().st_size
            after += _BYTES[form] * width * height * scale**2
        # A damaged photo is reported when it is its turn.
        except Exception:
            continue
    if not before:
        return ""
    whole = sum(path.stat().st_size for path in paths if path.exists()) / 1e6
    return f", about {_megabytes(whole * after / before)} MB instead of {_megabytes(whole)} MB"


def _megabytes(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
