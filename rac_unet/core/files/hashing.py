"""Digests of whole files."""

from __future__ import annotations

import hashlib
import os


def file_digest(path: str | os.PathLike, kind: str = "sha256") -> str:
    """Hexadecimal digest of a file's bytes, read in pieces.

    Args:
        kind: an algorithm of `hashlib`.
    Raises: OSError.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()
