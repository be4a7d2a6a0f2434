"""The images of a split by row number: decoded on the fly, or cached in memory or on the disk.

Image files and TFRecord shards give the same pixels, bit for bit.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from rac_unet.core.errors import UserError
from rac_unet.data.caches import hold, make_room, pictures_folder, release
from rac_unet.data.memory import free_memory
from rac_unet.data.pair_checks import IMAGE_COLUMNS
from rac_unet.data.pairs import PairSet
from rac_unet.data.records import IMAGE_FEATURES

_PER_FOLDER = 1000
CHANNELS = 7  # masked RGB, unmasked RGB, occlusion


class Pictures:
    """Random access to the pairs of one split as (S, S, 7) uint8: masked RGB, unmasked RGB, occlusion.

    Real masks have no ground truth: their unmasked image and occlusion are zeros.

    Args:
        pairs: one split.
        image_size: side of the returned images; must divide the data set's own, whose pixels are then averaged.
        cache: off, memory, disk, or auto: memory if the pixels fit into a quarter of the free memory (of the machine,
            container or job), else disk. Caches on the disk are kept; see `rac_unet.data.caches`.
        report: called every two seconds with (done, total) while a cache is filled.
    Raises: UserError when the sizes do not match or the disk is full.
    """

    def __init__(self, pairs: PairSet, image_size: int, cache: str = "off", report: Callable | None = None):
        if pairs.image_size % image_size:
            raise UserError(
                f"the data set's pictures are {pairs.image_size} px, which cannot be averaged down to {image_size}; "
                f"prepare them with --size {image_size}, or train with --model.image_size {pairs.image_size}",
                "mismatch",
            )
        self._pairs, self._size, self._report = pairs, image_size, report
        self._shrink = pairs.image_size // image_size
        self._read = _RecordFiles(pairs) if pairs.records else _ImageFiles(pairs)
        self.nbytes = len(pairs) * image_size * image_size * CHANNELS
        if cache == "auto":
            cache = "memory" if self.nbytes <= free_memory() / 4 else "disk"
        self.cache = cache
        self._load = {"off": self._decode, "memory": self._from_memory, "disk": self._from_disk}[cache]
        if cache == "memory":
            pixels = np.empty((len(pairs), image_size, image_size, CHANNELS), np.uint8)
            self._fill(pixels.__setitem__)
            # Not on an accelerator, whose memory is for training.
            with tf.device("/CPU:0"):
                self._pixels = tf.constant(pixels)
        elif cache == "disk":
            self._folder = self._make_folder()

    def load(self, index):
        """Return one row, (S, S, 7) uint8; `index` may be a tensor in `Dataset.map`."""
        return tf.ensure_shape(self._load(index), [self._size, self._size, CHANNELS])

    def _decode(self, index):
        stacked = self._read(index)
        if self._shrink == 1:
            return stacked
        means = tf.nn.avg_pool2d(tf.cast(stacked, tf.float32)[None], self._shrink, self._shrink, "VALID")[0]
        # Occlusion is rounded up, so that a partly hidden pixel stays hidden.
        means = tf.concat([tf.round(means[..., :6]), tf.math.ceil(means[..., 6:])], axis=-1)
        return tf.cast(means, tf.uint8)

    def _from_memory(self, index):
        return tf.gather(self._pixels, index)

    def _from_disk(self, index):
        parts = [
            self._folder + "/",
            tf.strings.as_string(index // _PER_FOLDER),
            "/",
            tf.strings.as_string(index),
            ".u8",
        ]
        pixels = tf.io.decode_raw(tf.io.read_file(tf.strings.join(parts)), tf.uint8)
        return tf.reshape(pixels, [self._size, self._size, CHANNELS])

    def _fill(self, store: Callable[[int, np.ndarray], None]) -> None:
        dataset = tf.data.Dataset.range(len(self._pairs)).map(self._decode, num_parallel_calls=tf.data.AUTOTUNE)
        reported, done = time.monotonic(), 0
        # Single elements would take twice as long.
        for pictures in dataset.batch(16).prefetch(8).as_numpy_iterator():
            for picture in pictures:
                store(done, picture)
                done += 1
            if self._report and (time.monotonic() - reported > 2 or done == len(self._pairs)):
                reported = time.monotonic()
                self._report(done, len(self._pairs))

    def _make_folder(self) -> str:
        """Return the folder of the cache on the disk, named after its content; decode the pairs if it does not exist.

        Each pair is one raw file: TensorFlow reads a whole file faster than it seeks in a large one.
        """
        names = "\n".join(self._pairs.frame["key"].astype(str))
        digest = hashlib.sha256(f"{self._pairs.root.resolve()}{self._pairs.fingerprint}{names}{self._size}".encode())
        folder = pictures_folder(digest.hexdigest()[:24])
        if hold(folder):
            return str(folder)
        free = make_room(round(self.nbytes * 1.05))
        if free < self.nbytes * 1.05:
            raise UserError(
                f"the cache takes {self.nbytes / 1e9:.1f} GB in {folder.parent}, which has {free / 1e9:.1f} free; "
                "set RAC_UNET_CACHE to a larger disk, or --data.cache off",
                "unwritable",
            )
        unfinished = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        hold(unfinished)

        def store(index: int, picture: np.ndarray) -> None:
            if index % _PER_FOLDER == 0:
                (unfinished / str(index // _PER_FOLDER)).mkdir()
            picture.tofile(unfinished / str(index // _PER_FOLDER) / f"{index}.u8")

        try:
            self._fill(store)
            # Another process may have finished the same cache meanwhile; its files are the same.
            with contextlib.suppress(OSError):
                os.rename(unfinished, folder)
            hold(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            release(unfinished)
        return str(folder)


class _ImageFiles:
    """Decode the three PNG files of a pair."""

    def __init__(self, pairs: PairSet):
        self._paths = tf.constant([pairs.paths(column) for column in IMAGE_COLUMNS])
        self._whole, self._size = bool(pairs.has_truth.all()), pairs.image_size

    def __call__(self, index):
        return _stack(*(self._read(column, index) for column in range(len(IMAGE_COLUMNS))))

    def _read(self, column: int, index):
        path, channels = self._paths[column, index], 1 if column == 2 else 3
        if self._whole or column == 0:
            return tf.io.decode_png(tf.io.read_file(path), channels=channels)
        return tf.cond(
            path == "",
            lambda: tf.zeros([self._size, self._size, channels], tf.uint8),
            lambda: tf.io.decode_png(tf.io.read_file(path), channels=channels),
        )


class _RecordFiles:
    """Read the record of a pair from its shard, and decode the three images in it.

    TensorFlow cannot start to read a file in the middle, so a Python function reads the bytes. TensorFlow decodes them,
    which takes ten times as long.
    """

    def __init__(self, pairs: PairSet):
        self._records = pairs.records
        self._files: dict[int, int] = {}
        self._opening = threading.Lock()

    def __call__(self, index):
        content = tf.ensure_shape(tf.numpy_function(self._content, [index], tf.string), [])
        features = {name: tf.io.FixedLenFeature([], tf.string) for name in IMAGE_FEATURES.values()}
        parsed = tf.io.parse_single_example(content, features)
        pictures = [
            tf.io.decode_png(parsed[name], channels=1 if column == "occlusion" else 3)
            for column, name in IMAGE_FEATURES.items()
        ]
        return _stack(*pictures)

    def _content(self, index: int) -> bytes:
        records, shard = self._records, int(self._records.shard[index])
        # Several threads of the pipeline call this at the same time.
        with self._opening:
            if shard not in self._files:
                self._files[shard] = os.open(records.files[shard], os.O_RDONLY)
        return os.pread(self._files[shard], int(records.length[index]), int(records.offset[index]))

    def __del__(self, close=os.close):
        # When the interpreter ends, `os` may be removed before this.
        for file in self._files.values():
            close(file)


def _stack(masked, unmasked, occlusion):
    return tf.concat([masked, unmasked, occlusion], axis=-1)
