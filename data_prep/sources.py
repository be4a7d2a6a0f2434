"""What every source of photographs comes down to: photos with an emotion and a split, and what could not be used."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from rac_unet.data.pairs import hash_share

IMAGE_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")


@dataclass(frozen=True, slots=True)
class Photo:
    """One photograph to prepare.

    Attributes:
        path: relative to the source's folder, forward slashes; what messages call it.
        key: unique, safe in file names.
        emotion: one of the seven names.
        identity: who is shown; the key where nobody knows, so that each photo is its own person.
        split: train, val or test.
        masked: the same photograph with a mask on, where the source has one; relative path.
        place: byte offset of its line in the source's table, where it has one there.
        shares: distribution over the seven emotions as `rac_unet.data.pairs.write_shares` writes it; "" for none.
    """

    path: str
    key: str
    emotion: str
    identity: str
    split: str
    masked: str = ""
    place: int = 0
    shares: str = ""


@dataclass
class Source:
    """What was found in a user's folder.

    Attributes:
        layout: in words, for the report.
        photos: in the order of the rows to be.
        rejected: (name, reason) of all that cannot be used, known before any image is opened.
        remarks: what the user should know, a line each.
    """

    layout: str
    photos: list[Photo] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, path: str, emotion: str, split: str, **more) -> None:
        """A photo that is its own person, its key made from its path."""
        key = more.pop("key", None) or make_key(path)
        self.photos.append(Photo(path, key, emotion, key, split, **more))

    def reject(self, name: str, reason: str) -> None:
        self.rejected.append((name, reason))

    def fingerprint(self) -> str:
        """SHA-256 over every photo's row and every rejection; a changed source has another."""
        digest = hashlib.sha256()
        for photo in self.photos:
            row = (
                photo.path,
                photo.emotion,
                photo.identity,
                photo.split,
                photo.masked,
                str(photo.place),
                *([photo.shares] if photo.shares else []),
            )
            digest.update("\0".join(row).encode(errors="surrogateescape") + b"\n")
        for row in self.rejected:
            digest.update("\0".join(row).encode(errors="surrogateescape") + b"\n")
        return digest.hexdigest()


def make_key(path: str) -> str:
    """The photo's name made safe for any file system, and a hash of its path against namesakes."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(path).stem)[:80]
    digest = hashlib.blake2b(path.encode(errors="surrogateescape"), digest_size=5).hexdigest()
    return f"{stem}-{digest}"


def carve_val(photos: Iterable[Photo], share: float, seed: int) -> list[Photo]:
    """Move about `share` of the training photos to val, person by person, following from name and seed alone."""
    return [
        replace(photo, split="val") if photo.split == "train" and _draw(seed, photo.identity) < share else photo
        for photo in photos
    ]


def cap_emotions(source: Source, limit: int, seed: int) -> None:
    """Keep at most `limit` training photos of each emotion, chosen by hash; the others are rejected, by name."""
    waiting: dict[str, list[Photo]] = {}
    for photo in source.photos:
        if photo.split == "train":
            waiting.setdefault(photo.emotion, []).append(photo)
    surplus = set()
    for photos in waiting.values():
        photos.sort(key=lambda photo: (_draw(seed, f"cap:{photo.key}"), photo.key))
        surplus.update(photo.key for photo in photos[limit:])
    for photo in source.photos:
        if photo.key in surplus:
            source.reject(photo.path, f"over the cap of {limit:,} training photos for {photo.emotion}")
    source.photos = [photo for photo in source.photos if photo.key not in surplus]


def list_images(root: str | os.PathLike, skip: str | os.PathLike | None = None) -> Iterator[str]:
    """Relative paths, forward slashes, of every file below `root` that is named like an image, in sorted order.

    Hidden files and folders, folders that are links, and the folder `skip` are passed over.
    """
    root, skip = os.fspath(root), skip and os.path.realpath(skip)
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name != "__MACOSX" and os.path.realpath(os.path.join(folder, name)) != skip
        )
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        for name in sorted(files):
            if is_image_name(name):
                yield name if relative == "." else f"{relative}/{name}"


def is_image_name(name: str) -> bool:
    return name.lower().endswith(IMAGE_ENDINGS) and not name.startswith(".")


def find_folders(root: Path, fits: Callable[[Path], bool], depth: int = 3) -> list[Path]:
    """Folders that fit, `root` itself or at most `depth` levels below, the nearest first; none below one that fits."""
    found, level = [], [root]
    for _ in range(depth + 1):
        rest = []
        for folder in level:
            (found if fits(folder) else rest).append(folder)
        level = [child for folder in rest for child in subfolders(folder)]
    return found


def subfolders(folder: Path) -> list[Path]:
    """Visible folders inside a folder, sorted; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return []
    return [folder / name for name in names]


def images_in(folder: Path) -> list[str]:
    """Names of the images directly inside a folder, sorted; none where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if is_image_name(entry.name) and not entry.is_dir())
    except OSError:
        return []


def _draw(seed: int, name: str) -> float:
    return hash_share(f"{seed}:val:{name}")
