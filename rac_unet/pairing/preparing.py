"""Make a data set of pairs item by item, in parallel; an interrupted call can be continued, with the same result.

An item is a labelled photo or a toy face. A *maker* turns one item into images and rows. This module runs makers in
worker processes, keeps the journal, and writes the tables after the last item.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rac_unet.core.errors import UserError
from rac_unet.core.files.output_folder import OutputFolder
from rac_unet.core.files.whole import write_file
from rac_unet.core.parallel import run_parallel
from rac_unet.core.progress import Progress
from rac_unet.photos.png_encoding import encode_png


@dataclass
class Made:
    """The result of a maker for one item, whose files are written.

    Attributes:
        name: name of the item in skipped.csv and notes.csv, such as the path of a photo.
        rows: rows of pairs.csv as dicts; empty when the item was skipped.
        files: every file written, path relative to the output folder -> size in bytes.
        hidden: share of hidden pixels per row, 0..1.
        skipped: why there is no pair; None if there is one.
        note: a remark about a pair that was made.
    """

    name: str
    rows: list[dict] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    hidden: list[float] = field(default_factory=list)
    skipped: str | None = None
    note: str | None = None


@dataclass
class Summary:
    """Counts of a finished data set.

    Attributes:
        output: the folder.
        already_there: finished by an earlier call; all other counts are then empty.
        counts: (split, emotion) -> pairs.
        reasons: why items were skipped -> how many.
        notes: number of items with a note.
        hidden: mean share of hidden pixels, 0..1.
        seconds, rate: time of this call, and items per second.
    """

    output: Path
    already_there: bool = False
    counts: Counter = field(default_factory=Counter)
    reasons: Counter = field(default_factory=Counter)
    notes: int = 0
    hidden: float = 0.0
    seconds: float = 0.0
    rate: float = 0.0


def prepare(
    output: str | Path,
    items: Sequence,
    maker: Callable,
    settings: dict,
    workers: int = 1,
    progress: bool = True,
    noun: str = "photos",
    rejected: Iterable[tuple[str, str]] = (),
    weighted: bool = False,
) -> Summary:
    """Make all items into `output` and write pairs.csv, skipped.csv and notes.csv.

    Args:
        items: small picklable values; their order is the order of the rows.
        maker: picklable callable (item, folder, unfinished folder) -> Made, deterministic.
        settings: all settings that the result depends on, for `OutputFolder`.
        progress: draw a progress line on stderr.
        rejected: (name, reason) of items that were refused before any image was opened; first in skipped.csv.
        weighted: rows carry a sampling weight.
    Raises: UserError (folder in use, foreign, other settings, full disk, no pair made); KeyboardInterrupt,
        after printing how to continue. Finished items are always kept.
    """
    from rac_unet.data.pairs import PAIRS_FILE

    with OutputFolder(output, settings, PAIRS_FILE) as folder:
        if folder.finished:
            return Summary(folder.path, already_there=True)
        line, summary = make_items(
            folder, items, maker, lambda: _write_tables(folder, len(items), rejected, weighted), workers, progress, noun
        )
        summary.seconds, summary.rate = line.seconds, line.rate
        folder.finish()
        return summary


def make_items(
    folder: OutputFolder,
    items: Sequence,
    maker: Callable,
    finish: Callable[[], Any],
    workers: int,
    progress: bool,
    noun: str,
) -> tuple[Progress, Any]:
    """Make the items that a folder lacks, then its tables.

    Args:
        items, maker, progress, noun: as for `prepare`.
        finish: writes the tables after the last item.
    Returns: the progress line, and the result of `finish`.
    Raises: UserError where the disk is full; KeyboardInterrupt, after printing how to continue.
    """
    done = folder.finished_items()
    missing = [index for index in range(len(items)) if index not in done]
    line = Progress(len(items), len(done), noun, enabled=progress)
    work = _Work(maker, str(folder.path), str(folder.unfinished))
    try:
        for results in run_parallel(work, items, missing, workers):
            for index, made in results:
                folder.record(index, asdict(made))
            folder.flush()
            line.advance(len(results))
        line.close()
        return line, finish()
    except KeyboardInterrupt:
        line.close()
        count = len(folder.finished_items())
        print(
            f"{count:,} of {len(items):,} {noun} are done; run the same command again to continue",
            file=sys.stderr,
        )
        raise
    except OSError as error:
        line.close()
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        count = len(folder.finished_items())
        raise UserError(
            f"the disk of {folder.path} is full; {count:,} of {len(items):,} {noun} are done: "
            "free some space and run the same command again to continue",
            "unwritable",
        ) from None


@dataclass(frozen=True)
class _Work:
    maker: Callable
    folder: str
    unfinished: str

    def __call__(self, item) -> Made:
        return self.maker(item, self.folder, self.unfinished)


class ImageWriter:
    """Write one item's images below the output folder and remember their sizes for `Made.files`."""

    def __init__(self, folder: str, unfinished: str, split: str, key: str):
        # Two characters of a hash spread any number of photos over 256 folders a split.
        self._base = f"images/{split}/{hashlib.blake2b(key.encode(), digest_size=1).hexdigest()}/{key}"
        self._folder, self._unfinished = folder, unfinished
        self.files: dict[str, int] = {}

    def write(self, suffix: str, image: np.ndarray) -> str:
        """Write `<key><suffix>.png`; return its path relative to the output folder."""
        name = f"{self._base}{suffix}.png"
        content = encode_png(image)
        write_file(f"{self._folder}/{name}", content, self._unfinished)
        self.files[name] = len(content)
        return name


