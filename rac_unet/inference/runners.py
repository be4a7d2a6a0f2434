"""A trained network, wherever it lies, as one callable with the same named inputs and outputs.

Scoring, prediction and comparison take a run directory or anything exported from one; this is the only place that
knows how each is opened. TensorFlow is imported when a network is opened and not before, so that a mistyped path is
answered at once.
"""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rac_unet.emotions import EMOTIONS
from rac_unet.errors import UserError, one_line
from rac_unet.registry import check_name
from rac_unet.rundir import RunDir, open_run

IMAGE, EMOTION, OUTPUT = "masked_image", "emotion", "inpainted_image"
WEIGHTS = ("best", "last")
Call = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Runner:
    """A network ready to run; made by `load_runner`.

    Attributes:
        name: file or folder it came from.
        kind: `run`, `keras` or `savedmodel`.
        image_size: side S of the square picture it takes, in pixels.
        conditioned: whether it takes an emotion.
        parameters: how many weights it has, statistics of batch norm included.
        megabytes: size of its weights file, `.keras` file or SavedModel folder on disk.
        graph: gives the concrete function it runs.
    """

    name: str
    kind: str
    image_size: int
    conditioned: bool
    call: Call
    parameters: int = 0
    megabytes: float = 0.0
    graph: Callable[[], Any] | None = None

    def __call__(self, masked_image: np.ndarray, emotion: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Run the network.

        Args:
            masked_image: float32 (B, S, S, 3) in [0, 1].
            emotion: float32 (B, 7), one-hot in the order of `rac_unet.emotions.EMOTIONS`; a row of zeros says no
                emotion. Left unused by a network without that input.
        Returns: output name -> array; `inpainted_image` is float32 (B, S, S, 3), unbounded; clip it to [0, 1].
        Raises: UserError when shape, type or range are not those, or when what comes out is not a number.
        """
        size = self.image_size
        image = np.asarray(masked_image)
        if image.ndim != 4 or image.shape[1:] != (size, size, 3) or not len(image):
            raise UserError(
                f"{self.name} takes pictures of {size} x {size} px, as {IMAGE} (B, {size}, {size}, 3); "
                f"received {image.shape}; align or resize them to {size} px"
            )
        low, high = (float(image.min()), float(image.max())) if image.dtype.kind == "f" else (0.0, 0.0)
        # Bytes, or floats up to 255, would go through the network without complaint and come out as rubbish.
        if image.dtype.kind != "f" or not (low >= -1e-3 and high <= 1 + 1e-3):
            found = f"{image.dtype}" + (f" in [{low:g}, {high:g}]" if image.dtype.kind == "f" else "")
            raise UserError(f"{self.name}: {IMAGE} should be float32 in [0, 1]; received {found}; divide bytes by 255")
        inputs = {IMAGE: image.astype(np.float32, copy=False)}
        if self.conditioned:
            wanted = (len(image), len(EMOTIONS))
            shape = None if emotion is None else np.shape(emotion)
            if shape != wanted:
                raise UserError(
                    f"{self.name} takes an {EMOTION} beside each picture, one-hot {wanted} in the order "
                    f"{', '.join(EMOTIONS)}; received {shape}; a row of zeros says no emotion"
                )
            inputs[EMOTION] = np.asarray(emotion, np.float32)
        outputs = self.call(inputs)
        broken = np.flatnonzero(~np.isfinite(outputs[OUTPUT]).all(axis=(1, 2, 3)))
        if len(broken):
            raise UserError(
                f"{self.name} paints values that are not numbers ({len(broken)} of {len(image)} pictures, first the "
                f"{broken[0] + 1}. of its batch): its weights are broken; use another checkpoint, or train it again "
                "with a lower learning rate"
            )
        return outputs

    def flops(self) -> int:
        """Floating-point operations of one picture, a multiply-add as two."""
        from rac_unet.models.cost import graph_flops

        return graph_flops(self.graph())


def load_runner(path: str | os.PathLike) -> Runner:
    """Open a run directory (its best weights), a `.keras` file or a SavedModel folder.

    Raises: UserError when there is nothing at the path, when it is none of these kinds, damaged, or a network with
        other inputs or outputs.
    """
    path = Path(path)
    for kind, _, recognise, opener in KINDS:
        if recognise(path):
            shapes, outputs, call, parameters, graph = opener(path)
            size, conditioned = _check_interface(path, shapes, outputs)
            return Runner(str(path), kind, size, conditioned, call, parameters, _megabytes(path, kind), graph)
    known = "; ".join(description for _, description, _, _ in KINDS)
    problem = f"{path} is no network this program knows" if path.exists() else f"there is nothing at {path}"
    raise UserError(f"{problem}; give one of: {known}")


def is_export(path: str | os.PathLike) -> bool:
    """Whether something exported lies at the path, not a run directory."""
    path = Path(path)
    return any(kind != "run" and recognise(path) for kind, _, recognise, _ in KINDS)


def load_network(run: RunDir, weights: str = "best"):
    """Rebuild a run's network under float32, whatever precision it was trained in, with its weights.

    Args:
        weights: `best` (lowest validation loss) or `last`.
    Returns: keras.Model, as `rac_unet.models.build` makes it.
    Raises: UserError when the weights are missing, damaged, not numbers, or of another network than config.yaml's.
    """
    config, file = run.config().model, weights_file(run, weights)
    from rac_unet.models import build_configured

    model = build_configured(config)
    try:
        with warnings.catch_warnings():
            # Keras warns of each container it misses, in thousands, and then raises for what is really missing.
            warnings.simplefilter("ignore")
            model.load_weights(file)
    except Exception as error:  # h5py and Keras fail in many ways of their own on a damaged file
        raise UserError(
            f"{file} is damaged, or not of the network in {run.config_file} ({one_line(error)}); "
            "use the other weights, restore the file, or continue the run with --resume"
        ) from error
    bad = [variable.path for variable in model.weights if not np.isfinite(variable.value.numpy()).all()]
    if bad:
        raise UserError(f"{file} holds values that are not numbers (first in {bad[0]}); use the other weights")
    return model


def weights_file(run: RunDir, weights: str) -> Path:
    """Path of a run's `best` or `last` weights; raises UserError when there are none of that name."""
    check_name("weights", weights, WEIGHTS)
    file = {"best": run.best_weights, "last": run.last_weights}[weights]
    if not file.is_file():
        raise UserError(f"{run.path} has no {weights} weights yet ({file.name}); finish one epoch, or --resume it")
    return file


def _open_run(path: Path):
    run = open_run(path)
    return _keras_call(load_network(run))


def _open_keras(path: Path):
    metadata = _keras_metadata(path)
    import keras

    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # zipfile, h5py, JSON and every layer's constructor may object
        made_by = metadata.get("keras_version", "unknown")
        raise UserError(
            f"{path} cannot be loaded ({one_line(error)}); it is damaged, has layers of its own, or was made by "
            f"a newer Keras (made by {made_by}, this is {keras.__version__}); export it again here"
        ) from error
    return _keras_call(model)


def _keras_metadata(path: Path) -> dict:
    try:
        with zipfile.ZipFile(path) as archive:
            missing = {"config.json", "model.weights.h5"} - set(archive.namelist())
            if missing:
                raise UserError(f"{path} is not a Keras model: it holds no {sorted(missing)[0]}; export it again")
            return json.loads(archive.read("metadata.json")) if "metadata.json" in archive.namelist() else {}
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise UserError(f"{path} is not a .keras file, or a damaged one ({one_line(error)}); export it again") from None


def _keras_call(model):
    import tensorflow as tf

    shapes = {tensor.name: tuple(tensor.shape) for tensor in getattr(model, "inputs", None) or []}
    output = getattr(model, "output", None)
    outputs = tuple(output) if isinstance(output, dict) else ()
    signature = {name: tf.TensorSpec((None, *shape[1:]), tf.float32) for name, shape in shapes.items()}
    # One graph for every batch size; calling the model eagerly is several times slower.
    run = tf.function(lambda inputs: model(inputs, training=False), input_signature=[signature], jit_compile=False)

    def call(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: value.numpy() for name, value in run(inputs).items()}

    return shapes, outputs, call, model.count_params(), run.get_concrete_function


def _open_saved_model(path: Path):
    import tensorflow as tf

    try:
        model = tf.saved_model.load(str(path))
    except Exception as error:  # protobuf, tf.errors and OSError, by what is damaged
        raise UserError(f"{path} cannot be loaded as a SavedModel ({one_line(error)}); export it again") from error
    if "serving_default" not in model.signatures:
        raise UserError(f"{path} is a SavedModel without the signature serving_default; export it again")
    serve = model.signatures["serving_default"]
    shapes = {name: tuple(spec.shape) for name, spec in serve.structured_input_signature[1].items()}

    def call(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        # `model` in the closure: a signature alone does not keep its variables alive.
        outputs = model.signatures["serving_default"](**{name: tf.constant(v) for name, v in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    parameters = sum(int(np.prod(variable.shape)) for variable in serve.variables)
    return shapes, tuple(serve.structured_outputs), call, parameters, lambda: serve


def _megabytes(path: Path, kind: str) -> float:
    file = RunDir(path).best_weights if kind == "run" else path
    files = [file] if file.is_file() else [each for each in file.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files) / 1e6


def _check_interface(path: Path, shapes: dict[str, tuple], outputs: tuple[str, ...]) -> tuple[int, bool]:
    """Picture size and whether an emotion is taken; raises UserError unless names and shapes fit."""
    fits = IMAGE in shapes and set(shapes) <= {IMAGE, EMOTION} and OUTPUT in outputs
    shape = shapes.get(IMAGE, ())
    fits = fits and len(shape) == 4 and shape[1] == shape[2] and shape[1] is not None and shape[3] == 3
    fits = fits and shapes.get(EMOTION, (None, len(EMOTIONS)))[1:] == (len(EMOTIONS),)
    if not fits:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none by name"
        raise UserError(
            f"{path} is a network of another kind; inputs: {found}; outputs: {', '.join(outputs) or 'unnamed'}; "
            f"expected {IMAGE} (B, S, S, 3), perhaps {EMOTION} (B, {len(EMOTIONS)}), and {OUTPUT}"
        )
    return int(shape[1]), EMOTION in shapes


# kind, description, test by path alone, opener: path -> (input shapes by name, output names, call, number of weights,
# what gives the graph). First match counts.
KINDS = (
    (
        "savedmodel",
        "a SavedModel folder (with saved_model.pb)",
        lambda path: (path / "saved_model.pb").is_file(),
        _open_saved_model,
    ),
    ("run", "a run directory (with config.yaml)", lambda path: (path / "config.yaml").is_file(), _open_run),
    ("keras", "a .keras file", lambda path: path.suffix == ".keras" and path.is_file(), _open_keras),
)
