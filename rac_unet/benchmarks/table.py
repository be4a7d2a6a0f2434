"""The benchmarks, a row each: name, what it measures, its function, and the options that the function takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rac_unet.core.registry import resolve


@dataclass(frozen=True)
class Options:
    """What the functions of the benchmarks can take: options of the command, and `scratch`.

    Attributes:
        scratch: an existing folder, deleted afterwards.
        filters, image_size, batch_size: of the network and its batches.
        repeats: timed steps.
        data: pairs data set; None for toy pairs.
        photos, labels: photos to prepare and their table; None for toy faces.
        photo_count: photos to prepare, or to inpaint one after the other.
        workers: processes for the preparation.
        model: run directory or export; None for the published network.
    """

    scratch: Path
    filters: int
    image_size: int
    batch_size: int
    repeats: int
    data: Path | None
    photos: Path | None
    labels: Path | None
    photo_count: int
    workers: int
    model: Path | None


@dataclass(frozen=True)
class Benchmark:
    """A row of the table.

    Attributes:
        measures: for `--help`.
        function: 'module:function', resolved when it is run, so that `--help` never imports TensorFlow. It takes the
            fields of `Options` in `takes` by name, and returns name -> number or word.
        is_default: whether it runs without `--parts`.
        devices: number of devices to set up before TensorFlow computes anything, logical ones without enough GPUs.
    """

    measures: str
    function: str
    takes: tuple[str, ...] = ()
    is_default: bool = True
    devices: int = 1

    def run(self, options: Options) -> dict:
        """Measure; returns name -> number or word. Raises: UserError when the given files cannot be used."""
        function: Callable = resolve(self.function)
        return function(**{name: getattr(options, name) for name in self.takes})


_READING = ("scratch", "data", "image_size", "batch_size")
_NETWORK = ("filters", "image_size", "batch_size", "repeats")
BENCHMARKS = {
    "faces": Benchmark(
        "faces prepared per second",
        "rac_unet.benchmarks.speed:face_rate",
        ("scratch", "photos", "labels", "photo_count", "workers"),
    ),
    "pipeline": Benchmark("training pairs read per second", "rac_unet.benchmarks.speed:pipeline_rate", _READING),
    "memory": Benchmark("memory of the input pipeline", "rac_unet.benchmarks.speed:memory_growth", _READING),
    "loss": Benchmark("time of ms_ssim_l1", "rac_unet.benchmarks.speed:loss_cost", ("image_size", "batch_size")),
    "inference": Benchmark("pictures inpainted per second", "rac_unet.benchmarks.speed:inference_rate", _NETWORK),
    "training": Benchmark("pictures trained per second", "rac_unet.benchmarks.training_speed:training_rate", _NETWORK),
    "replicas": Benchmark(
        "time of a training step on one device and on two",
        "rac_unet.benchmarks.training_speed:replica_rate",
        _NETWORK,
        is_default=False,
        devices=2,
    ),
    "keras": Benchmark(
        "time of a training step of rac_unet_lite with Keras's Adam, EMA and batch norm, relative to this package's",
        "rac_unet.benchmarks.against_keras:keras_step_ratios",
        ("image_size", "batch_size", "repeats"),
        is_default=False,
    ),
    "predict": Benchmark(
        "time of predict for a photo",
        "rac_unet.benchmarks.photo_speed:photo_speed",
        ("scratch", "model", "photo_count"),
        is_default=False,
    ),
    "overfit": Benchmark(
        "PSNR of every network after overfitting eight toy faces of 64 px, always with 8 filters (takes minutes)",
        "rac_unet.benchmarks.overfit:overfit_all",
        is_default=False,
    ),
}
DEFAULT = tuple(name for name, benchmark in BENCHMARKS.items() if benchmark.is_default)


def describe_benchmarks() -> str:
    """Return each benchmark's name and what it measures, for `--help`."""
    return "; ".join(f"{name}: {benchmark.measures}" for name, benchmark in BENCHMARKS.items())


def benchmarks_with(option: str) -> str:
    """Return the names of the benchmarks that take an option, for `--help`."""
    return ", ".join(name for name, benchmark in BENCHMARKS.items() if option in benchmark.takes)
