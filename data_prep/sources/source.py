"""A source of photographs: photos with emotion and split, and the files that cannot be used."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from rac_unet.core.emotions import parse_emotion
from rac_unet.core.errors import UserError
from rac_unet.core.files.text_tables import Column
from rac_unet.data.pairs import hash_share
from rac_unet.photos.listing import DEAD_LINK, LEADS_OUT, LeftOut, is_photo_name

TAKES_LINKS = "(use --follow_links to include it)"


@dataclass(frozen=True, slots=True)
class SourcePhoto:
    """One photograph to prepare.

    Attributes:
        path: path relative to the source's folder, with forward slashes; its name in messages.
        key: unique name that is safe in file names.
        emotion: one of the seven names.
        identity: the person; the key if unknown, so that each photo counts as another person.
        split: train, val or test.
        masked: relative path of the same photograph with a mask, if the source has one.
        place: byte offset of its line in the source's table, if it has one.
        shares: distribution over the seven emotions in the format of `rac_unet.data.pairs.write_shares`; "" for none.
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
    """The photos found in a user's folder.

    Attributes:
        layout: description of the layout, for the report.
        photos: the photos in the order of the rows.
        rejected: (name, reason) of photos that cannot be used, known before any image is opened.
        remarks: remarks for the user.
        left_out: other files and folders that were found.
    """

    layout: str
    photos: list[SourcePhoto] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)

    def add(self, path: str, emotion: str, split: str, **more) -> None:
        """Add a photo with its key, made from its path, as its identity."""
        key = more.pop("key", None) or make_key(path)
        self.photos.append(SourcePhoto(path, key, emotion, key, split, **more))

    def reject(self, name: str, reason: str) -> None:
        self.rejected.append((name, reason))

    def account(self) -> None:
        """Convert `left_out` to rejections and remarks."""
        for path, reason in self.left_out.missing + self.left_out.repeated:
            self.reject(path, f"{reason} {TAKES_LINKS}" if reason == LEADS_OUT else reason)
        lost = Counter(reason for _, reason in self.left_out.missing)
        for reason, count in lost.items():
            first = next(path for path, other in self.left_out.missing if other == reason)
            more = f", and {count - 1:,} more" if count > 1 else ""
            hint = f" {TAKES_LINKS}" if reason == LEADS_OUT else ""
            self.remarks.append(f"{first} {reason}{hint}{more}; its content was left out")
        self.left_out.missing.clear()
        self.left_out.repeated.clear()
        if others := self.left_out.describe():
            self.remarks.append(f"left out: {others}")

    def fingerprint(self) -> str:
        """Return the SHA-256 over all photos and rejections."""
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


def path_column(name: str) -> Column:
    """Return a column of photo paths, with the aliases that are common in label tables."""
    aliases = (
        "path",
        "file",
        "filename",
        "file_name",
        "file_path",
        "filepath",
        "image",
        "image_path",
        "img",
        "photo",
        "pth",
    )
    return Column(name, tuple(alias for alias in aliases if alias != name))


def label_column(name: str) -> Column:
    """Return a column of emotions, with the aliases that are common in label tables."""
    return Column(name, tuple(alias for alias in ("emotion", "label", "expression", "class") if alias != name))


def make_key(path: str) -> str:
    """Return a photo's name made safe for any file system, and a hash of its path to make it unique."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(path).stem)[:80]
    digest = hashlib.blake2b(path.encode(errors="surrogateescape"), digest_size=5).hexdigest()
    return f"{stem}-{digest}"


def carve_val(photos: Iterable[SourcePhoto], share: float, seed: int) -> list[SourcePhoto]:
    """Move about `share` of the training photos to val by identity, determined by name and seed."""
    return [
        replace(photo, split="val") if photo.split == "train" and _draw(seed, photo.identity) < share else photo
        for photo in photos
    ]


def cap_emotions(source: Source, limit: int, seed: int) -> None:
    """Keep at most `limit` training photos of each emotion, chosen by hash, and reject the others."""
    waiting: dict[str, list[SourcePhoto]] = {}
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


def find_folders(root: Path, fits: Callable[[Path], bool], depth: int = 3) -> list[Path]:
    """Return matching folders, `root` or at most `depth` levels below, nearest first; matches are not searched."""
    found, level = [], [root]
    for _ in range(depth + 1):
        rest = []
        for folder in level:
            (found if fits(folder) else rest).append(folder)
        level = [child for folder in rest for child in subfolders(folder)]
    return found


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders in a folder, including links, sorted; empty if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return []
    return [folder / name for name in names]


def images_in(folder: Path, left_out: LeftOut | None = None) -> list[str]:
    """Return the names of the photos directly in a folder, sorted; empty if it does not exist.

    Args:
        left_out: receives the other files.
    """
    left_out = LeftOut() if left_out is None else left_out
    names = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    continue
                if is_photo_name(entry.name):
                    names.append(entry.name)
                elif not os.path.exists(entry.path) and not entry.name.startswith("."):
                    left_out.missing.append((entry.path, DEAD_LINK))
                else:
                    left_out.pass_over(entry.path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        left_out.missing.append((os.fspath(folder), f"folder cannot be opened: {error.strerror}"))
    return sorted(names)


def names_emotion(name: str) -> bool:
    """Return whether a folder is named after an emotion, such as happy."""
    try:
        return bool(parse_emotion(name))
    except UserError:
        return False


def named_folders_hint(root: Path) -> str:
    """Return a hint to the command that reads folders named after emotions; "" if there are none."""
    if not find_folders(root, lambda folder: any(names_emotion(child.name) for child in subfolders(folder))):
        return ""
    return f"; its folders named after emotions are read by: python -m data_prep.folder --photos {root} --output D"


def _draw(seed: int, name: str) -> float:
    return hash_share(f"{seed}:val:{name}")
