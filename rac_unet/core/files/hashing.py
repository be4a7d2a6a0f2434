"""Digests of files."""

from __future__ import annotations

import hashlib
import os


def file_digest(path: str | os.PathLike, kind: str = "sha256") -> str:
    """Return the hexadecimal digest of a file, read in blocks.

    Args:
        kind: an algorithm of `hashlib`.
    Raises: OSError.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()
