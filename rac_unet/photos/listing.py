"""List the photos below a folder, with the reason for each file that is left out; used by every command."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

# Formats that Pillow decodes. A file that cannot be decoded (for example HEIC without its extra) is skipped, with the
# reason, by the command that reads it.
PHOTO_ENDINGS = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".jif",
    ".mpo",
    ".png",
    ".apng",
    ".webp",
    ".bmp",
    ".dib",
    ".gif",
    ".tif",
    ".tiff",
    ".jp2",
    ".heic",
    ".heif",
    ".hif",
    ".avif",
)
HIDDEN, NO_ENDING = "hidden", "without an ending"
LEADS_OUT = "is a link to a place outside the folder"
DEAD_LINK = "is a link to a missing file"


def is_photo_name(name: str) -> bool:
    """Return whether a file is not hidden and has a photo's file extension, in upper or lower case."""
    return name.lower().endswith(PHOTO_ENDINGS) and not name.startswith(".")


def any_visible_name(name: str) -> bool:
    """Return whether a file is not hidden: its name does not start with a dot."""
    return not name.startswith(".")


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a listing.

    Attributes:
        path: path relative to the listed folder, with forward slashes.
        real: its full path with every link resolved.
        links: number of links to folders on its path.
        linked: whether it is a link itself.
        others: its other paths in the folder.
    """

    path: str
    real: str
    links: int = 0
    linked: bool = False
    others: tuple[str, ...] = ()


@dataclass
class LeftOut:
    """Files and folders that a listing does not return.

    Attributes:
        missing: (path, reason) of folders and links that could not be followed and may hold photos.
        repeated: (path, reason) of links to files or folders that are already listed.
        passed: number of files and folders whose names are not photo names, by "hidden" or file extension (".txt").
        ignored: full path -> whether a file that is not a photo is left out of the counts.
    """

    missing: list[tuple[str, str]] = field(default_factory=list)
    repeated: list[tuple[str, str]] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    ignored: Callable[[str], bool] = lambda path: False

    def describe(self) -> str:
        """Return a summary such as `7 .txt, 2 hidden, 1 link to a folder above it`; empty when nothing was left out."""
        kinds = Counter(self.passed)
        kinds.update(re.sub(r"^is (a )?| as '.*", "", reason) for _, reason in self.repeated)
        ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
        words = [f"{count:,} {kind}" for kind, count in ordered[:8]]
        rest = sum(count for _, count in ordered[8:])
        return ", ".join(words + [f"{rest:,} others"] * bool(rest))

    def pass_over(self, path: str) -> None:
        """Count a file whose name is not a photo name."""
        name = os.path.basename(path)
        if self.ignored(path):
            return
        ending = os.path.splitext(name)[1].lower()
        if name.startswith("."):
            self.passed[HIDDEN] += 1
        else:
            self.passed[ending if ending and ending.isprintable() else NO_ENDING] += 1


def find_photos(
    root: str | os.PathLike,
    left_out: LeftOut,
    skip: str | os.PathLike | None = None,
    outside: bool = True,
    wanted: Callable[[str], bool] = is_photo_name,
    prefer: Callable[[str], bool] = lambda path: True,
) -> list[Found]:
    """Return all photos below a folder, each real file once, sorted by path.

    Links to folders are followed, each target once; a link to a folder that contains the link is left out, since
    following it would never end. Hidden files and folders, and macOS's `__MACOSX`, are skipped.

    Args:
        left_out: receives what is not returned.
        skip: a folder to leave out without counting it (the output).
        outside: also follow links to folders outside `root`.
        wanted: file name -> whether it is listed; the others are counted in `left_out.passed`.
        prefer: for a file with several paths, a path with `prefer(path)` true is kept; then the one with fewest links.
    """
    walker = _Walker(os.path.realpath(root), left_out, skip and os.path.realpath(skip), outside, wanted)
    walker.walk(os.fspath(root))
    return _each_once(walker.found, left_out, prefer)


@dataclass
class _Walker:
    root: str
    left_out: LeftOut
    skip: str | None
    outside: bool
    wanted: Callable[[str], bool]
    found: list[Found] = field(default_factory=list)
    followed: set[str] = field(default_factory=set)

    def walk(self, root: str) -> None:
        """List a folder's own files, then each of its folders in the same way."""
        todo = [(root, self.root, "", 0)]
        while todo:
            folder, real, below, links = todo.pop()
            try:
                with os.scandir(folder) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self.left_out.missing.append((below or os.curdir, f"folder cannot be opened: {error.strerror}"))
                continue
            folders = []
            for entry in listed:
                name = f"{below}/{entry.name}" if below else entry.name
                linked = entry.is_symlink()
                if _is_folder(entry):
                    target = os.path.realpath(entry.path) if linked else os.path.join(real, entry.name)
                    if target != self.skip and self._enters(entry.name, name, real, target, linked):
                        folders.append((entry.path, target, name, links + linked))
                elif self.wanted(entry.name):
                    resolved = os.path.realpath(entry.path) if linked else os.path.join(real, entry.name)
                    self.found.append(Found(name, resolved, links, linked))
                elif linked and any_visible_name(entry.name) and not os.path.exists(entry.path):
                    self.left_out.missing.append((name, DEAD_LINK))
                else:
                    self.left_out.pass_over(entry.path)
            todo += reversed(folders)

    def _enters(self, own: str, name: str, real: str, target: str, linked: bool) -> bool:
        if own.startswith(".") or own == "__MACOSX":
            self.left_out.passed[HIDDEN] += 1
            return False
        if not linked:
            return True
        if _holds(target, real):
            self.left_out.repeated.append((name, "is a link to a folder above it"))
        elif not self.outside and not _holds(self.root, target):
            self.left_out.missing.append((name, LEADS_OUT))
        elif target in self.followed:
            self.left_out.repeated.append((name, "is a link to a folder that another link leads to"))
        else:
            self.followed.add(target)
            return True
        return False


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _holds(folder: str, path: str) -> bool:
    return os.path.join(path, "").startswith(os.path.join(folder, ""))


