"""Find out how a user's text file is encoded, and read it line by line with any line ends."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rac_unet.core.errors import UserError

# What a file begins with, the encoding of the rest, and the encoding of the whole. Of UTF-32 before UTF-16, whose mark
# begins with the same bytes.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
)
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Encoding:
    """How a file's bytes are text.

    Attributes:
        name: of what follows the byte-order mark.
        whole: of the file with its mark.
        mark: length of the mark in bytes.
        note: what had to be guessed, for the user; "" where nothing was.
    """

    name: str
    whole: str
    mark: int = 0
    note: str = ""


def read_text(path: str | os.PathLike) -> tuple[str, str]:
    """A whole text file, and what had to be guessed of its encoding ("" where nothing was).

    Raises: UserError when it is not text; OSError when it cannot be opened.
    """
    content = Path(path).read_bytes()
    encoding = find_encoding(os.fspath(path), io.BytesIO(content))
    return content[encoding.mark :].decode(encoding.name), encoding.note


def find_encoding(path: str, file: BinaryIO) -> Encoding:
    """UTF-8, UTF-16 or UTF-32 by its mark or its zeros, UTF-8 by its validity, or else Windows-1252.

    Args:
        path: for messages alone.
        file: at its beginning; it is read to the end.
    Raises: UserError when it is none of these.
    """
    start = file.read(4096)
    for mark, name, whole in _MARKS:
        if start.startswith(mark):
            return _checked(path, file, Encoding(name, whole, len(mark)))
    if start.startswith(b"PK\x03\x04"):
        raise UserError(
            f"{path} is an Excel workbook or another archive, not text; save it as CSV in UTF-8", "unreadable"
        )
    if zeros := start.count(0):
        # Letters of Western languages in UTF-16: every second byte is zero.
        odd = start[1::2].count(0)
        if zeros > len(start) // 4 and odd in (0, zeros):
            name = "utf-16-le" if odd else "utf-16-be"
            note = f"{path} has no byte-order mark; read as {name.upper()}"
            return _checked(path, file, Encoding(name, name, 0, note))
        raise UserError(f"{path} is not text (byte {start.index(0)} is zero); save it as CSV in UTF-8", "unreadable")
    faults: dict[str, int] = {}
    for name in ("utf-8", "cp1252"):
        file.seek(0)
        if (fault := _decoding_fault(file, name)) is None:
            note = f"{path} is not UTF-8 (byte {faults['utf-8']:,}); read as Windows-1252" if faults else ""
            return Encoding(name, name, 0, note)
        faults[name] = fault
    raise UserError(
        f"{path} is neither UTF-8 nor Windows-1252 text (byte {faults['cp1252']:,}); save it as CSV in UTF-8",
        "unreadable",
    )


def _checked(path: str, file: BinaryIO, encoding: Encoding) -> Encoding:
    file.seek(encoding.mark)
    if (fault := _decoding_fault(file, encoding.name)) is not None:
        place = encoding.mark + fault
        raise UserError(f"{path} is damaged {encoding.name.upper()} text (byte {place:,}); save it anew", "unreadable")
    return encoding


def _decoding_fault(file: BinaryIO, name: str) -> int | None:
    """About where a file stops being text of an encoding; None where it does not."""
    decoder, place = codecs.getincrementaldecoder(name)(), 0
    while True:
        block = file.read(_BLOCK)
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            return place + error.start
        if not block:
            return None
        place += len(block)


def read_lines(file: BinaryIO, encoding: Encoding, place: int = 0) -> Iterator[tuple[int, int, str]]:
    """(number, byte offset, text with its line end) of every line from an offset on, numbered from 1."""
    place = max(place, encoding.mark)
    file.seek(place)
    narrow = encoding.name in ("utf-8", "cp1252")
    for number, raw in enumerate(_narrow_lines(file) if narrow else _wide_lines(file, encoding.name), 1):
        yield number, place, raw.decode(encoding.name)
        place += len(raw)


def _narrow_lines(file: BinaryIO) -> Iterator[bytes]:
    for line in file:
        # A file whose lines end as those of old Macs is one line so far.
        yield from line.splitlines(keepends=True) if b"\r" in line.rstrip(b"\r\n") else [line]


def _wide_lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    width = 4 if "32" in name else 2
    ends = {text: text.encode(name) for text in ("\n", "\r")}
    rest = b""
    while True:
        block = file.read(_BLOCK)
        rest += block
        start = place = 0
        # A return at the end of a block may be half a line end.
        while place + width <= len(rest) - (width if block else 0):
            unit = rest[place : place + width]
            place += width
            if unit == ends["\n"] or (unit == ends["\r"] and rest[place : place + width] != ends["\n"]):
                yield rest[start:place]
                start = place
        rest = rest[start:]
        if not block:
            if rest:
                yield rest
            return
