"""Convert a data set of pairs to TFRecord shards in the format of tensorflow-datasets.

    python -m data_prep.to_tfds D --output T
    python -m rac_unet.train --data.path T

A few large files are faster to copy, to attach on Kaggle, and to read over a network than many small ones.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
from pathlib import Path

from data_prep.making.arguments import positive
from rac_unet.core.errors import CommandParser, UserError, one_line, run_command
from rac_unet.core.extras import install_command
from rac_unet.core.quiet import silenced_stderr

_BUFFER_BYTES = 100 << 20


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    from rac_unet.core.files.output_folder import OutputFolder
    from rac_unet.data import pairs as pairs_module
    from rac_unet.data.records import NAME, refuse_records

    source = Path(options.set)
    refuse_records(source)
    pairs = pairs_module.read(source)
    root = pairs.root.resolve()
    output = Path(getattr(options, "output", None) or root.with_name(f"{root.name}-tfds"))
    shards = getattr(options, "shards", None)
    settings = {"made_by": "to_tfds", "format": 1, "data_fingerprint": pairs.fingerprint, "shards": shards}
    version = "1.0.0"
    with OutputFolder(output, settings, f"{NAME}/{version}/{pairs_module.PAIRS_FILE}") as folder:
        if folder.finished:
            print(f"already finished: {folder.path} (nothing to do)")
            return 0
        made = _convert(pairs, folder.unfinished, shards)
        # If killed between this line and the next, the set is made again.
        shutil.rmtree(folder.path / NAME, ignore_errors=True)
        # A single rename, so that the folder is complete when it exists.
        os.replace(made.parent, folder.path / NAME)
        folder.finish()
    files = sorted((output / NAME / version).glob("*.tfrecord-*"))
    size = sum(path.stat().st_size for path in files)
    print(f"{len(pairs):,} pairs in {len(files)} files, {size / 1e6:,.1f} MB")
    print(f"wrote {output / NAME / version}\nnext  python -m rac_unet.train --data.path {output}")
    return 0


def _convert(pairs, unfinished: Path, shards: int | None) -> Path:
    """Build the data set and its pairs.csv below `unfinished`; return the version's folder."""
    from rac_unet.core.progress import Progress
    from rac_unet.data import pairs as pairs_module
    from rac_unet.data.pair_checks import SPLITS

    tfds = _import_tfds()
    from data_prep.making.tfds_builder import RacUnetPairs

    line = Progress(len(pairs), noun="pairs")
    builder = RacUnetPairs(pairs=pairs, advance=line.advance, data_dir=unfinished)
    # It prints that it is downloading, which is wrong.
    with contextlib.redirect_stdout(io.StringIO()), _small_and_deterministic():
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(num_shards=shards, try_download_gcs=False)
        )
    line.close()
    folder = Path(builder.data_path)
    rows = (pair for part in map(pairs.split, SPLITS) for pair in part)
    pairs_module.write(folder / pairs_module.PAIRS_FILE, rows, pairs.has_weights, pairs.has_shares)
    return folder


@contextlib.contextmanager
def _small_and_deterministic():
    """Reduce the memory of tensorflow-datasets and make its bytes reproducible, within the block.

    By default it keeps 1 GB of each split in memory before it writes to disk, and it writes the features of a record
    in an order that differs between processes.
    """
    from tensorflow_datasets.core import shuffle
    from tensorflow_datasets.core.example_serializer import ExampleSerializer

    def serialize_example(self, example):
        return self.get_tf_example(example).SerializeToString(deterministic=True)

    before = shuffle.MAX_MEM_BUFFER_SIZE, ExampleSerializer.serialize_example
    shuffle.MAX_MEM_BUFFER_SIZE, ExampleSerializer.serialize_example = _BUFFER_BYTES, serialize_example
    try:
        yield
    finally:
        shuffle.MAX_MEM_BUFFER_SIZE, ExampleSerializer.serialize_example = before


def _import_tfds():
    """Import tensorflow-datasets without its progress bars and log messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with silenced_stderr():
            import tensorflow  # noqa: F401  tensorflow-datasets would import it later, with messages on stderr
            import tensorflow_datasets as tfds

            # Its import only logs errors such as a tensorflow-metadata built for another protobuf; this one raises.
            from tensorflow_datasets.core import dataset_builder  # noqa: F401
    except Exception as error:
        raise UserError(
            f"tensorflow-datasets is not usable here ({one_line(error)}); install it with: {install_command('tfds')}",
            "missing_extra",
        ) from None
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    return tfds


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m data_prep.to_tfds",
        extras=("train", "tfds"),
        description="Convert a data set of pairs to TFRecord shards, for tensorflow-datasets and rac_unet.train.",
        epilog="After an interruption, run it again: it starts over and gives the same bytes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("set", metavar="D", help="folder of a data set of pairs")
    parser.add_argument(
        "--output", metavar="T", default=argparse.SUPPRESS, help="output folder (default: D-tfds, next to D)"
    )
    parser.add_argument(
        "--shards",
        type=positive,
        metavar="N",
        default=argparse.SUPPRESS,
        help="number of files per split (default: chosen by tensorflow-datasets, 64 MB to 1 GB each)",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