def _each_once(found: list[Found], left_out: LeftOut, prefer: Callable[[str], bool]) -> list[Found]:
    paths: dict[str, list[Found]] = {}
    for each in found:
        paths.setdefault(each.real, []).append(each)
    once = []
    for each in found:
        same = paths[each.real]
        if len(same) == 1:
            once.append(each)
        elif each is (kept := min(same, key=lambda other: (not prefer(other.path), other.links, other.linked))):
            once.append(replace(each, others=tuple(other.path for other in same if other is not each)))
        elif not each.links:
            # Below a link all files of a folder that is listed already would be named.
            left_out.repeated.append((each.path, f"is the same file as {kept.path!r}"))
    return once


def match_pattern(pattern: str, left_out: LeftOut) -> tuple[str, list[tuple[str, str]]]:
    """Return the files and folders that match a pattern: `*`, `?` and `[…]` within a name, `**` for any folders.

    A pattern with `**` follows links as `find_photos` does, so that it ends and returns each file once.

    Returns: the folder before the first wildcard, and (full path, path relative to it) of all matches, sorted.
    """
    parts = pattern.replace(os.sep, "/").split("/")
    first = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    base = "/".join(parts[:first]) or ("/" if pattern.startswith("/") else os.curdir)
    wanted = [part for part in parts[first:] if part]
    if "**" not in wanted or any(part.startswith(".") for part in wanted):
        matches = sorted(glob.glob(pattern, recursive=True))
        return base, [(match, os.path.relpath(match, base)) for match in matches]
    files = find_photos(base, left_out, wanted=any_visible_name) if os.path.isdir(base) else []
    below = {file.path for file in files}
    folders = {path[: slash.start()] for path in below for slash in re.finditer("/", path)}
    # Folders count only where no file matches: `d/**/*` matches their files one by one.
    fitting = next(
        filter(None, (sorted(path for path in paths if _fits(path.split("/"), wanted)) for paths in (below, folders))),
        [],
    )
    return base, [(os.path.normpath(os.path.join(base, path)), path) for path in fitting]


def _fits(names: list[str], parts: list[str]) -> bool:
    """Return whether the names of a path match the parts of a pattern."""
    if not parts:
        return not names
    if parts[0] == "**":
        if len(parts) == 1:
            return bool(names)
        return any(_fits(names[start:], parts[1:]) for start in range(len(names)))
    return bool(names) and fnmatch.fnmatch(names[0], parts[0]) and _fits(names[1:], parts[1:])


def find_name(root: str | os.PathLike, path: str) -> str | None:
    """Return a path relative to `root` as it is spelled on disk; None where nothing matches.

    The exact path is preferred. Otherwise each name may differ in surrounding blanks and in the encoding of accents
    (composed on Windows and Linux, decomposed on macOS), if exactly one name matches.
    """
    if os.path.lexists(os.path.join(root, path)):
        return path
    spelled = ""
    for part in path.split("/"):
        folder = os.path.join(root, spelled)
        if not os.path.lexists(os.path.join(folder, part)):
            try:
                names = _names_in(folder, os.stat(folder).st_mtime_ns)
            except OSError:
                return None
            if (fitting := names.get(normal_name(part))) is None:
                return None
            part = fitting
        spelled = f"{spelled}/{part}" if spelled else part
    return spelled


@lru_cache(maxsize=64)
def _names_in(folder: str, changed: int) -> dict[str, str]:
    return by_normal_name(os.listdir(folder))


def normal_name(text: str) -> str:
    """Return a path in normal form: composed Unicode, no blanks around its names."""
    return "/".join(part.strip() for part in unicodedata.normalize("NFC", text).split("/"))


def by_normal_name(paths: Iterable[str]) -> dict[str, str]:
    """Return normal name -> path, for names that only one path has."""
    found: dict[str, str | None] = {}
    for path in paths:
        name = normal_name(path)
        found[name] = None if name in found else path
    return {name: path for name, path in found.items() if path is not None}
