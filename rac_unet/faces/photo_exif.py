"""EXIF data (a TIFF structure, EXIF 2.3) put right for pixels that are stored upright.

Numbers are changed in place, so that no offset within the structure moves: makers' notes have some that nobody knows.
"""

from __future__ import annotations

import struct


def upright_exif(exif: bytes, width: int, height: int) -> bytes:
    """The same for a picture that is stored upright at this size, without a thumbnail.

    Raises: ValueError when the structure is damaged.
    """
    try:
        return _changed(bytearray(exif), width, height)
    except (struct.error, IndexError):
        raise ValueError("EXIF data are damaged") from None


def _changed(exif: bytearray, width: int, height: int) -> bytes:
    order = "<" if exif[:2] == b"II" else ">"
    (first,) = struct.unpack_from(f"{order}I", exif, 4)
    entries, link = _directory(exif, first, order)
    for tag, value in ((0x0112, 1), (0x0100, width), (0x0101, height)):
        _put(exif, entries, tag, value, order)
    if 0x8769 in entries:
        details, _ = _directory(exif, struct.unpack_from(f"{order}I", exif, entries[0x8769] + 8)[0], order)
        for tag, value in ((0xA002, width), (0xA003, height)):
            _put(exif, details, tag, value, order)
    (second,) = struct.unpack_from(f"{order}I", exif, link)
    if second:
        thumbnail, _ = _directory(exif, second, order)
        if 0x0201 in thumbnail and 0x0202 in thumbnail:
            start, length = (struct.unpack_from(f"{order}I", exif, thumbnail[tag] + 8)[0] for tag in (0x0201, 0x0202))
            end = min(start + length, len(exif))
            # A pointer into the header or the directories would have other data wiped out.
            if start > max(link, second):
                # It is nearly always the last; what lies behind it must stay where it is.
                exif[start:end] = b"" if end == len(exif) else bytes(max(end - start, 0))
        struct.pack_into(f"{order}I", exif, link, 0)
    return bytes(exif)


def _directory(exif: bytearray, start: int, order: str) -> tuple[dict[int, int], int]:
    """Positions of a directory's entries by tag, and of its link to the next one."""
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    positions = range(start + 2, start + 2 + 12 * count, 12)
    return {struct.unpack_from(f"{order}H", exif, at)[0]: at for at in positions}, start + 2 + 12 * count


def _put(exif: bytearray, entries: dict[int, int], tag: int, value: int, order: str) -> None:
    if tag in entries:
        (kind,) = struct.unpack_from(f"{order}H", exif, entries[tag] + 2)
        if kind in (3, 4):
            kind = 4 if value > 0xFFFF else kind
            struct.pack_into(f"{order}H", exif, entries[tag] + 2, kind)
            struct.pack_into(f"{order}{'HH' if kind == 3 else 'I'}", exif, entries[tag] + 8,
                             *((value, 0) if kind == 3 else (value,)))  # fmt: skip
