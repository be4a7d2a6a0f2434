"""Store one file as a patch of another that resembles it: the two WebAssembly builds share nearly all of their code.

Format, all numbers little-endian uint32: size of the result, number of steps, number of literal bytes; per step the
number of literal bytes to copy, the place in the base file and the number of bytes to take from there; the literal
bytes; then, for every byte taken from the base file, its difference (mod 256). The differences are nearly all 0, so
gzip makes 230 kB of a patch for 9 MB. `static/unpack.js` applies it.
"""

from __future__ import annotations

import numpy as np

# Length of the byte strings by which places in the two files are matched, and the distance between those of the base.
_ANCHOR, _EVERY = 24, 4
# A match ends where fewer than half of this many bytes in a row are equal.
_WINDOW = 32


def make_patch(base: bytes, target: bytes) -> bytes:
    """Return a patch that turns `base` into `target`; deterministic, and a few seconds for 9 MB."""
    places: dict[bytes, int] = {}
    for place in range(0, len(base) - _ANCHOR, _EVERY):
        places.setdefault(base[place : place + _ANCHOR], place)
    old, new = np.frombuffer(base, np.uint8), np.frombuffer(target, np.uint8)
    steps, literals, differences = [], [], []
    at, done, moved = 0, 0, None
    while at < len(target) - _ANCHOR:
        anchor = target[at : at + _ANCHOR]
        place = places.get(anchor)
        # The place that continues the match before is the likeliest.
        if moved is not None and at + moved >= 0 and base[at + moved : at + moved + _ANCHOR] == anchor:
            place = at + moved
        if place is None:
            at += 1
            continue
        back = 0
        while at - back > done and place > back and base[place - back - 1] == target[at - back - 1]:
            back += 1
        length = back + max(_ANCHOR, _matching(old[place:], new[at:]))
        start, source = at - back, place - back
        steps.append((start - done, source, length))
        literals.append(target[done:start])
        differences.append((new[start : start + length] - old[source : source + length]).tobytes())
        done = at = start + length
        moved = source - start
    literals.append(target[done:])
    text = b"".join(literals)
    head = np.array([len(target), len(steps), len(text)], "<u4").tobytes()
    return head + np.array(steps, "<u4").reshape(-1, 3).tobytes() + text + b"".join(differences)


def apply_patch(base: bytes, patch: bytes) -> bytes:
    """Return the file that a patch makes of `base`."""
    size, count, literal_bytes = np.frombuffer(patch, "<u4", 3).tolist()
    steps = np.frombuffer(patch, "<u4", 3 * count, 12).reshape(-1, 3).tolist()
    old, data = np.frombuffer(base, np.uint8), np.frombuffer(patch, np.uint8)
    literal = 12 + 12 * count
    end = literal + literal_bytes
    difference, out, at = end, np.empty(size, np.uint8), 0
    for fresh, source, length in steps:
        out[at : at + fresh] = data[literal : literal + fresh]
        literal, at = literal + fresh, at + fresh
        out[at : at + length] = old[source : source + length] + data[difference : difference + length]
        difference, at = difference + length, at + length
    out[at:] = data[literal:end]
    return out.tobytes()


def _matching(old: np.ndarray, new: np.ndarray) -> int:
    """Return for how many bytes two arrays match, but for a few bytes."""
    most = min(len(old), len(new))
    for start in range(0, most, 1 << 16):
        end = min(start + (1 << 16), most)
        equal = np.cumsum(old[start:end] == new[start:end], dtype=np.int32)
        few = np.flatnonzero(equal[_WINDOW:] - equal[:-_WINDOW] < _WINDOW // 2)
        if len(few):
            return start + int(few[0])
    return most
