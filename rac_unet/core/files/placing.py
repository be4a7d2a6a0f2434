"""Give a finished file or folder its name: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


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
