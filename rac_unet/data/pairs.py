"""The pairs data set on disk, `pairs.csv` and lossless PNG images: schema, reading, checks, writing.

    key         unique name of the pair
    masked      image file of the face with a mask painted on
    unmasked    image file of the same face without a mask; several pairs may share one
    occlusion   grey image file, > 0 where the mask hides the face
    emotion     one of the seven names
    split       train, val or test; all pairs of one identity are in the same split
    identity    the person
    source      the data set that the face is from
    mask_style  style of the painted mask; `real` for a real mask, `none` for a face without a mask
    emotion_shares  optional: a distribution over the seven emotions, `anger:0.3 sadness:0.7`; empty: the emotion alone
    weight      optional: how often a training pair is used, relative to the others (default 1)

Paths are relative to the folder of pairs.csv, with forward slashes. All images are square and of one size. A photo
with a real mask has no ground truth: `unmasked` and `occlusion` are empty then, and the split is test.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.files.text_tables import Column, open_table
from rac_unet.core.files.whole import open_whole
from rac_unet.data.pair_checks import (
    IMAGE_COLUMNS,
    SPLITS,
    Faults,
    check_images,
    check_paths,
    check_values,
    read_shares,
)
from rac_unet.data.record_places import Records

if TYPE_CHECKING:
    # Imported where a table is read: writing one, as data preparation does, works without pandas.
    import pandas as pd

PAIRS_FILE = "pairs.csv"
_FEW_VALUES = ("emotion", "emotion_shares", "split", "identity", "source", "mask_style")


@dataclass(frozen=True, slots=True)
class Pair:
    """One row of pairs.csv; the three image paths are relative to its folder."""

    key: str
    masked: str
    unmasked: str
    occlusion: str
    emotion: str
    split: str
    identity: str
    source: str
    mask_style: str
    weight: float = 1.0
    emotion_shares: str = ""


WEIGHT, EMOTION_SHARES = "weight", "emotion_shares"
COLUMNS = tuple(field.name for field in fields(Pair) if field.name not in (WEIGHT, EMOTION_SHARES))
REAL_MASK = "real"
_TABLE = (*map(Column, COLUMNS), Column(EMOTION_SHARES, needed=False), Column(WEIGHT, needed=False))


@dataclass(frozen=True)
class PairSet:
    """A checked data set of pairs.

    Attributes:
        root: the folder of pairs.csv.
        frame: one row per pair in the file's order, columns as in `Pair`.
        image_size: height and width of every image in pixels.
        fingerprint: SHA-256 over the bytes of pairs.csv and the byte size of every image file. It changes
            with any row, label or split and with nearly any image; an image replaced by another of the same
            byte size is not detected, since reading every pixel takes minutes. A split has the same fingerprint.
        records: places of the pictures in TFRecord files; None for image files (`rac_unet.data.records`).
    """

    root: Path
    frame: pd.DataFrame
    image_size: int
    fingerprint: str
    records: Records | None = None

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, index: int) -> Pair:
        row = self.frame.iloc[index]
        cells = (str(row[column]) for column in COLUMNS)
        return Pair(*cells, weight=float(row[WEIGHT]), emotion_shares=str(row[EMOTION_SHARES]))

    def __iter__(self) -> Iterator[Pair]:
        # By column: reading single rows of a data frame takes a hundred times as long.
        columns = [self.frame[name].astype(str).tolist() for name in (*COLUMNS, EMOTION_SHARES)]
        for *cells, shares, weight in zip(*columns, self.weights.tolist(), strict=True):
            yield Pair(*cells, weight=weight, emotion_shares=shares)

    def split(self, name: str) -> PairSet:
        """Return the pairs of one split, in the file's order; may be empty.

        Raises: UserError when `name` is not train, val or test.
        """
        if name not in SPLITS:
            raise UserError(f"unknown split {name!r}; use one of: {', '.join(SPLITS)}", "unknown_name")
        return self.take(np.flatnonzero((self.frame["split"] == name).to_numpy()))

    def take(self, rows: np.ndarray) -> PairSet:
        """Return the pairs at these positions, in this order; positions may repeat."""
        records = self.records and self.records.take(rows)
        return replace(self, frame=self.frame.iloc[rows].reset_index(drop=True), records=records)

    def with_truth(self, wanted: bool = True) -> PairSet:
        """Return only the pairs with ground truth; with False, only the others (real masks)."""
        return self.take(np.flatnonzero(self.has_truth == wanted))

    @property
    def has_truth(self) -> np.ndarray:
        """Whether each pair has ground truth, (N,) bool: False for real masks, which have no unmasked picture."""
        return (self.frame["unmasked"] != "").to_numpy()

    def paths(self, column: str) -> list[str]:
        """Return the full paths of one image column: masked, unmasked or occlusion; "" without ground truth."""
        if column not in IMAGE_COLUMNS:
            raise ValueError(f"column must be one of {IMAGE_COLUMNS}. Received: column={column!r}")
        prefix = f"{self.root}{os.sep}"
        return [path and prefix + path for path in self.frame[column]]

    @property
    def keys(self) -> np.ndarray:
        """Keys of the pairs, (N,) object array of str."""
        return self.frame["key"].to_numpy(object)

    @property
    def emotion_ids(self) -> np.ndarray:
        """Positions in `EMOTIONS`, the order of the network's one-hot input, (N,) int64."""
        import pandas as pd

        return pd.Categorical(self.frame["emotion"].to_numpy(object), categories=EMOTIONS).codes.astype(np.int64)

    @property
    def emotion_shares(self) -> np.ndarray:
        """Distributions over `EMOTIONS`, (N, 7) float32, rows sum to 1; one-hot where none is given."""
        shares = np.eye(len(EMOTIONS), dtype=np.float32)[self.emotion_ids]
        for row, text in enumerate(self.frame[EMOTION_SHARES]):
            if text:
                given = read_shares(text)
                shares[row] = [given.get(name, 0.0) for name in EMOTIONS]
        return shares

    @property
    def has_shares(self) -> bool:
        """Whether any pair has a distribution as its label."""
        return bool((self.frame[EMOTION_SHARES] != "").any())

    @property
    def has_weights(self) -> bool:
        """Whether any pair has a weight other than 1."""
        return bool((self.weights != 1).any())

    @property
    def weights(self) -> np.ndarray:
        """Relative frequencies of the pairs in training, (N,) float64, above 0."""
        return self.frame[WEIGHT].to_numpy(np.float64)

    def split_counts(self) -> dict[str, int]:
        """Return the number of pairs with ground truth of each split that has any."""
        known = self.frame["split"][self.has_truth]
        counts = {name: int((known == name).sum()) for name in SPLITS}
        return {name: count for name, count in counts.items() if count}

    def emotion_counts(self) -> dict[str, int]:
        """Return the number of pairs of each of the seven emotions."""
        counts = np.bincount(self.emotion_ids, minlength=len(EMOTIONS))
        return dict(zip(EMOTIONS, counts.tolist(), strict=True))