def _write_tables(folder: OutputFolder, count: int, rejected: Iterable[tuple[str, str]], weighted: bool) -> Summary:
    from rac_unet.data import pairs

    summary = Summary(folder.path)
    skipped, notes = CsvTable("path", "reason"), CsvTable("path", "note")
    hidden_sum, hidden_count, shared = 0.0, 0, False
    for name, reason in rejected:
        skipped.add(name, reason)
        summary.reasons[_kind_of(reason)] += 1
    for index in range(count):
        made = folder.result(index)
        if made["skipped"] is not None:
            skipped.add(made["name"], made["skipped"])
            summary.reasons[_kind_of(made["skipped"])] += 1
        if made["note"] is not None:
            notes.add(made["name"], made["note"])
            summary.notes += 1
        shared = shared or any(row.get(pairs.EMOTION_SHARES) for row in made["rows"])
        hidden_sum += sum(made["hidden"])
        hidden_count += len(made["hidden"])
        summary.counts.update((row["split"], row["emotion"]) for row in made["rows"])
    write_file(folder.path / "skipped.csv", skipped.content())
    write_file(folder.path / "notes.csv", notes.content())
    if not summary.counts:
        reasons = "; ".join(f"{number:,} x {reason}" for reason, number in summary.reasons.most_common(5))
        raise UserError(
            f"no pair was made, everything was skipped: {reasons}; "
            f"see {folder.path / 'skipped.csv'}; correct the cause and give a new --output",
            "empty",
        )
    summary.hidden = hidden_sum / max(hidden_count, 1)
    # Written last, so that a folder with pairs.csv is complete. Rows are read from the journal again to save memory.
    rows = (pairs.Pair(**row) for index in range(count) for row in folder.result(index)["rows"])
    pairs.write(folder.path / pairs.PAIRS_FILE, rows, weighted, shared)
    return summary


def _kind_of(reason: str) -> str:
    """Return a reason without its numbers and names, so that equal reasons are counted together."""
    return re.sub(r"\d+", "N", re.sub(r"'[^']*'", "'…'", reason))


class CsvTable:
    """The content of a CSV file, row by row.

    Args:
        columns: its header.
    """

    def __init__(self, *columns: str):
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow(columns)

    def add(self, *values: str) -> None:
        self._writer.writerow(values)

    def content(self) -> bytes:
        # File names need not be valid Unicode.
        return self._text.getvalue().encode(errors="backslashreplace")
