"""Warm start: a training that starts with the weights of another run or of a .tflite file, `--init_from`."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rac_unet.core.config import PUBLISHED, ModelConfig, RunConfig, from_dict, read_yaml, to_dict
from rac_unet.core.errors import UserError
from rac_unet.core.files.hashing import file_digest
from rac_unet.core.rundir import NETWORK, RunDir, open_run
from rac_unet.models.importing.lite_weights import assign_weights, read_lite
from rac_unet.runtime.published import PUBLISHED_NETWORK
from rac_unet.runtime.runners import Runner, load_runner
from rac_unet.training.guiding.readers import check_readers

if TYPE_CHECKING:
    import keras

    from rac_unet.data.pairs import PairSet

# What a run is continued with; the rest (losses, optimizer, how long) is the new training's own.
TAKEN = ("model", "data")
# What provenance.json calls the run that a run was begun from.
BEGUN_FROM = "begun_from"
# Batches of pictures by which the batch norms of a .tflite file get statistics, which it has none of.
_BATCHES, _BATCH = 24, 32
# What was read from a file has to paint nearly what the file paints: 45 dB for 8 bits, 100 for floats, 15 for a mix-up.
_COMPARED, _LEAST_DB = 8, 20.0


@dataclass(frozen=True)
class WarmStart:
    """What a training starts with.

    Attributes:
        weights: float32 arrays, as a network's `get_weights` gives them.
        description: where they come from, for the log.
    """

    weights: list[np.ndarray]
    description: str


def settings_of(path: str | Path) -> dict[str, Any]:
    """The sections that a new training takes over, to be laid under its own settings.

    Args:
        path: a run directory, which has `model` and `data`, or a .tflite file or `published`, which has `model`.
    Raises: UserError when there is nothing that can be started from.
    """
    if file := _lite_file(path):
        return {"model": _network_of(file)}
    found = open_run(path)
    values = to_dict(from_dict(read_yaml(found.config_file), str(found.config_file)))
    return {section: values[section] for section in TAKEN}


def _lite_file(path: str | Path) -> Path | None:
    """The .tflite file that a warm start reads; None where it is a run directory."""
    if str(path) == PUBLISHED:
        return PUBLISHED_NETWORK
    path = Path(path).expanduser()
    return path if path.suffix.lower() == ".tflite" and not path.is_dir() else None


def _network_of(file: Path) -> dict[str, Any]:
    """The settings of a file's network, as far as it tells them."""
    return dict(_read_network(file, file.stat().st_mtime_ns if file.is_file() else 0))


@functools.lru_cache(maxsize=1)
def _read_network(file: Path, _written: int) -> dict[str, Any]:
    """`_network_of`, once for each state of a file: LiteRT tries a file in a process of its own before opening it."""
    runner, lite = load_runner(file, threads=1), read_lite(file)
    known = {"name": lite.network, "filters": lite.filters, "image_size": runner.image_size}
    return {**{key: value for key, value in known.items() if value is not None}, "conditioned": runner.conditioned}


def weights_file(path: str | Path, kind: str = NETWORK) -> Path:
    """The file whose content is what a warm start from `path` starts with.

    Args:
        kind: what a run directory should hold, `NETWORK` or `CLASSIFIER`.
    Raises: UserError when it is missing, or the run is not one.
    """
    file = _lite_file(path) if kind == NETWORK else None
    if file is None:
        return open_run(path, kind=kind).best_weights
    if not file.is_file():
        raise UserError(f"no .tflite file at {file}", "missing")
    return file


def refuse_other_network(path: str | Path, wanted: ModelConfig) -> None:
    """Raise UserError where the network at `path` is not the wanted one, with what differs, or there is none."""
    file = _lite_file(path)
    theirs, ours = _network_of(file) if file else asdict(open_run(path).config().model), asdict(wanted)
    differ = [f"model.{key}: {theirs[key]!r} there, {ours[key]!r} here" for key in theirs if theirs[key] != ours[key]]
    if differ:
        raise UserError(
            f"init_from: {path} holds another network ({'; '.join(differ)}); give it with --init_from, which "
            "takes its network, and leave these settings out, also with a preset that has none, such as sharp",
            "mismatch",
        )


