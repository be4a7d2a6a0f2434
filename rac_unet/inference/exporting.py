"""Write a run's network for use elsewhere, and prove that it works there before it gets its name.

A new Python process, in which `rac_unet` cannot be imported, loads what was written by the very lines that are shown
to the user, and its pictures are compared with the run's own network. What fails is removed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rac_unet.emotions import EMOTIONS
from rac_unet.errors import UserError, one_line
from rac_unet.inference.fresh_process import run_fresh
from rac_unet.inference.runners import EMOTION, IMAGE, load_network, weights_file
from rac_unet.registry import check_name
from rac_unet.rundir import RunDir

# Of the largest output, or of 1 where that is less: a fortieth of one of 255 grey levels. Fused kernels and other
# orders of summation differ by about 1e-6.
TOLERANCE = 1e-4
# What a SavedModel folder may hold; a folder with anything else in it is never replaced.
_SAVED_MODEL_ENTRIES = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra"}


@dataclass(frozen=True)
class Format:
    """One way to write a network.

    Attributes:
        file_name: default name in the run's export folder; `{model}` stands for the network's name.
        write: (keras.Model, path) -> None.
        lines: code that loads it and makes `outputs`, with `{path}` and `{inputs}` to fill in.
        item: how one entry of `{inputs}` is written, from `{name}`.
    """

    file_name: str
    write: Callable
    lines: tuple[str, ...]
    item: str

    def loading_lines(self, path: Path, inputs) -> list[str]:
        """Python lines that load the export from `path` and run it on variables named as the inputs."""
        given = ", ".join(self.item.format(name=name) for name in inputs)
        return [line.format(path=repr(str(path)), inputs=given) for line in self.lines]


@dataclass(frozen=True)
class Exported:
    """What was written and how well it agreed.

    Attributes:
        path: file or folder.
        size: bytes, of all its files.
        inputs, outputs: name -> shape, None for the batch.
        pictures: how many were compared.
        difference: largest absolute difference found.
        allowed: the largest that would have passed.
        lines: Python lines that load and run it.
    """

    path: Path
    size: int
    inputs: dict[str, tuple]
    outputs: dict[str, tuple]
    pictures: int
    difference: float
    allowed: float
    lines: list[str]


def plan_output(run: RunDir, format: str, output: Path | None = None, overwrite: bool = False) -> Path:
    """Where an export goes; needs no TensorFlow, so that a refusal comes at once.

    Raises: UserError when something is there already and `overwrite` is not set, or is not an older export.
    """
    check_name("--format", format, FORMATS)
    name = FORMATS[format].file_name.format(model=run.config().model.name)
    path = Path(output) if output else run.export() / name
    if format == "keras" and path.suffix != ".keras":
        raise UserError(f"--output {path}: a Keras model's name must end in .keras, or Keras will not load it")
    if not path.exists():
        return path
    if not overwrite:
        raise UserError(f"{path} exists already; give --overwrite to replace it, or another --output")
    if format == "keras":
        ours = path.is_file()
    else:
        ours = path.is_dir() and {entry.name for entry in path.iterdir()} <= _SAVED_MODEL_ENTRIES
    if not ours:
        raise UserError(f"{path} is not an older export of format {format}; --overwrite replaces nothing else")
    return path


def export_network(
    run: RunDir, format: str, output: Path | None = None, weights: str = "best", overwrite: bool = False
) -> Exported:
    """Export a run's network and check it in a fresh process.

    Args:
        format: a name from `FORMATS`.
        output: file or folder to make; default in the run's export folder.
        weights: `best` or `last`.
        overwrite: replace an older export of that name, once the new one is proven.
    Raises: UserError when the output exists, the weights are damaged, it cannot be written, or the check fails; then
        nothing is left and an older export stays as it was.
    """
    path = plan_output(run, format, output, overwrite)
    weights_file(run, weights)
    model = load_network(run, weights)
    form = FORMATS[format]
    inputs = {name: tuple(tensor.shape) for name, tensor in model.input.items()}
    outputs = {name: tuple(tensor.shape) for name, tensor in model.output.items()}
    batches = check_batches(inputs)
    expected = _run_network(model, batches)
    with _placed(path) as temporary:
        try:
            form.write(model, temporary)
        except Exception as error:  # a full disk is an OSError, a RuntimeError or a tf.errors.OpError, by the writer
            raise UserError(f"cannot write {path} ({one_line(error)}); check permissions and free space") from error
        try:
            received = run_fresh(form.loading_lines(temporary, inputs), batches)
            difference, allowed = compare(expected, received)
        except UserError as error:
            raise UserError(f"the export did not pass its check and was removed: {error}") from None
        size = sum(file.stat().st_size for file in [temporary, *temporary.rglob("*")] if file.is_file())
    pictures = sum(len(batch[IMAGE]) for batch in batches)
    return Exported(path, size, inputs, outputs, pictures, difference, allowed, form.loading_lines(path, inputs))


def check_batches(inputs: dict[str, tuple]) -> list[dict[str, np.ndarray]]:
    """Random pictures, the same every time: batches of 1 and 3, each with another emotion, the last with none."""
    rng = np.random.default_rng(0)
    chosen = np.zeros((4, len(EMOTIONS)), np.float32)
    for row, name in enumerate(("happiness", "surprise", "anger")):
        chosen[row, EMOTIONS.index(name)] = 1
    batches = []
    for rows in (chosen[:1], chosen[1:]):
        batch = {IMAGE: rng.random((len(rows), *inputs[IMAGE][1:]), np.float32)}
        batches.append({**batch, EMOTION: rows} if EMOTION in inputs else batch)
    return batches


def compare(expected: list[dict[str, np.ndarray]], received: list[dict[str, np.ndarray]]) -> tuple[float, float]:
    """Largest absolute difference, and the largest allowed.

    Raises: UserError when names, shapes or types differ, a value is no number, or the difference is too large.
    """
    worst = 0.0
    scale = max([1.0, *(float(np.abs(value).max()) for outputs in expected for value in outputs.values())])
    for wanted, found in zip(expected, received, strict=True):
        if set(wanted) != set(found):
            raise UserError(
                f"its outputs are {', '.join(sorted(found)) or 'none'} instead of {', '.join(sorted(wanted))}"
            )
        for name, value in wanted.items():
            other = found[name]
            if other.shape != value.shape or other.dtype != value.dtype:
                raise UserError(f"{name} is {other.dtype} {other.shape} instead of {value.dtype} {value.shape}")
            # A NaN on either side makes this NaN, which the test below refuses.
            worst = float(np.maximum(worst, np.abs(value - other).max()))
    if not worst <= TOLERANCE * scale:
        raise UserError(f"its pictures differ from the run's by up to {worst:.2g}; allowed is {TOLERANCE * scale:.2g}")
    return worst, TOLERANCE * scale


def _run_network(model, batches) -> list[dict[str, np.ndarray]]:
    import tensorflow as tf

    with tf.device("/CPU:0"):
        return [{name: v.numpy() for name, v in model(batch, training=False).items()} for batch in batches]


def _write_saved_model(model, path: Path) -> None:
    """One signature, `serving_default`, for any batch. Keras's own `export` would store every weight twice."""
    import tensorflow as tf

    signature = {name: tf.TensorSpec((None, *t.shape[1:]), tf.float32, name=name) for name, t in model.input.items()}
    serve = tf.function(lambda inputs: model(inputs, training=False), input_signature=[signature], jit_compile=False)
    module = tf.Module()
    # What a SavedModel stores is what its root object refers to.
    module.weights = list(serve.get_concrete_function().graph.variables)
    # TensorFlow announces where it put the assets that there are none of.
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
    finally:
        logger.setLevel(level)


