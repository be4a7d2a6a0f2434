"""Measure data preparation, the input pipeline, the MS-SSIM + L1 loss, inference and matrix products."""

from __future__ import annotations

import csv
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rac_unet.core.config import ModelConfig
from rac_unet.core.errors import UserError
from rac_unet.scoring.prediction_time import call_times

WARM_UP = 3
SMALL, LARGE = 1000, 6000


def matrix_multiply_rate(side: int = 2048, repeats: int = 15) -> float:
    """Return the GFLOP/s of TensorFlow's float32 product of two square matrices; the median of `repeats`."""
    import tensorflow as tf

    a = tf.random.stateless_normal([side, side], seed=[1, 2])
    product = tf.function(lambda x: tf.reduce_sum(tf.matmul(x, x)[:1, :1]))
    return 2 * side**3 / median_seconds(lambda: product(a).numpy(), repeats) / 1e9


def face_rate(scratch: Path, photos: Path | None, labels: Path | None, photo_count: int, workers: int) -> dict:
    """Measure faces prepared per second by the commands, start-up included, and the largest worker's memory.

    Args:
        scratch: folder for the pairs.
        photos, labels: real photos and their labels.csv; if None, toy faces are drawn, without any detection.
        photo_count: photos to prepare, at most.
        workers: processes.
    Raises: UserError when the preparation fails or the labels cannot be read.
    """
    folder, count = scratch / "faces", photo_count
    folder.mkdir(parents=True)
    if photos:
        subset = folder / "labels.csv"
        count = _write_first_rows(labels, subset, count)
        source = ["data_prep.folder", "--photos", str(photos), "--labels", str(subset)]
    else:
        source = ["data_prep.toy", "--count", str(count)]
    command = [sys.executable, "-m", *source, "--output", str(folder / "pairs"), "--workers", str(workers)]
    start, peak = time.monotonic(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        peak = max(peak, _largest_child_megabytes(process.pid))
        time.sleep(0.2)
    seconds = time.monotonic() - start
    if process.returncode:
        lines = process.stderr.read().strip().splitlines() or ["no error message"]
        raise UserError(f"the preparation failed: {lines[-1]}", "failed_check")
    return {
        "source": "photos" if photos else "toy faces",
        "count": count,
        "workers": workers,
        "faces_per_second": count / seconds,
        "largest_worker_megabytes": peak,
    }


def pipeline_rate(scratch: Path, data: Path | None, image_size: int, batch_size: int, seconds: float = 8.0) -> dict:
    """Measure training pairs per second from the memory cache, augmented, with nothing else running; and from disk.

    From disk means: read in random order from image files or TFRecord shards and decoded, not augmented.

    Args:
        scratch: folder for toy pairs.
        data: pairs data set; None for toy pairs.
        image_size: side in pixels.
        seconds: how long each of the two is measured.
    """
    import tensorflow as tf

    from rac_unet.data.pictures import Pictures

    dataset, pictures, pairs = _training_dataset(scratch, data, image_size, batch_size, None)

    def rate(dataset) -> float:
        iterator = iter(dataset)
        for _ in range(50):
            next(iterator)
        start, batches = time.monotonic(), 0
        while time.monotonic() - start < seconds:
            next(iterator)
            batches += 1
        return batches * batch_size / (time.monotonic() - start)

    rows = tf.data.Dataset.from_tensor_slices(np.random.default_rng(0).permutation(len(pairs))).repeat()
    stored = Pictures(pairs, image_size, "off")
    read = rows.map(stored.load, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size).prefetch(4)
    return {
        "pairs": len(pairs),
        "cache_megabytes": pictures.nbytes / 1e6,
        "pairs_per_second": rate(dataset),
        f"pairs_per_second_read_from_{'records' if pairs.records else 'files'}": rate(read),
    }


def memory_growth(scratch: Path, data: Path | None, image_size: int, batch_size: int) -> dict:
    """Measure how resident memory grows from 1,000 to 6,000 pairs, in megabytes, with and without that of the cache.

    Each number of pairs is measured in its own process.

    Args: as for `pipeline_rate`.
    """
    results = {}
    context = multiprocessing.get_context("spawn")
    for count in (SMALL, LARGE):
        with context.Pool(1) as pool:
            results[count] = pool.apply(_resident_after_reading, (scratch, data, image_size, batch_size, count))
    (small, small_cache), (large, large_cache) = results[SMALL], results[LARGE]
    return {
        f"resident_megabytes_{SMALL}": small,
        f"resident_megabytes_{LARGE}": large,
        "cache_growth_megabytes": large_cache - small_cache,
        "growth_beyond_cache_megabytes": large - small - (large_cache - small_cache),
    }


def loss_cost(image_size: int, batch_size: int) -> dict:
    """Measure milliseconds per picture of `ms_ssim_l1` and of its direct form in the original, forward and backward."""
    import tensorflow as tf

    from rac_unet.benchmarks.direct_ms_ssim import direct_ms_ssim_l1
    from rac_unet.objectives.losses import ms_ssim_l1

    shape = [batch_size, image_size, image_size, 3]
    truth, image = (tf.random.stateless_uniform(shape, seed=[seed, 0]) for seed in (1, 2))

    def gradient_of(loss):
        @tf.function
        def gradient(image):
            with tf.GradientTape() as tape:
                tape.watch(image)
                total = tf.reduce_mean(loss(image))
            return tape.gradient(total, image)

        return lambda: gradient(image).numpy()

    ours = median_seconds(gradient_of(lambda x: ms_ssim_l1({"unmasked_image": truth}, {"inpainted_image": x})), 20)
    # Few repeats: the direct form takes more than a second per picture on a laptop.
    direct = median_seconds(gradient_of(lambda x: direct_ms_ssim_l1(truth, x)), 3, warm_up=1)
    return {
        "ms_ssim_l1_milliseconds_per_picture": 1000 * ours / batch_size,
        "direct_form_milliseconds_per_picture": 1000 * direct / batch_size,
        "direct_form_over_ms_ssim_l1": direct / ours,
    }


def inference_rate(filters: int, image_size: int, batch_size: int, repeats: int) -> dict:
    """Measure pictures per second and GFLOP/s of the default network's forward pass, singly and by batch."""
    import tensorflow as tf

    from rac_unet.models import build_configured
    from rac_unet.models.cost import forward_flops

    model = ModelConfig(filters=filters, image_size=image_size)
    network = build_configured(model)
    flops = forward_flops(network)
    run = tf.function(lambda inputs: network(inputs, training=False))
    result: dict = {"parameters": network.count_params(), "gflop_per_picture": flops / 1e9}
    for size in (1, batch_size):
        inputs = _random_inputs(model, size)
        seconds = median_seconds(lambda inputs=inputs: run(inputs)["inpainted_image"].numpy(), repeats)
        result[f"batch_{size}_pictures_per_second"] = size / seconds
        result[f"batch_{size}_gflops"] = size * flops / seconds / 1e9
    return result


def median_seconds(call: Callable, repeats: int, warm_up: int = WARM_UP) -> float:
    """Return the median time of `repeats` calls, after `warm_up` calls that are not counted."""
    for _ in range(warm_up):
        call()
    return statistics.median(call_times(call, repeats)) / 1000


def _random_inputs(model: ModelConfig, size: int) -> dict:
    """Return noise in the form of the pipeline's inputs."""
    import tensorflow as tf

    rng, side = np.random.default_rng(0), model.image_size
    inputs = {"masked_image": tf.constant(rng.random((size, side, side, 3)), tf.float32)}
    if model.conditioned:
        inputs["emotion"] = tf.one_hot(tf.range(size) % 7, 7)
    return inputs


def _training_dataset(scratch: Path, data: Path | None, image_size: int, batch_size: int, count: int | None):
    """Return a training dataset, its pictures and its pairs: the given or toy pairs, repeated or cut to `count`."""
    from rac_unet.data.pictures import Pictures
    from rac_unet.data.pipeline import make_training_dataset
    from rac_unet.pairing.opening import read_pairs
    from rac_unet.pairing.toy_pairs import write_toy_pairs

    if data is None:
        data = scratch / "toy"
        write_toy_pairs(data, 280, size=image_size, workers=multiprocessing.cpu_count(), progress=False)
    pairs = read_pairs(data).split("train")
    if count:
        pairs = pairs.take(np.arange(count) % len(pairs))
    pictures = Pictures(pairs, image_size, "memory")
    return make_training_dataset(pairs, pictures, batch_size, seed=0, epochs=1000), pictures, pairs


def _resident_after_reading(scratch, data, image_size, batch_size, count) -> tuple[float, float]:
    """Return this process's resident megabytes after 100 batches, and those of the cache."""
    from rac_unet.models.backend import import_tensorflow

    import_tensorflow()
    dataset, pictures, _ = _training_dataset(scratch, data, image_size, batch_size, count)
    for _ in dataset.take(100):
        pass
    return _status_megabytes("self", "VmRSS"), pictures.nbytes / 1e6


def _largest_child_megabytes(parent: int) -> float:
    """Return the peak resident memory of the largest descendant of a process; 0 on systems without /proc."""
    below, largest = {parent}, 0.0
    for entry in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        if int(_status(entry.name).get("PPid", "0")) in below:
            below.add(int(entry.name))
            largest = max(largest, _status_megabytes(entry.name, "VmHWM"))
    return largest


def _status(process: str) -> dict[str, str]:
    try:
        lines = Path("/proc", process, "status").read_text().splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _status_megabytes(process: str, field: str) -> float:
    return int(_status(process).get(field, "0 kB").split()[0]) * 1024 / 1e6


def _write_first_rows(labels: Path, subset: Path, count: int) -> int:
    """Copy the header and up to `count` rows, evenly spaced in the file; return their number."""
    try:
        rows = list(csv.reader(labels.open(newline="", encoding="utf-8-sig")))
    except OSError:
        raise UserError(f"--labels {labels} cannot be read", "unreadable") from None
    body = rows[1:]
    if not body:
        raise UserError(f"--labels {labels} lists no photos", "empty")
    kept = body[:: max(1, len(body) // count)][:count]
    with subset.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([rows[0], *kept])
    return len(kept)
