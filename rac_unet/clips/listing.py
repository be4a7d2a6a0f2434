"""Which of predict's inputs are clips, and where their results go."""

from __future__ import annotations

import os
from pathlib import Path

from rac_unet.core.errors import UserError
from rac_unet.core.extras import install_command
from rac_unet.photos.kinds import HEAD_BYTES, kind_of
from rac_unet.photos.listing import any_visible_name, is_photo_name
from rac_unet.photos.writing import is_signed
from rac_unet.unmasking.inputs import Listing, PhotoFile, list_photos

ENDINGS = (
    ".mp4",
    ".m4v",
    ".mov",
    ".qt",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".m2v",
    ".ts",
    ".m2ts",
    ".mts",
    ".vob",
    ".wmv",
    ".asf",
    ".flv",
    ".f4v",
    ".3gp",
    ".3g2",
    ".ogv",
    ".mxf",
    ".dv",
    ".y4m",
)
# Animated pictures, which are clips only if the user wants it.
ANIMATED = (".gif", ".webp", ".png", ".apng")


def list_inputs(given: list[str], output: str | os.PathLike, animations: bool) -> tuple[Listing, list[PhotoFile]]:
    """Find the photos and the clips of command-line arguments; see `list_photos`.

    Args:
        animations: whether GIFs, WebPs and PNGs with several frames are clips, and not photos.
    Returns: the listing, with the photos alone, and the clips.
    Raises: UserError when a clip was given by its own name, and PyAV is not installed. Clips of folders are then listed
        as missing, with the reason.
    """
    listing = list_photos(given, output, lambda name: is_photo_name(name) or is_clip_name(name), _is_result)
    clips = [file for file in listing.photos if _is_clip(file.path, animations)]
    if not clips:
        return listing, []
    listing.photos = [file for file in listing.photos if file not in clips]
    if not has_pyav():
        named = {os.path.realpath(word) for word in given}
        for clip in clips:
            reason = f"clips need PyAV: {install_command('video')}"
            if os.path.realpath(clip.path) in named or not listing.photos:
                raise UserError(f"{clip.path}: {reason}", "missing_extra")
            listing.missing.append((str(clip.path), reason))
        clips = []
    return listing, clips


def is_clip_name(name: str) -> bool:
    """Return whether a file is not hidden and has a video's file extension, in upper or lower case."""
    return name.lower().endswith(ENDINGS) and any_visible_name(name)


def has_pyav() -> bool:
    """Return whether PyAV can be imported; an installed one may lack a library."""
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


def _is_clip(path: Path, animations: bool) -> bool:
    """Return whether a file is a clip: by its content, and by its name where the content says nothing."""
    try:
        if animations and path.suffix.lower() in ANIMATED:
            if not has_pyav():
                return path.suffix.lower() == ".gif"
            from rac_unet.clips.animations import is_animation

            return is_animation(path)
        if is_photo_name(path.name) or not path.is_file():
            return False
        with path.open("rb") as file:
            kind_of(file.read(HEAD_BYTES))
    except OSError:
        return is_clip_name(path.name)
    except ValueError as reason:
        return is_clip_name(path.name) or "is a video" in str(reason)
    # A photo, whatever its name.
    return False


def _is_result(path: Path) -> bool:
    """Return whether a file has the mark of a photo or clip that predict wrote."""
    if is_clip_name(path.name) and has_pyav():
        from rac_unet.clips.writing import has_video_mark

        return has_video_mark(path)
    return is_signed(path)