def _write_keras(model, path: Path) -> None:
    model.save(path)


@contextlib.contextmanager
def _placed(path: Path) -> Iterator[Path]:
    """A name beside `path`, given to it when the block ends well; nothing is left behind otherwise."""
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    # The ending is kept: writers choose their format by it.
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp{target.suffix}")
    aside = target.with_name(f".{target.stem}.{os.getpid()}.old{target.suffix}")
    _remove(temporary)
    try:
        yield temporary.absolute()
        if target.is_dir():
            # No system call replaces a folder that holds something.
            os.rename(target, aside)
            try:
                os.rename(temporary, target)
            except BaseException:
                os.rename(aside, target)
                raise
            _remove(aside)
        else:
            os.replace(temporary, target)
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


FORMATS = {
    "savedmodel": Format(
        "savedmodel",
        _write_saved_model,
        (
            "import tensorflow as tf",
            "model = tf.saved_model.load({path})",
            'outputs = model.signatures["serving_default"]({inputs})',
        ),
        "{name}=tf.constant({name})",
    ),
    "keras": Format(
        "{model}.keras",
        _write_keras,
        (
            "import keras",
            "model = keras.saving.load_model({path}, compile=False)",
            "outputs = model({{{inputs}}}, training=False)",
        ),
        '"{name}": {name}',
    ),
}
