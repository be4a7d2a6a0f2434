"""Measurements behind the benchmark command. Rates are of this process, on this machine, at this moment."""

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

WARM_UP = 3
SMALL, LARGE = 1000, 6000


def matrix_multiply_rate(side: int = 2048, repeats: int = 15) -> float:
    """GFLOP/s of TensorFlow's float32 matrix product; the median of `repeats`."""
    import tensorflow as tf

    a = tf.random.stateless_normal([side, side], seed=[1, 2])
    product = tf.function(lambda x: tf.reduce_sum(tf.matmul(x, x)[:1, :1]))
    return 2 * side**3 / median_seconds(lambda: product(a).numpy(), repeats) / 1e9


def face_rate(folder: Path, photos: Path | None, labels: Path | None, count: int, workers: int) -> dict:
    """Faces prepared per second by the data preparation commands, start-up included, and the largest worker's memory.

    Args:
        photos, labels: real photos; without them toy faces are drawn instead, which says nothing about detection.
    """
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
        lines = process.stderr.read().strip().splitlines() or ["it said nothing"]
        raise UserError(f"the preparation failed: {lines[-1]}", "failed_check")
    return {
        "source": "photos" if photos else "toy faces",
        "count": count,
        "workers": workers,
        "faces_per_second": count / seconds,
        "largest_worker_megabytes": peak,
    }


def pipeline_rate(scratch: Path, data: Path | None, image_size: int, batch_size: int, seconds: float = 8.0) -> dict:
    """Training pairs per second out of the memory cache, augmented, with nothing else to do; and read from disk.

    Read: in random order from image files or TFRecord shards, whichever the data are, and decoded, no more.
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
    """By how much resident memory grows from 1,000 to 6,000 pairs, beyond the cache; each in a process of its own."""
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
    """Milliseconds per picture of `ms_ssim_l1` and of the original's direct form of it, forward and backward."""
    import tensorflow as tf

    from rac_unet.benchmarks.direct_ms_ssim import direct_ms_ssim_l1
    from rac_unet.objectives.losses import ms_ssim_l1

    shape = [batch_size, image_size, image_size, 3]
    truth, image = (tf.random.stateless_uniform(shape, seed=[seed, 0]) for seed in (1, 2))

    def slope(loss):
        @tf.function
        def gradient(image):
            with tf.GradientTape() as tape:
                tape.watch(image)
                total = tf.reduce_mean(loss(image))
            return tape.gradient(total, image)

        return lambda: gradient(image).numpy()

    ours = median_seconds(slope(lambda x: ms_ssim_l1({"unmasked_image": truth}, {"inpainted_image": x})), 20)
    # The direct form takes a good second per picture on a laptop: few repeats.
    direct = median_seconds(slope(lambda x: direct_ms_ssim_l1(truth, x)), 3, warm_up=1)
    return {
        "ms_ssim_l1_milliseconds_per_picture": 1000 * ours / batch_size,
        "direct_form_milliseconds_per_picture": 1000 * direct / batch_size,
        "direct_form_over_ms_ssim_l1": direct / ours,
    }


def inference_rate(model: ModelConfig, batch_size: int, repeats: int) -> dict:
    """Pictures per second and GFLOP/s of the forward pass, one picture at a time and by batch."""
    import tensorflow as tf

    network, flops = _network(model)
    run = tf.function(lambda inputs: network(inputs, training=False))
    result: dict = {"parameters": network.count_params(), "gflop_per_picture": flops / 1e9}
    for size in (1, batch_size):
        inputs, _ = random_batch(model, size)
        seconds = median_seconds(lambda inputs=inputs: run(inputs)["inpainted_image"].numpy(), repeats)
        result[f"batch_{size}_pictures_per_second"] = size / seconds
        result[f"batch_{size}_gflops"] = size * flops / seconds / 1e9
    return result


def median_seconds(call: Callable, repeats: int, warm_up: int = WARM_UP) -> float:
    """Median of `repeats` calls, after `warm_up` that are not counted."""
    for _ in range(warm_up):
        call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _network(model: ModelConfig):
    from rac_unet.models import build_configured
    from rac_unet.models.cost import forward_flops

    network = build_configured(model)
    return network, forward_flops(network)


def random_batch(model: ModelConfig, size: int):
    """Noise in the form of the pipeline's `(inputs, targets)`, all of it hidden."""
    import tensorflow as tf

    rng, side = np.random.default_rng(0), model.image_size
    inputs = {"masked_image": tf.constant(rng.random((size, side, side, 3)), tf.float32)}
    if model.conditioned:
        inputs["emotion"] = tf.one_hot(tf.range(size) % 7, 7)
    truth = tf.constant(rng.random((size, side, side, 3)), tf.float32)
    return inputs, {"unmasked_image": truth, "occlusion": tf.ones((size, side, side, 1))}


def _training_dataset(scratch: Path, data: Path | None, image_size: int, batch_size: int, count: int | None):
    """A training dataset over the given pairs, or toy ones; repeated or cut to `count` rows."""
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
    """Resident megabytes after 100 batches, and the cache's; runs in a process of its own."""
    from rac_unet.models.backend import import_tensorflow

    import_tensorflow()
    dataset, pictures, _ = _training_dataset(scratch, data, image_size, batch_size, count)
    for _ in dataset.take(100):
        pass
    return _status_megabytes("self", "VmRSS"), pictures.nbytes / 1e6


def _largest_child_megabytes(parent: int) -> float:
    """Peak resident memory of the largest process below `parent`, itself not counted; 0 where /proc is missing."""
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
    """Copy the header and up to `count` rows, spread evenly over the file; returns how many."""
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
