"""Read the size of a PNG file from its first bytes and check by its last bytes that it is complete."""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"IEND\xaeB`\x82"


class PngHeader(NamedTuple):
    width: int
    height: int
    bit_depth: int
    file_size: int  # bytes


def read_png_header(path: str) -> PngHeader:
    """Return the size of a PNG picture; only 34 bytes of the file are read.

    Raises: OSError when it cannot be opened; ValueError, with a message that follows the file's name, when it is not a
        complete PNG.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        start = os.read(file, 26)
        file_size = os.lseek(file, 0, os.SEEK_END)
        if not file_size:
            raise ValueError("is empty")
        if len(start) < 26 or not start.startswith(_SIGNATURE) or start[12:16] != b"IHDR":
            raise ValueError("is not a PNG image")
        os.lseek(file, -len(_END), os.SEEK_END)
        if os.read(file, len(_END)) != _END:
            raise ValueError("is cut off: its last bytes are missing")
    finally:
        os.close(file)
    width, height, bit_depth = struct.unpack(">IIB", start[16:25])
    return PngHeader(width, height, bit_depth, file_size)
