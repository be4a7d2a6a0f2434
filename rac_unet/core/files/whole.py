"""Write files and folders atomically: under a temporary name, which is then renamed."""

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
    """Open `path` for writing bytes; the file is created or replaced only when the block succeeds.

    Creates the folders above it.

    Args:
        temporary_folder: folder of the temporary file, on the same disk as `path`; default: the folder of `path`.
    Raises: OSError (full disk, no permission), after removing the temporary file.
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
        # An error while writing an open file has no path, and the temporary path is of no use to the user.
        named = (None, str(temporary), temporary)
        if isinstance(error, OSError) and error.errno is not None and error.filename in named:
            error.filename = str(path)
        raise


def write_file(path: str | os.PathLike, content: bytes, temporary_folder: str | os.PathLike | None = None) -> None:
    """Write `content` to `path` atomically; see `open_whole`."""
    with open_whole(path, temporary_folder) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Call `write(temporary)` to create a file and rename it to `path`; nothing remains after an error.

    The temporary name has the same file extension, since writers choose their format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Outside a run directory another machine may be writing the same file.
    remove_unfinished(path.parent, path.name, idle=3600)
    head, ending = re.fullmatch(r"(\.*[^.]*)(.*)", path.name).groups()
    temporary = path.with_name(f".{head}.{os.getpid()}.tmp{ending}")
    try:
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        # An error while writing an open file has no path, and the temporary path is of no use to the user.
        if error.errno is not None and error.filename in (None, str(temporary), temporary):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def check_new(path: str | os.PathLike) -> None:
    """Raise UserError when the path of a new file or folder exists already."""
    if os.path.lexists(path):
        raise UserError(f"{path} exists already and is not overwritten; give another name, or remove it", "exists")


@contextlib.contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Create a folder at `path` atomically when the block succeeds; nothing remains after an error.

    Yields: the folder to fill, under a temporary name.
    Raises: UserError when `path` exists already, or its parent is not a folder.
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
    """Yield a temporary path that is renamed to `path` when the block succeeds; nothing remains after an error.

    A file or folder at `path` is replaced only then.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    # With the same file extension, since writers choose their format by it.
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp{target.suffix}")
    old = target.with_name(f".{target.stem}.{os.getpid()}.old{target.suffix}")
    _remove(temporary)
    try:
        yield temporary.absolute()
        if target.is_dir():
            # No system call replaces a folder that is not empty.
            os.rename(target, old)
            try:
                os.rename(temporary, target)
            except BaseException:
                os.rename(old, target)
                raise
            _remove(old)
        else:
            os.replace(temporary, target)
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
