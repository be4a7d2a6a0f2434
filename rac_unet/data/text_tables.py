"""Read tables that users bring: any common encoding, separator and line end, columns by their names."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rac_unet.errors import UserError

DELIMITERS = (",", ";", "\t", "|")
_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
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
# Spreadsheets write and read such a first line.
_SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?$', re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column that is looked for.

    Attributes:
        name: what it should be called.
        aliases: what else it may be called where no column has this name.
        needed: a table without it is refused.
    """

    name: str
    aliases: tuple[str, ...] = ()
    needed: bool = True


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


@dataclass(frozen=True)
class Table:
    """A table whose columns are known.

    Attributes:
        path: for messages.
        encoding: of the file.
        delimiter: one of `DELIMITERS`, or what a line `sep=` names.
        header: the columns' names as found; empty where the table has no header.
        at: column's name, as looked for -> position.
        lines: lines before the first row.
        opens: opens the file at its beginning.
    """

    path: str
    encoding: Encoding
    delimiter: str
    header: tuple[str, ...]
    at: dict[str, int]
    lines: int
    opens: Callable[[], BinaryIO]

    def rows(self) -> Iterator[tuple[int, int, list[str]]]:
        """(line, byte offset, cells as they stand) of every row; blank lines are no rows.

        Raises: UserError naming the line where a quotation mark is never closed.
        """
        with self.opens() as file:
            lines = itertools.islice(_lines(file, self.encoding), self.lines, None)
            for number, place, cells in _rows(self.path, lines, self.delimiter):
                if len(cells) > 1 or cells[0].strip():
                    yield number, place, cells

    def row_at(self, place: int) -> list[str]:
        """The cells of the row at a byte offset that `rows` gave."""
        with self.opens() as file:
            return next(_rows(self.path, _lines(file, self.encoding, place), self.delimiter))[2]

    def cell(self, cells: Sequence[str], name: str) -> str:
        """A column's cell without blanks around it; "" where the row or the table lacks it."""
        place = self.at.get(name, len(cells))
        return cells[place].strip() if place < len(cells) else ""


def open_table(
    path: str | os.PathLike,
    columns: Sequence[Column],
    content: bytes | None = None,
    bare: Callable[[list[str]], bool] = lambda cells: False,
) -> Table:
    """Find out how a table is written and where its columns are.

    The separator is the one that gives most of the names looked for. Names are compared without case, blanks around
    them, and the difference of blank, hyphen and underscore; columns without a name (a data frame's index) are ignored.

    Args:
        content: the file's bytes, where they are in memory; `path` is then for messages alone.
        bare: whether a first line without any of the names is already a row of a documented form without header, whose
            columns are in the order of `columns`.
    Raises: UserError: `bad_layout` when a needed column is missing, showing what was found; `ambiguous` when two
        columns could be the one needed; `unreadable` when it is not text. OSError when the file cannot be opened.
    """
    path = os.fspath(path)

    def opens() -> BinaryIO:
        return open(path, "rb") if content is None else io.BytesIO(content)

    with opens() as file:
        encoding = find_encoding(path, file)
    with opens() as file:
        number, first, fixed = _first_line(_lines(file, encoding))
    wanted = {_plain(name) for column in columns for name in (column.name, *column.aliases)}

    def split(delimiter: str) -> list[str]:
        return [cell.strip() for cell in next(_rows(path, iter([(number, 0, first)]), delimiter))[2]]

    def score(delimiter: str) -> tuple[int, bool, int]:
        cells = split(delimiter)
        return len(wanted & {_plain(cell) for cell in cells}), bare(cells), len(cells)

    delimiter = fixed or max(DELIMITERS, key=score)
    header = split(delimiter) if first else []
    if header and not score(delimiter)[0] and bare(header):
        at = {column.name: place for place, column in enumerate(columns) if place < len(header)}
        return Table(path, encoding, delimiter, (), at, number - 1, opens)
    at = _find_columns(path, columns, header, delimiter)
    return Table(path, encoding, delimiter, tuple(header), at, number, opens)


def _first_line(lines: Iterator[tuple[int, int, str]]) -> tuple[int, str, str]:
    """Number and text of the first line that is not blank, and the separator that a line before it names."""
    fixed = ""
    for number, _, text in lines:
        if found := _SEPARATOR_LINE.match(text.strip(" \r\n")):
            fixed = found.group(1)
        elif text.strip():
            return number, text, fixed
    return 0, "", fixed


def _find_columns(path: str, columns: Sequence[Column], header: list[str], delimiter: str) -> dict[str, int]:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(header):
        places.setdefault(_plain(name), []).append(place)
    at: dict[str, int] = {}
    for column in columns:
        fitting = places.get(_plain(column.name)) or [
            place for alias in column.aliases for place in places.get(_plain(alias), [])
        ]
        if len(fitting) > 1:
            names = " and ".join(repr(header[place]) for place in fitting)
            raise UserError(
                f"{path}: the columns {names} could both be {column.name!r}; rename the one that is meant to "
                f"{column.name}, and the others to something else",
                "ambiguous",
            )
        if fitting:
            at[column.name] = fitting[0]
    if missing := [column.name for column in columns if column.needed and column.name not in at]:
        shown = ", ".join(repr(name) if not name or name != name.strip() else name for name in header[:30])
        separated = f" (separated by {_DELIMITER_NAMES.get(delimiter, repr(delimiter))})" if len(header) > 1 else ""
        needed = ", ".join(_described(column) for column in columns if column.needed)
        raise UserError(
            f"{path} lacks the column {' and '.join(missing)}; its first line must name the columns. "
            f"Found: {shown[:300] or 'nothing'}{separated}. Needed: {needed}",
            "bad_layout",
        )
    return at


def _described(column: Column) -> str:
    return f"{column.name} (or {', '.join(column.aliases)})" if column.aliases else column.name


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().strip('"').strip().lower())


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


def _lines(file: BinaryIO, encoding: Encoding, place: int = 0) -> Iterator[tuple[int, int, str]]:
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
        yield from [line] if b"\r" not in line[:-2] else line.splitlines(keepends=True)


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


def _rows(path: str, lines: Iterable[tuple[int, int, str]], delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    lines = iter(lines)
    for number, place, text in lines:
        if '"' not in text:
            # A tenth of the time of a CSV reader.
            yield number, place, text.rstrip("\r\n").split(delimiter)
            continue
        following = (more for _, _, more in lines)
        reader = csv.reader(itertools.chain([text], following), delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            yield number, place, next(reader)
        except csv.Error as error:
            raise UserError(f"{path}, line {number}, is not CSV: {error}", "bad_layout") from None
