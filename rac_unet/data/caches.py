"""The cache folder with toy faces and decoded pictures: paths, sizes, locks, removal.

Each cache is a subfolder and can be made again. A process that uses one holds a lock on a file in it until it ends, so
that no other process removes it; the kernel releases the lock of a process that is killed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from rac_unet.core.files.locking import lock_alone, lock_shared
from rac_unet.core.files.output_folder import LOCK_FILE

TOYS, PICTURES, LEFT_OVER = "toys", "pictures", "left over"
# Decoded pictures that were not used for this long are removed when others are made.
KEEP_DAYS = 30
_PIXELS_FOLDER, _IN_USE = "pixels", ".in_use"
# Folder -> descriptor of its lock.
_held: dict[Path, int] = {}


@dataclass(frozen=True)
class Cache:
    """A folder of the cache that can be removed.

    Attributes:
        kind: toys (drawn faces, the default data set), pictures (decoded for training), or left over (by a killed
            process).
        used: time of the last use, seconds since 1970.
    """

    kind: str
    path: Path
    used: float

    def size(self) -> int:
        """Return the total size of its files in bytes."""
        return sum(_sizes(self.path))


def cache_folder() -> Path:
    """Return the cache folder: RAC_UNET_CACHE, or rac_unet in the user's cache folder."""
    return Path(os.environ.get("RAC_UNET_CACHE") or Path.home() / ".cache" / "rac_unet")


def toy_folder(mode: str, size: int, count: int, version: str) -> Path:
    """Return the folder of toy faces of one kind.

    Args:
        version: version of the code that draws them.
    """
    return cache_folder() / f"toy-{mode}-{size}px-{count}-{version}"


def pictures_folder(digest: str) -> Path:
    """Return the folder of the decoded pictures of one split and size."""
    return cache_folder() / _PIXELS_FOLDER / digest


def find_caches() -> list[Cache]:
    """Return all caches, least recently used first."""
    caches = []
    for kind, pattern in ((TOYS, "toy-*"), (PICTURES, f"{_PIXELS_FOLDER}/*")):
        for path in cache_folder().glob(pattern):
            with contextlib.suppress(OSError):
                # Folders that are being made or removed have a suffix.
                caches.append(Cache(LEFT_OVER if path.suffix else kind, path, path.stat().st_mtime))
    return sorted((cache for cache in caches if cache.path.is_dir()), key=lambda cache: (cache.used, cache.path))


def hold(path: Path) -> bool:
    """Mark a cache as used now and lock it until this process ends; return False if it no longer exists."""
    if path in _held:
        return path.is_dir()
    try:
        lock = os.open(path / _IN_USE, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:
        return False
    except OSError:
        # No permission: only the other user who owns the folder can remove it.
        return path.is_dir()
    with contextlib.suppress(OSError):
        lock_shared(lock)
    try:
        there = os.fstat(lock).st_ino == os.stat(path / _IN_USE).st_ino
    except FileNotFoundError:
        there = False
    if not there:
        # Removed before it was locked.
        os.close(lock)
        return False
    with contextlib.suppress(OSError):
        os.utime(path)
    _held[path] = lock
    return True


def release(path: Path) -> None:
    """Release the lock of `hold`, so that others can remove the cache."""
    if (lock := _held.pop(path, None)) is not None:
        os.close(lock)


def remove(cache: Cache) -> bool:
    """Remove a cache; return False if a process uses or makes it."""
    locks = []
    try:
        for name, flags in ((_IN_USE, os.O_RDWR | os.O_CREAT), (LOCK_FILE, os.O_RDWR)):
            with contextlib.suppress(FileNotFoundError):
                locks.append(os.open(cache.path / name, flags, 0o644))
        try:
            for lock in locks:
                lock_alone(lock)
        except OSError:
            # Locked, or a file system without locks, where it could be in use.
            return False
        # Renamed first, so that no process opens it while it is being removed.
        gone = cache.path.with_name(f"{cache.path.name}.{os.getpid()}.removed")
        os.rename(cache.path, gone)
    finally:
        for lock in locks:
            os.close(lock)
    shutil.rmtree(gone, ignore_errors=True)
    return True


def make_room(needed: int) -> int:
    """Remove decoded pictures that are old or whose space is needed, never those in use; return the free bytes.

    First, the leftovers of killed processes and caches not used for `KEEP_DAYS` days are removed; then, while fewer
    than `needed` bytes are free on the disk, the least recently used ones. Toy faces are kept: they are small.
    """
    folder = cache_folder() / _PIXELS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    oldest = time.time() - KEEP_DAYS * 86400
    caches = [cache for cache in find_caches() if cache.kind != TOYS]
    old = [cache for cache in caches if cache.kind == LEFT_OVER or cache.used < oldest]
    for cache in [*old, *(cache for cache in caches if cache not in old)]:
        if cache in old or shutil.disk_usage(folder).free < needed:
            with contextlib.suppress(OSError):
                remove(cache)
    return shutil.disk_usage(folder).free


def _sizes(folder: Path):
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _sizes(Path(entry.path))
            else:
                with contextlib.suppress(OSError):
                    yield entry.stat(follow_symlinks=False).st_size
