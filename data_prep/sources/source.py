"""What every source of photographs comes down to: photos with an emotion and a split, and what could not be used."""

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

TAKES_LINKS = "(--follow_links takes it)"


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
        left_out: what was found in folders and is no photo to prepare.
    """

    layout: str
    photos: list[Photo] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)

    def add(self, path: str, emotion: str, split: str, **more) -> None:
        """A photo that is its own person, its key made from its path."""
        key = more.pop("key", None) or make_key(path)
        self.photos.append(Photo(path, key, emotion, key, split, **more))

    def reject(self, name: str, reason: str) -> None:
        self.rejected.append((name, reason))

    def account(self) -> None:
        """Turn what was left out into rejections and a remark."""
        for path, reason in self.left_out.missing + self.left_out.repeated:
            self.reject(path, f"{reason} {TAKES_LINKS}" if reason == LEADS_OUT else reason)
        lost = Counter(reason for _, reason in self.left_out.missing)
        for reason, count in lost.items():
            first = next(path for path, other in self.left_out.missing if other == reason)
            more = f", and {count - 1:,} more" if count > 1 else ""
            hint = f" {TAKES_LINKS}" if reason == LEADS_OUT else ""
            self.remarks.append(f"{first} {reason}{hint}{more}; what is in it was left out")
        self.left_out.missing.clear()
        self.left_out.repeated.clear()
        if others := self.left_out.describe():
            self.remarks.append(f"left out in the folders: {others}")

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


def path_column(name: str) -> Column:
    """A column of photos' paths, and what else it is called in tables that people pass on."""
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
    """A column of emotions, and what else it is called in tables that people pass on."""
    return Column(name, tuple(alias for alias in ("emotion", "label", "expression", "class") if alias != name))


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
    """Visible folders inside a folder, links to folders too, sorted; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return []
    return [folder / name for name in names]


def images_in(folder: Path, left_out: LeftOut | None = None) -> list[str]:
    """Names of the photos directly inside a folder, sorted; none where there is no such folder.

    Args:
        left_out: filled with what else is there.
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
    """Whether a folder's name is one of an emotion, such as happy."""
    try:
        return bool(parse_emotion(name))
    except UserError:
        return False


def named_folders_hint(root: Path) -> str:
    """Which command reads folders named after emotions; "" where there are none."""
    if not find_folders(root, lambda folder: any(names_emotion(child.name) for child in subfolders(folder))):
        return ""
    return f"; its folders named after emotions are read by: python -m data_prep.folder --photos {root} --output D"


def _draw(seed: int, name: str) -> float:
    return hash_share(f"{seed}:val:{name}")