def warm_start(config: RunConfig, pairs: PairSet) -> WarmStart | None:
    """The weights that a config says to start with; None where it names none.

    Args:
        pairs: the data set, whose training pictures give the batch norms of a .tflite file their statistics.
    Raises: UserError when the weights are missing, damaged, or of another network than the config's.
    """
    path = config.training.init_from
    if not path:
        return None
    refuse_other_network(path, config.model)
    if file := _lite_file(path):
        return _from_lite(file, config, pairs.split("train"))
    from rac_unet.runtime.runners import load_network

    return WarmStart(load_network(open_run(path)).get_weights(), f"the best weights of {path}")


def _from_lite(file: Path, config: RunConfig, pairs: PairSet) -> WarmStart:
    from rac_unet.models import build_configured

    model = build_configured(config.model)
    assign_weights(model, read_lite(file))
    pictures = _pictures(model, config, pairs)
    likeness = _likeness(
        model, load_runner(file), {name: value[:_COMPARED] for name, value in next(iter(pictures)).items()}
    )
    if not likeness >= _LEAST_DB:
        raise UserError(
            f"{file}: the network read from it paints something else than the file does ({likeness:.1f} dB on "
            f"{min(_COMPARED, len(pairs))} pictures), so it was converted in a way that is not known here; start from "
            "the run that it was exported from",
            "failed_check",
        )
    count = measure_batch_norms(model, pictures)
    return WarmStart(
        model.get_weights(),
        f"the weights of {file}, {likeness:.1f} dB from its own output; batch norms measured on {count} pictures",
    )


def _pictures(model: keras.Model, config: RunConfig, pairs: PairSet) -> Iterable[dict[str, Any]]:
    """Batches of a network's inputs, as the training will show them; the same each time they are gone through."""
    from rac_unet.data.pictures import Pictures
    from rac_unet.data.pipeline import make_training_dataset

    seed, batch = config.training.seed, min(_BATCH, len(pairs))
    # Not all that the training will decode.
    chosen = np.random.default_rng(seed).permutation(len(pairs))[: _BATCHES * batch]
    pairs = pairs.take(np.sort(chosen))
    pictures = Pictures(pairs, config.model.image_size)
    dataset = make_training_dataset(pairs, pictures, batch, seed, 1, changes=config.data)
    return dataset.map(lambda inputs, _: {name: inputs[name] for name in model.input})


def _likeness(model: keras.Model, runner: Runner, inputs: dict[str, Any]) -> float:
    """PSNR in dB between what a network and a file paint."""
    ours = model(inputs, training=False)["inpainted_image"].numpy()
    theirs = runner(**{name: np.asarray(value) for name, value in inputs.items()})["inpainted_image"]
    return -10 * math.log10(max(float(np.mean((ours - theirs) ** 2)), 1e-12))


def measure_batch_norms(model: keras.Model, batches: Iterable[dict[str, Any]]) -> int:
    """Give batch norms the statistics of pictures, with scale and shift such that the network computes the same.

    Normalising by the statistics of a batch, as in training, then changes little either.

    Args:
        batches: inputs of the network, float32, batch first, all of one size.
    Returns: how many pictures there were.
    """
    import keras
    import tensorflow as tf

    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    probe = keras.Model(model.inputs, [layer.input for layer in norms])

    # In a graph, where no more than one of the tensors need be in memory at a time.
    @tf.function(reduce_retracing=True)
    def moments(inputs):
        found = keras.tree.flatten(probe(inputs, training=False))
        return [tf.stack(tf.nn.moments(tf.cast(each, tf.float32), [*range(len(each.shape) - 1)])) for each in found]

    count, per_batch = 0, []
    for batch in batches:
        count += len(next(iter(batch.values())))
        per_batch.append([each.numpy().astype(np.float64) for each in moments(batch)])
    for layer, each in zip(norms, zip(*per_batch, strict=True), strict=True):
        means, variances = np.stack(each, axis=1)
        mean, variance = means.mean(0), variances.mean(0) + means.var(0)
        gamma, beta, old_mean, old_variance = (
            value.numpy().astype(np.float64)
            for value in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
        )
        slope = gamma / np.sqrt(old_variance + layer.epsilon)
        layer.gamma.assign(slope * np.sqrt(variance + layer.epsilon))
        layer.beta.assign(beta + slope * (mean - old_mean))
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)
    return count


