"""What the first pass decides about a clip: its faces, where they are in each frame, and what is painted.

Kept in memory and on disk for the second pass: some 600 bytes for each face of a frame.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rac_unet.core.errors import UserError

_VERSION = 1


@dataclass(frozen=True)
class Track:
    """One face of a clip, from its first frame to its last, without gaps.

    Attributes:
        first: number of its first frame.
        points: (N, 68, 2) float32, landmarks in pixels of the frame, not smoothed; interpolated where it was not seen.
        moves: (N, 4) float32, the face's motion from the frame before as a similarity a, b, x, y: the matrix
            [[1 + a, -b, x], [b, 1 + a, y]]; NaN where it is not known.
        trust: (N,) float32, the trust in the face, 1 at most; NaN where it was not seen.
        masked: (N,) bool, whether it has a mask, and is painted.
        wide: whether its crops are cut by the wider frame (`framing.py`).
        emotion: the emotion to paint; None for no emotion, or if the face is never masked.
        confidence: mean probability of an emotion that was read from the face (`auto`); None for a requested emotion.
        votes: emotion -> number of frames in which it was read as the most probable; empty for a requested emotion.
    """

    first: int
    points: np.ndarray
    moves: np.ndarray
    trust: np.ndarray
    masked: np.ndarray
    wide: bool = False
    emotion: str | None = None
    confidence: float | None = None
    votes: dict[str, int] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """Number of its last frame."""
        return self.first + len(self.points) - 1

    def has(self, index: int) -> bool:
        """Return whether a frame, by its number, is one of this track."""
        return self.first <= index <= self.last

    @property
    def painted_share(self) -> float:
        """Share of its frames that are painted, 0..1."""
        return float(self.masked.mean())

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of the landmarks in its middle frame, in pixels."""
        middle = self.points[len(self.points) // 2]
        return (*middle.min(0).tolist(), *middle.max(0).tolist())

    def record(self) -> dict[str, Any]:
        """Return its facts for a report, ready for JSON."""
        return {
            "first_frame": self.first,
            "last_frame": self.last,
            "box": [round(value, 1) for value in self.box],
            "emotion": self.emotion,
            "confidence": self.confidence,
            "votes": self.votes,
            "painted_share": self.painted_share,
        }


@dataclass(frozen=True)
class Decisions:
    """The result of the first pass.

    Attributes:
        times: (F,) float64, seconds of each frame.
        tracks: the faces, in the order of their first frames, larger ones first.
        cuts: numbers of the frames with which a new scene starts, without the first frame.
        first: number of the first frame.
    """

    times: np.ndarray
    tracks: list[Track]
    cuts: tuple[int, ...] = ()
    first: int = 0

    @property
    def rate(self) -> float:
        """Frames per second: the median; 25 for a single frame."""
        steps = np.diff(self.times)
        steps = steps[steps > 0]
        return float(1 / np.median(steps)) if len(steps) else 25.0

    def to_bytes(self) -> bytes:
        """Return all as the bytes of an .npz file."""
        arrays = {"times": self.times}
        facts = []
        for number, track in enumerate(self.tracks):
            for name in _ARRAYS:
                arrays[f"{name}_{number}"] = getattr(track, name)
            facts.append({name: getattr(track, name) for name in _FACTS})
        header = {"version": _VERSION, "cuts": list(self.cuts), "first": self.first, "tracks": facts}
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        content = io.BytesIO()
        np.savez(content, **arrays)
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Decisions:
        """Return what `to_bytes` wrote; raises UserError when the content is damaged or from another version."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                header = json.loads(arrays["header"].tobytes())
                if header["version"] != _VERSION:
                    raise ValueError(f"version {header['version']}")
                tracks = [
                    Track(**facts, **{name: arrays[f"{name}_{number}"] for name in _ARRAYS})
                    for number, facts in enumerate(header["tracks"])
                ]
                return cls(arrays["times"], tracks, tuple(header["cuts"]), header["first"])
        except Exception as error:  # zipfile, NumPy and JSON raise many kinds
            raise UserError(
                f"the decisions about a clip cannot be read ({error}); make them again", "unreadable"
            ) from None


_ARRAYS = ("points", "moves", "trust", "masked")
_FACTS = ("first", "wide", "emotion", "confidence", "votes")
