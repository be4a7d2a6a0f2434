"""Open the data set of a run's config."""

from __future__ import annotations

import os

from rac_unet.core.config import RunConfig
from rac_unet.data import pairs
from rac_unet.data.caches import hold, toy_folder
from rac_unet.data.records import find_records, read_records


def open_pairs(config: RunConfig) -> pairs.PairSet:
    """Read the config's data set; without a path, the toy data set, which is drawn on first use and cached.

    Raises: UserError when there is no data set at the path, or it has faults.
    """
    if config.data.path:
        return read_pairs(config.data.path)
    from rac_unet.pairing.toy_pairs import drawing_version, write_toy_pairs

    size, mode, count = config.model.image_size, config.data.toy_mode, config.data.toy_count
    folder = toy_folder(mode, size, count, drawing_version())
    if not (folder / pairs.PAIRS_FILE).exists():
        print(f"no --data.path given: drawing {count:,} toy faces in {folder}", flush=True)
        write_toy_pairs(folder, count, size=size, mode=mode, workers=os.cpu_count() or 1)
    hold(folder)
    return pairs.read(folder)


def read_pairs(path: str | os.PathLike) -> pairs.PairSet:
    """Read and check a data set of pairs in either form: a folder with pairs.csv, or TFRecords of `data_prep.to_tfds`.

    Raises: UserError when there is no data set at the path, or it has faults.
    """
    folder = find_records(path)
    return read_records(folder) if folder else pairs.read(path)
