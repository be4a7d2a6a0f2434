"""Convert a data set of pairs to TFRecord shards in the form of tensorflow-datasets.

    python -m data_prep.to_tfds D --output T
    python -m rac_unet.train --data.path T

A few large files instead of many small ones: quicker to copy, to attach on Kaggle, and to read over a network.
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
        # One that was killed between this and the next line is made anew.
        shutil.rmtree(folder.path / NAME, ignore_errors=True)
        # In one step, so that where the folder is, all of it is.
        os.replace(made.parent, folder.path / NAME)
        folder.finish()
    files = sorted((output / NAME / version).glob("*.tfrecord-*"))
    size = sum(path.stat().st_size for path in files)
    print(f"{len(pairs):,} pairs in {len(files)} files, {size / 1e6:,.1f} MB")
    print(f"wrote {output / NAME / version}\nnext  python -m rac_unet.train --data.path {output}")
    return 0


def _convert(pairs, unfinished: Path, shards: int | None) -> Path:
    """Build below `unfinished` and put the table beside the records; returns the version's folder."""
    from rac_unet.core.progress import Progress
    from rac_unet.data import pairs as pairs_module
    from rac_unet.data.pair_checks import SPLITS

    tfds = _import_tfds()
    from data_prep.making.tfds_builder import RacUnetPairs

    line = Progress(len(pairs), noun="pairs")
    builder = RacUnetPairs(pairs=pairs, advance=line.advance, data_dir=unfinished)
    # It tells at length that it is downloading, which it is not.
    with contextlib.redirect_stdout(io.StringIO()), _small_and_orderly():
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(num_shards=shards, try_download_gcs=False)
        )
    line.close()
    folder = Path(builder.data_path)
    rows = (pair for part in map(pairs.split, SPLITS) for pair in part)
    pairs_module.write(folder / pairs_module.PAIRS_FILE, rows, pairs.has_weights, pairs.has_shares)
    return folder


@contextlib.contextmanager
def _small_and_orderly():
    """Two habits of tensorflow-datasets changed meanwhile.

    It would hold 1 GB of each split in memory before it turns to the disk. And it writes a record's features in an
    order that differs from process to process, so that the same set would not give the same bytes twice.
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
    """tensorflow-datasets, without its progress bars and its chatter."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with silenced_stderr():
            import tensorflow  # noqa: F401  tensorflow-datasets imports it later, and its C++ talks
            import tensorflow_datasets as tfds

            # What fails within that import it only logs: a tensorflow-metadata made for another protobuf, for one.
            from tensorflow_datasets.core import dataset_builder  # noqa: F401
    except Exception as error:
        raise UserError(
            f"tensorflow-datasets is not usable here ({one_line(error)}); "
            "install it with: pip install 'rac_unet[tfds]'",
            "missing_extra",
        ) from None
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    return tfds


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m data_prep.to_tfds",
        description="Convert a data set of pairs to TFRecord shards, for tensorflow-datasets and rac_unet.train.",
        epilog="Run it again after an interruption: it starts anew and ends with the same bytes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("set", metavar="D", help="folder of a data set of pairs")
    parser.add_argument(
        "--output", metavar="T", default=argparse.SUPPRESS, help="folder to make (default: D-tfds, next to D)"
    )
    parser.add_argument(
        "--shards", type=positive, metavar="N", default=argparse.SUPPRESS,
        help="files a split (default: as many as tensorflow-datasets finds right, 64 MB to 1 GB each)",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    run_command(main)
