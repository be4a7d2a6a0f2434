"""Read users' tables with any common encoding, separator and line end; columns are found by their names."""

from __future__ import annotations

import csv
import io
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from rac_unet.core.errors import UserError
from rac_unet.core.files.text_files import Encoding, find_encoding, read_lines

DELIMITERS = (",", ";", "\t", "|")
_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# First line that spreadsheets write and read.
_SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?$', re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column to look for in a table.

    Attributes:
        name: its name.
        aliases: other accepted names, used if no column has the name.
        needed: whether a table without it is refused.
    """

    name: str
    aliases: tuple[str, ...] = ()
    needed: bool = True


@dataclass(frozen=True)
class Table:
    """A table with known columns.

    Attributes:
        path: for messages.
        encoding: encoding of the file.
        delimiter: one of `DELIMITERS`, or the one given by a line `sep=`.
        header: the names of the columns as found; empty for a table without header.
        at: `Column.name` -> position.
        lines: number of lines before the first row.
        opens: function that opens the file at its start.
    """

    path: str
    encoding: Encoding
    delimiter: str
    header: tuple[str, ...]
    at: dict[str, int]
    lines: int
    opens: Callable[[], BinaryIO]

    def rows(self) -> Iterator[tuple[int, int, list[str]]]:
        """Yield (line, byte offset, unstripped cells) of every row; blank lines are skipped.

        Raises: UserError naming the line of a quotation mark that is not closed.
        """
        with self.opens() as file:
            lines = itertools.islice(read_lines(file, self.encoding), self.lines, None)
            for number, place, cells in _rows(self.path, lines, self.delimiter):
                if len(cells) > 1 or cells[0].strip():
                    yield number, place, cells

    def row_at(self, place: int) -> list[str]:
        """Return the cells of the row at a byte offset from `rows`."""
        with self.opens() as file:
            return next(_rows(self.path, read_lines(file, self.encoding, place), self.delimiter))[2]

    def cell(self, cells: Sequence[str], name: str) -> str:
        """Return a column's cell without blanks around it; "" where the row or the table lacks it."""
        place = self.at.get(name, len(cells))
        return cells[place].strip() if place < len(cells) else ""


def open_table(
    path: str | os.PathLike,
    columns: Sequence[Column],
    content: bytes | None = None,
    bare: Callable[[list[str]], bool] = lambda cells: False,
) -> Table:
    """Detect a table's encoding, separator and columns.

    The separator that gives the most expected names is used. Names are compared without case and surrounding blanks,
    and blank, hyphen and underscore are equal; columns without a name (a data frame's index) are ignored.

    Args:
        content: the file's bytes, if they are in memory; `path` is then for messages only.
        bare: cells of the first line, which has none of the names -> whether it is already a row of a documented format
            without header, with columns in the order of `columns`.
    Raises: UserError: `bad_layout` when a needed column is missing, with the names found; `ambiguous` when two columns
        match one name; `unreadable` when it is not text. OSError when the file cannot be opened.
    """
    path = os.fspath(path)

    def opens() -> BinaryIO:
        return open(path, "rb") if content is None else io.BytesIO(content)

    with opens() as file:
        encoding = find_encoding(path, file)
    with opens() as file:
        number, first, fixed = _first_line(read_lines(file, encoding))
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
    """Return number and text of the first line that is not blank, and the separator given by a line before it."""
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
                f"{path}: the columns {names} could both be {column.name!r}; rename the right one to "
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
            f"{path} lacks the column {' and '.join(missing)}; its first line must have the names of the columns. "
            f"Found: {shown[:300] or 'nothing'}{separated}. Needed: {needed}",
            "bad_layout",
        )
    return at


def _described(column: Column) -> str:
    return f"{column.name} (or {', '.join(column.aliases)})" if column.aliases else column.name


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().strip('"').strip().lower())


def _rows(path: str, lines: Iterable[tuple[int, int, str]], delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    lines = iter(lines)
    for number, place, text in lines:
        if '"' not in text:
            # Takes a tenth of the time of a CSV reader.
            yield number, place, text.rstrip("\r\n").split(delimiter)
            continue
        following = (more for _, _, more in lines)
        reader = csv.reader(itertools.chain([text], following), delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            yield number, place, next(reader)
        except csv.Error as error:
            raise UserError(f"{path}, line {number}, is not CSV: {error}", "bad_layout") from None
