"""Detect the encoding of users' text files, and read them line by line with any line ends."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rac_unet.core.errors import UserError

# Byte-order mark, encoding of the rest, and encoding of the whole file. UTF-32 precedes UTF-16, whose mark starts with
# the same bytes.
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
    """The encoding of a text file.

    Attributes:
        name: encoding of the text after the byte-order mark.
        whole: encoding of the file including its mark.
        mark: length of the mark in bytes.
        note: a note for the user if the encoding was guessed, else "".
    """

    name: str
    whole: str
    mark: int = 0
    note: str = ""


def read_text(path: str | os.PathLike) -> tuple[str, str]:
    """Read a text file; return its text and a note if its encoding was guessed, else "".

    Raises: UserError when it is not text; OSError when it cannot be opened.
    """
    content = Path(path).read_bytes()
    encoding = find_encoding(os.fspath(path), io.BytesIO(content))
    return content[encoding.mark :].decode(encoding.name), encoding.note


def find_encoding(path: str, file: BinaryIO) -> Encoding:
    """Detect UTF-8, UTF-16 or UTF-32 by its mark or zero bytes, UTF-8 by its validity, or else Windows-1252.

    Args:
        path: for messages only.
        file: positioned at its start; it is read to the end.
    Raises: UserError when the file has none of these encodings.
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
        # In UTF-16, every second byte of Western text is zero.
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
        raise UserError(f"{path} is damaged {encoding.name.upper()} text (byte {place:,}); save it again", "unreadable")
    return encoding


def _decoding_fault(file: BinaryIO, name: str) -> int | None:
    """Return about where a file is no longer valid text of an encoding; None if all of it is valid."""
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
    """Yield (number, byte offset, text with its line end) of every line from an offset on, numbered from 1."""
    place = max(place, encoding.mark)
    file.seek(place)
    narrow = encoding.name in ("utf-8", "cp1252")
    for number, raw in enumerate(_narrow_lines(file) if narrow else _wide_lines(file, encoding.name), 1):
        yield number, place, raw.decode(encoding.name)
        place += len(raw)


def _narrow_lines(file: BinaryIO) -> Iterator[bytes]:
    for line in file:
        # A file with line ends of old Macs (CR) is read as one line.
        yield from line.splitlines(keepends=True) if b"\r" in line.rstrip(b"\r\n") else [line]


def _wide_lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    width = 4 if "32" in name else 2
    ends = {text: text.encode(name) for text in ("\n", "\r")}
    rest = b""
    while True:
        block = file.read(_BLOCK)
        rest += block
        start = place = 0
        # A CR at the end of a block may be the first half of a CR LF.
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
