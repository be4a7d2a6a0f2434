"""Put whole files and folders on disk: written under a temporary name, then renamed, so nobody reads half of one."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from rac_unet.core.errors import UserError
from rac_unet.core.files.unfinished import remove_unfinished

_counter = itertools.count()


@contextlib.contextmanager
def open_whole(path: str | os.PathLike, temporary_folder: str | os.PathLike | None = None) -> Iterator[BinaryIO]:
    """Open `path` for writing bytes; it appears, or replaces what is there, only when the block ends well.

    Makes the folders above it.

    Args:
        temporary_folder: where the unfinished file lives, on the same disk as `path`; default: beside `path`.
    Raises: OSError (full disk, no permission); the unfinished file is gone by then.
    """
    path = Path(path)
    if temporary_folder is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(temporary_folder or path.parent, f".{path.name}.{os.getpid()}-{next(_counter)}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
        try:
            os.replace(temporary, path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        # A failed write into an open file names no path, and the temporary one means nothing to a user.
        named = (None, str(temporary), temporary)
        if isinstance(error, OSError) and error.errno is not None and error.filename in named:
            error.filename = str(path)
        raise


def write_file(path: str | os.PathLike, content: bytes, temporary_folder: str | os.PathLike | None = None) -> None:
    """Write `content` to `path` as `open_whole` does."""
    with open_whole(path, temporary_folder) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole: beside itself first, then renamed."""
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write(temporary)` make a file, then rename it to `path`; nothing is left behind when it fails.

    The temporary name keeps the ending, since writers choose their format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Elsewhere than in a run another machine may be writing the same file.
    remove_unfinished(path.parent, path.name, idle=3600)
    head, ending = re.fullmatch(r"(\.*[^.]*)(.*)", path.name).groups()
    temporary = path.with_name(f".{head}.{os.getpid()}.tmp{ending}")
    try:
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        # A failed write into an open file names no path, and the temporary one means nothing to a user.
        if error.errno is not None and error.filename in (None, str(temporary), temporary):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def check_new(path: str | os.PathLike) -> None:
    """Raise UserError when there is something at the path where a run directory is to be made."""
    if os.path.lexists(path):
        raise UserError(f"{path} exists already and is never overwritten; give another name, or remove it", "exists")


@contextlib.contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """A folder that appears at `path` when the block ends well, whole; nothing is left behind otherwise.

    Yields: the folder to fill, under a temporary name.
    Raises: UserError when something is at `path` already, or its parent is no folder.
    """
    check_new(path)
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    remove_unfinished(path.parent, path.name)
    try:
        temporary.mkdir(parents=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"cannot make {path}: {path.parent} is not a folder", "wrong_type") from None
    try:
        yield temporary
        check_new(path)
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def placed(path: Path) -> Iterator[Path]:
    """A name beside `path`, given to it when the block ends well; nothing is left behind otherwise.

    What stood at `path`, file or folder, is replaced then and not before.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    # The ending is kept: writers choose their format by it.
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp{target.suffix}")
    aside = target.with_name(f".{target.stem}.{os.getpid()}.old{target.suffix}")
    _remove(temporary)
    try:
        yield temporary.absolute()
        if target.is_dir():
            # No system call replaces a folder that holds something.
            os.rename(target, aside)
            try:
                os.rename(temporary, target)
            except BaseException:
                os.rename(aside, target)
                raise
            _remove(aside)
        else:
            os.replace(temporary, target)
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