def warm_start_facts(path: str, kind: str = NETWORK) -> dict[str, Any]:
    """What provenance.json says of what a new training starts with.

    Args:
        kind: what a run directory at `path` holds.
    Returns: as `describe_beginning`; `weights_sha256` of its best weights, or of the .tflite file; and where emotion
        readers guided it, or a run before it, `guides`, as `check_readers` describes them.
    """
    guides: list[dict[str, Any]] = []
    if kind == NETWORK and not _lite_file(path):
        found = guides_of(RunDir(Path(path)))
        guides = [{key: value for key, value in guide.items() if key != "path"} for guide in found]
    facts = {**describe_beginning(path), "weights_sha256": file_digest(weights_file(path, kind))}
    return facts | ({"guides": guides} if guides else {})


def guides_of(run: RunDir, above: tuple[Path, ...] = ()) -> list[dict[str, Any]]:
    """The emotion readers that guided a run, or a run that it was started from, each once.

    Args:
        above: runs that were begun from this one.
    Returns: facts as `check_readers` gives them, and `path`: the reader's run directory as the settings name it, or
        None where only its facts are known. `weights_sha256` is None where neither was recorded nor is there now.
    Raises: UserError when `run` is no run of a network that paints.
    """
    config, provenance = run.config(), run.provenance()
    paths, facts = config.guidance.readers, provenance.get("guidance", {}).get("readers", [])
    if len(facts) != len(paths):
        facts = [_reader_now(path) for path in paths]
    found = [{**fact, "path": path} for fact, path in zip(facts, paths, strict=True)]
    if config.training.init_from:
        place = Path(config.training.init_from).resolve()
        if place not in above:
            # Where it has been moved or removed since, what was recorded of it is below.
            with contextlib.suppress(UserError, OSError):
                found += guides_of(RunDir(place), (*above, place))
        found += [{**fact, "path": None} for fact in (provenance.get(BEGUN_FROM) or {}).get("guides", [])]
    distinct: dict[str, dict[str, Any]] = {}
    for guide in found:
        distinct.setdefault(guide["weights_sha256"] or str(guide["path"]), guide)
    return list(distinct.values())


def _reader_now(path: str) -> dict[str, Any]:
    try:
        return check_readers([path])[0]
    except UserError:
        return {"name": Path(path).name, "weights_sha256": None, "data_fingerprint": None}


def begun_from(run: RunDir, above: tuple[Path, ...] = ()) -> dict[str, Any] | None:
    """What provenance.json says of the run that a run was begun from; None for one that began with random weights.

    Runs older than this record have none; then it is what can be seen now of the run that their settings name.

    Args:
        above: runs that were begun from this one; who renames folders can make a circle of them.
    Returns: as `warm_start_facts`, of older runs as `describe_beginning`.
    """
    path = run.config().training.init_from
    return run.provenance().get(BEGUN_FROM) or describe_beginning(path, above) if path else None


def describe_beginning(path: str, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The run or .tflite file at `path` as one to begin from.

    Returns: `run`, the folder's or file's name, and `pictures_seen`, how many training pictures it and all before it
        had seen when their trainings ended, repeats counted; None where that is not known, as of a file.
    """
    if file := _lite_file(path):
        return {"run": file.name, "pictures_seen": None}
    place = Path(path).resolve()
    return {"run": place.name, "pictures_seen": None if place in above else _pictures_seen(place, (*above, place))}


def _pictures_seen(place: Path, above: tuple[Path, ...]) -> int | None:
    run = RunDir(place)
    try:
        before, rows = begun_from(run, above), run.history()
    except (UserError, OSError):
        return None
    earlier = before["pictures_seen"] if before else 0
    return None if earlier is None or not rows or "images" not in rows[-1] else earlier + int(rows[-1]["images"])