def read(path: str | os.PathLike) -> PairSet:
    """Read and check a data set; `path` is its folder or its pairs.csv.

    Of every image file the PNG header and the last bytes are read, which takes about 10 us; no pixels are decoded.

    Raises: one UserError that lists the faults (the first 20 and the number of the others).
    """
    pairs, faults = inspect(path)
    faults.raise_if_any(pairs.root / PAIRS_FILE)
    compact(pairs.frame)
    return pairs


def compact(frame: pd.DataFrame) -> None:
    """Convert columns with few distinct values to categories, in place: a million rows then take a tenth of memory."""
    for column in _FEW_VALUES:
        frame[column] = frame[column].astype("category")


def inspect(path: str | os.PathLike) -> tuple[PairSet, Faults]:
    """Read a data set and return it with all its faults, without raising an error for them; see `read`.

    Raises: UserError when there is no table, or it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        path = path / PAIRS_FILE
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except FileNotFoundError:
        raise UserError(
            f"no data set of pairs at {path}; make one with data_prep, or give the folder of one", "missing"
        ) from None
    frame = parse_table(path)
    faults = Faults()
    check_values(frame, faults)
    sound_paths = check_paths(frame, faults)
    image_size, sizes_hash = check_images(path.parent, frame, sound_paths, faults)
    digest.update(sizes_hash)
    return PairSet(path.parent, frame, image_size, digest.hexdigest()), faults


def write_shares(shares: dict[str, float]) -> str:
    """Format a distribution for the column `emotion_shares`: `anger:0.3 sadness:0.7`, zeros left out."""
    return " ".join(f"{name}:{shares[name]:.4g}" for name in EMOTIONS if shares.get(name, 0) > 0)


def new_table(root: Path, name: str, *others: str) -> Path:
    """Return the path of a second table next to pairs.csv, which a command is to write.

    Args:
        name: its file name.
        others: endings of further files of that name that are written with it, such as `.json`.
    Raises: UserError when the name is not that of a .csv file, or one of the files exists.
    """
    table = root / name
    if name != os.path.basename(name) or table.suffix != ".csv":
        raise UserError(f"--name {name}: expected the name of a .csv file, without a folder", "usage")
    for file in (table, *(table.with_suffix(ending) for ending in others)):
        if file.exists():
            raise UserError(f"{file} is there already; delete it, or give another --name", "exists")
    return table


def write(path: str | os.PathLike, pairs: Iterable[Pair], weighted: bool = False, shared: bool = False) -> None:
    """Write pairs.csv atomically, after its images; the same pairs give the same bytes.

    Args:
        path: the file, or its folder.
        weighted: write the column `weight`.
        shared: write the column `emotion_shares`.
    """
    path = Path(path)
    if path.is_dir():
        path = path / PAIRS_FILE
    with open_whole(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS + (EMOTION_SHARES,) * shared + (WEIGHT,) * weighted)
        for pair in pairs:
            row = [getattr(pair, column) for column in COLUMNS + (EMOTION_SHARES,) * shared]
            writer.writerow(row + [f"{pair.weight:.6g}"] * weighted)
        text.detach()


def assign_splits(identities: Iterable[str], seed: int = 0) -> list[str]:
    """Assign splits by identity, about 80 % train, 10 % val, 10 % test.

    The split of an identity depends only on its name and the seed, so adding identities does not change others.
    """
    known: dict[str, str] = {}
    for identity in (identities := list(identities)):
        if identity not in known:
            share = hash_share(f"{seed}:{identity}")
            known[identity] = "train" if share < 0.8 else "val" if share < 0.9 else "test"
    return [known[identity] for identity in identities]


def hash_share(text: str) -> float:
    """Return a pseudo-random number in [0, 1) determined by the text."""
    digest = hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def parse_table(path: Path) -> pd.DataFrame:
    """Parse pairs.csv to text columns and a float64 weight (NaN where it is not a number), without checking values.

    A table saved by a spreadsheet is accepted: any encoding and separator of `rac_unet.core.files.text_tables`.

    Raises: UserError when it is not such a table.
    """
    import pandas as pd

    table = open_table(path, _TABLE)
    if table.encoding.note:
        print(f"note: {table.encoding.note}", file=sys.stderr)
    try:
        with warnings.catch_warnings():
            # pandas would shift or drop the cells of a row that has too many.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # Every cell is text, so that an identity such as NA or 007 is kept as it is.
            frame = pd.read_csv(
                path,
                dtype=object,
                index_col=False,
                keep_default_na=False,
                na_filter=False,
                encoding=table.encoding.whole,
                sep=table.delimiter,
                skiprows=table.lines - 1,
            )
    except (pd.errors.ParserWarning, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError) as error:
        raise UserError(f"{path} cannot be read as a table: {str(error).strip()}", "bad_layout") from None
    if frame.empty:
        raise UserError(f"{path} contains no pairs", "empty")
    as_written = table.delimiter == "," and set(COLUMNS) <= set(frame)
    frame = frame.iloc[:, list(table.at.values())].set_axis(list(table.at), axis=1)
    if not as_written:
        # A table written by another program can also have blanks around its cells.
        frame = frame.apply(lambda column: column.str.strip())
    weight = pd.to_numeric(frame[WEIGHT], errors="coerce") if WEIGHT in frame else 1.0
    shares = frame.get(EMOTION_SHARES, "")
    return frame[list(COLUMNS)].assign(**{EMOTION_SHARES: shares, WEIGHT: weight}).astype({WEIGHT: np.float64})
