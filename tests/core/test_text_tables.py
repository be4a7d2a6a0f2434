"""Users' tables: all encodings, separators, line ends and headers give the same cells, or are refused."""

import codecs

import pytest

from rac_unet.core.files.text_files import read_text
from rac_unet.core.files.text_tables import Column, open_table
from tests.refusals import refused

COLUMNS = (Column("path", ("image", "file")), Column("emotion", ("label",)), Column("split", needed=False))
TEXT = 'path{d}emotion\ncafé.jpg{d}fear\n"a{d}b ""x"".jpg"{d}joy\n'
ROWS = [["café.jpg", "fear"], ['a{d}b "x".jpg', "joy"]]


def cells(table, names=("path", "emotion")):
    return [[table.cell(row, name) for name in names] for _, _, row in table.rows()]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16-le", b""),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("cp1252", b""),
    ],
)
def test_every_form_gives_the_same_cells(tmp_path, encoding, mark, delimiter, end):
    path = tmp_path / "t.csv"
    path.write_bytes(mark + TEXT.format(d=delimiter).replace("\n", end).encode(encoding))
    table = open_table(path, COLUMNS)
    assert cells(table) == [[cell.replace("{d}", delimiter) for cell in row] for row in ROWS]
    # Rows are also read by their byte offset.
    assert [table.row_at(place) for _, place, _ in table.rows()] == [row for _, _, row in table.rows()]
    assert [number for number, _, _ in table.rows()] == [2, 3]
    assert bool(table.encoding.note) == (not mark and encoding != "utf-8")


def test_variants_of_headers():
    table = open_table(
        "t", COLUMNS, b'sep=;\r\n\r\n"";" Image ";LABEL;age\r\n0; x.jpg ;fear;3\r\n;;\r\n\r\n1;y.jpg\r\n'
    )
    assert cells(table, ("path", "emotion", "split")) == [["x.jpg", "fear", ""], ["", "", ""], ["y.jpg", "", ""]]
    assert table.header == ("", "Image", "LABEL", "age")
    assert cells(open_table("t", COLUMNS, b"path,label\rx,y\rz,3")) == [["x", "y"], ["z", "3"]]
    both = open_table("t", COLUMNS, b"label,path,emotion\n3,x.jpg,fear\n")
    assert cells(both) == [["x.jpg", "fear"]], "the name is preferred to its aliases"


def test_refusals_show_the_columns_that_were_found():
    with refused("bad_layout", "t.csv", "emotion", "path", "feeling", "label"):
        open_table("t.csv", COLUMNS, b"path,feeling\nx,fear\n")
    with refused("bad_layout", "nothing"):
        open_table("t.csv", COLUMNS, b"")
    with refused("ambiguous", "'image'", "'File'", "path"):
        open_table("t.csv", COLUMNS, b"image,File,emotion\n")
    with refused("bad_layout", "line 3", "t.csv"):
        list(open_table("t.csv", COLUMNS, b'path,emotion\nx,fear\n"y,fear\nz,fear\n').rows())


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04\x14\0\0\0",
        b"path,emotion\nx\0,fear\n",
        b"path,emotion\n\x81\xff,fear\n",
        b"\xff\xfea\0b",
        b"\xef\xbb\xbfa,\xff",
    ],
)
def test_a_file_that_is_not_text_is_refused(content):
    with refused("unreadable", "t.csv"):
        open_table("t.csv", COLUMNS, content)


def test_a_table_without_header_is_read_by_position_only_if_it_matches():
    def bare(found):
        return len(found) == 2 and found[1].isdigit()

    table = open_table("t", COLUMNS, b"x.jpg,3\ny.jpg,4\n", bare=bare)
    assert cells(table) == [["x.jpg", "3"], ["y.jpg", "4"]]
    with refused("bad_layout", "x.jpg"):
        open_table("t", COLUMNS, b"x.jpg,three\n", bare=bare)


def test_a_long_file_is_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("rac_unet.core.files.text_files._BLOCK", 7)
    for encoding in ("utf-8", "utf-16"):
        path = tmp_path / encoding
        path.write_bytes(TEXT.format(d=",").replace("\n", "\r\n").encode(encoding))
        assert cells(open_table(path, COLUMNS))[0] == ROWS[0]
        assert read_text(path)[0].startswith("path,emotion\r\ncafé")
