"""Warm start (`--init_from`): start a training with the weights of another run, a .weights.h5 or a .tflite file."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rac_unet.core.config import PUBLISHED, ModelConfig, RunConfig, from_dict, read_yaml, to_dict
from rac_unet.core.errors import UserError
from rac_unet.core.files.hashing import file_digest
from rac_unet.core.provenance import WARM_START_KEY
from rac_unet.core.rundir import NETWORK, WEIGHTS_ENDING, RunDir, open_run, open_weights
from rac_unet.models.importing.enlarging import compact_config, enlarge
from rac_unet.models.importing.lite_weights import assign_weights, read_lite
from rac_unet.runtime.published import published_start
from rac_unet.runtime.runners import Runner, load_runner
from rac_unet.training.guiding.readers import check_readers
from rac_unet.training.guiding.teacher import check_teacher, teacher_run

if TYPE_CHECKING:
    import keras

    from rac_unet.data.pairs import PairSet

# Sections of the config that the new training takes over; losses, optimizer and length are its own.
TAKEN = ("model", "data")
# Number and size of the batches that measure batch norm statistics, which a .tflite file does not contain.
_BATCHES, _BATCH = 24, 32
_LITE = ".tflite"
# The rebuilt network must paint nearly the same as the file: 45 dB for 8 bits, 100 for floats, 15 for mixed-up layers.
_COMPARED, _LEAST_DB = 8, 20.0


@dataclass(frozen=True)
class WarmStart:
    """Initial weights of a training.

    Attributes:
        weights: float32 arrays in the order of a network's `get_weights`.
        description: their source, for the log.
    """

    weights: list[np.ndarray]
    description: str


def settings_of(path: str | Path) -> dict[str, Any]:
    """Return the config sections that a new training takes over; its own settings override them.

    Args:
        path: a run directory (sections `model` and `data`), or a .weights.h5 or .tflite file or `published` (section
            `model`).
    Raises: UserError when the path is none of these.
    """
    if file := _file_of(path):
        return {"model": _network_of(file)}
    found = open_run(path)
    values = to_dict(from_dict(read_yaml(found.config_file), str(found.config_file)))
    return {section: values[section] for section in TAKEN}


def _file_of(path: str | Path) -> Path | None:
    """Return the .weights.h5 or .tflite file of a warm start; None for a run directory."""
    if str(path) == PUBLISHED:
        return published_start()
    path = Path(path).expanduser()
    return path if path.name.lower().endswith((_LITE, WEIGHTS_ENDING)) and not path.is_dir() else None


def _is_lite(file: Path) -> bool:
    return file.suffix.lower() == _LITE


def _network_of(file: Path) -> dict[str, Any]:
    """Return the settings of a file's network: all of a .weights.h5 file's, or those that a .tflite file contains."""
    if not _is_lite(file):
        return asdict(open_weights(file).config().model)
    return dict(_read_network(file, file.stat().st_mtime_ns if file.is_file() else 0))


@functools.lru_cache(maxsize=1)
def _read_network(file: Path, _written: int) -> dict[str, Any]:
    """Return `_network_of`, cached per version of the file, since opening a .tflite file starts a trial process."""
    runner, lite = load_runner(file, threads=1), read_lite(file)
    known = {"name": lite.network, "filters": lite.filters, "image_size": runner.image_size}
    return {**{key: value for key, value in known.items() if value is not None}, "conditioned": runner.conditioned}


def warm_start_file(path: str | Path, kind: str = NETWORK) -> Path:
    """Return the weights file of a warm start from `path`.

    Args:
        path: a run directory, a .weights.h5 or .tflite file, or `published`.
        kind: expected kind of a run directory, `NETWORK` or `CLASSIFIER`.
    Raises: UserError when the file is missing, or the path is not such a run.
    """
    file = _file_of(path) if kind == NETWORK else None
    if file is None:
        return open_run(path, kind=kind).best_weights
    if not _is_lite(file):
        return open_weights(file).best_weights
    if not file.is_file():
        raise UserError(f"{file} does not exist; give a .tflite file or a run directory", "missing")
    return file


def refuse_other_network(path: str | Path, wanted: ModelConfig) -> None:
    """Raise UserError when there is no network at `path`, or with the differences when it is not the wanted one."""
    theirs = _network_at(path)
    ours = asdict(_source_network(theirs, wanted))
    differ = [f"model.{key}: {theirs[key]!r} there, {ours[key]!r} here" for key in theirs if theirs[key] != ours[key]]
    if differ:
        raise UserError(
            f"init_from: {path} has another network ({'; '.join(differ)}); --init_from takes over its network, so omit "
            "these settings, and use a preset without them, such as sharp",
            "mismatch",
        )


def _network_at(path: str | Path) -> dict[str, Any]:
    """Return the settings of the network of a file, as far as it contains them, or of a run directory."""
    file = _file_of(path)
    return _network_of(file) if file else asdict(open_run(path).config().model)


def _source_network(theirs: dict[str, Any], wanted: ModelConfig) -> ModelConfig:
    """Return the network that must be at the source: the wanted one, or the compact one that it enlarges."""
    compact = compact_config(wanted)
    return compact if compact and theirs["name"] == compact.name else wanted


def warm_start(config: RunConfig, pairs: PairSet) -> WarmStart | None:
    """Load the initial weights that a config names; None if it names none.

    Args:
        config: config of the new training.
        pairs: the data set; its training images provide batch norm statistics for a .tflite file.
    Raises: UserError when the weights are missing, damaged, or belong to another network than the config's.
    """
    path = config.training.init_from
    if not path:
        return None
    refuse_other_network(path, config.model)
    file = _file_of(path)
    source = replace(config, model=_source_network(_network_at(path), config.model))
    if file and _is_lite(file):
        model, description = _from_lite(file, source, pairs.split("train"))
    else:
        from rac_unet.runtime.runners import load_network

        if path == PUBLISHED:
            run, description = open_weights(file), f"the published weights, {file.name}"
        elif file:
            run, description = open_weights(file), f"the weights of {file}"
        else:
            run, description = open_run(path), f"the best weights of {path}"
        model = load_network(run)
    if source.model != config.model:
        import keras

        from rac_unet.models import build_configured

        keras.utils.set_random_seed(config.training.seed)
        large = build_configured(config.model)
        enlarge(model, large)
        model, description = large, f"{description}, enlarged; its detail layers start with random weights"
    return WarmStart(model.get_weights(), description)


def _from_lite(file: Path, config: RunConfig, pairs: PairSet) -> tuple[keras.Model, str]:
    from rac_unet.models import build_configured

    model = build_configured(config.model)
    assign_weights(model, read_lite(file))
    pictures = _sample_inputs(model, config, pairs)
    few = {name: value[:_COMPARED] for name, value in next(iter(pictures)).items()}
    agreement = _agreement_psnr(model, load_runner(file), few)
    if not agreement >= _LEAST_DB:
        raise UserError(
            f"{file}: the network rebuilt from it paints something else than the file ({agreement:.1f} dB on "
            f"{min(_COMPARED, len(pairs))} pictures), so it was written by an unknown converter; start from the run "
            "that it was exported from",
            "failed_check",
        )
    count = measure_batch_norms(model, pictures)
    description = f"the weights of {file}, {agreement:.1f} dB PSNR against its own output; batch norms measured on "
    return model, f"{description}{count} pictures"


def _sample_inputs(model: keras.Model, config: RunConfig, pairs: PairSet) -> Iterable[dict[str, Any]]:
    """Return a data set of the network's inputs, augmented as in training; every iteration gives the same batches."""
    from rac_unet.data.pictures import Pictures
    from rac_unet.data.pipeline import make_training_dataset

    seed, batch = config.training.seed, min(_BATCH, len(pairs))
    # Decode only the images that are needed.
    chosen = np.random.default_rng(seed).permutation(len(pairs))[: _BATCHES * batch]
    pairs = pairs.take(np.sort(chosen))
    pictures = Pictures(pairs, config.model.image_size)
    dataset = make_training_dataset(pairs, pictures, batch, seed, 1, changes=config.data)
    return dataset.map(lambda inputs, _: {name: inputs[name] for name in model.input})


def _agreement_psnr(model: keras.Model, runner: Runner, inputs: dict[str, Any]) -> float:
    """Return the PSNR in dB between the outputs of a network and of a file."""
    ours = model(inputs, training=False)["inpainted_image"].numpy()
    theirs = runner(**{name: np.asarray(value) for name, value in inputs.items()})["inpainted_image"]
    return -10 * math.log10(max(float(np.mean((ours - theirs) ** 2)), 1e-12))


def measure_batch_norms(model: keras.Model, batches: Iterable[dict[str, Any]]) -> int:
    """Set batch norm statistics to those of real images, and adapt scale and shift so that the outputs do not change.

    Normalising by batch statistics in training then changes the outputs only a little.

    Args:
        model: the network.
        batches: inputs of the network, float32, batch first, all of one size.
    Returns: number of images.
    """
    import keras
    import tensorflow as tf

    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    probe = keras.Model(model.inputs, [layer.input for layer in norms])

    # A graph need not keep all of the tensors in memory at once.
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
    """Return the entry of provenance.json for the source of a warm start.

    Args:
        path: a run directory, a .weights.h5 or .tflite file, or `published`.
        kind: kind of a run directory, `NETWORK` or `CLASSIFIER`.
    Returns: `describe_source`; `weights_sha256` of its best weights, or of the file; and, if emotion readers
        guided it or an earlier run, `guides` with the entries of `check_readers`.
    """
    guides: list[dict[str, Any]] = []
    file = _file_of(path) if kind == NETWORK else None
    if kind == NETWORK and not (file and _is_lite(file)):
        guides = _without_paths(guides_of(open_weights(file) if file else RunDir(Path(path))))
    facts = {**describe_source(path), "weights_sha256": file_digest(warm_start_file(path, kind))}
    return facts | ({"guides": guides} if guides else {})


def teacher_facts(config: RunConfig) -> dict[str, Any]:
    """Return the entry of provenance.json for the teacher of a guided training; empty without a teacher.

    Returns: `check_teacher`, and, if emotion readers guided the teacher, `guides` with the entries of `check_readers`.
    Raises: UserError as `check_teacher`.
    """
    facts = check_teacher(config)
    guides = _without_paths(guides_of(teacher_run(config.guidance.teacher))) if facts else []
    return facts | ({"guides": guides} if guides else {})


def _without_paths(guides: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in guide.items() if key != "path"} for guide in guides]


def guides_of(run: RunDir, above: tuple[Path, ...] = ()) -> list[dict[str, Any]]:
    """Return the emotion readers that guided a run, its teacher, or an earlier run that it was started from, each once.

    Args:
        run: the run, or a weights file, whose folder may have a provenance.json with the readers.
        above: later runs that were started from this one.
    Returns: entries of `check_readers`, and `path`: the reader's run directory in the settings, or None if only its
        entry is known. `weights_sha256` is None if it was not recorded and the reader is missing.
    Raises: UserError when `run` is not a run of an inpainting network.
    """
    config, provenance = run.config(), run.provenance()
    paths, facts = config.guidance.readers, provenance.get("guidance", {}).get("readers", [])
    if paths and len(facts) != len(paths):
        facts = [_reader_now(path) for path in paths]
    # The settings of a weights file have no paths of readers.
    found = [{**fact, "path": path} for fact, path in zip(facts, paths or [None] * len(facts), strict=True)]
    if config.training.init_from:
        place = Path(config.training.init_from).resolve()
        if place not in above:
            # If that run was moved or removed, the record in this run's provenance is used below.
            with contextlib.suppress(UserError, OSError):
                found += guides_of(RunDir(place), (*above, place))
        found += [{**fact, "path": None} for fact in (provenance.get(WARM_START_KEY) or {}).get("guides", [])]
    taught = provenance.get("guidance", {}).get("teacher", {})
    found += [{**fact, "path": None} for fact in taught.get("guides", [])]
    distinct: dict[str, dict[str, Any]] = {}
    for guide in found:
        distinct.setdefault(guide["weights_sha256"] or str(guide["path"]), guide)
    return list(distinct.values())


def _reader_now(path: str) -> dict[str, Any]:
    try:
        return check_readers([path])[0]
    except UserError:
        return {"name": Path(path).name, "weights_sha256": None, "data_fingerprint": None}


def warm_start_source(run: RunDir, above: tuple[Path, ...] = ()) -> dict[str, Any] | None:
    """Return the record in provenance.json of a run's warm start; None for a run that started with random weights.

    Older runs have no such record; for them it is derived from the run that their settings name.

    Args:
        run: the run.
        above: later runs that were started from this one; renamed folders can form a circle.
    Returns: as `warm_start_facts`; for older runs as `describe_source`.
    """
    path = run.config().training.init_from
    return run.provenance().get(WARM_START_KEY) or describe_source(path, above) if path else None


def describe_source(path: str, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Describe the run, .weights.h5 or .tflite file at `path` as the source of a warm start.

    Returns: `run`, the name of the folder or file, and `pictures_seen`, the number of training images that it and all
        earlier runs were trained on, counting repeats; None if unknown, as for a file.
    """
    if file := _file_of(path):
        return {"run": file.name, "pictures_seen": None}
    place = Path(path).resolve()
    return {"run": place.name, "pictures_seen": None if place in above else _pictures_seen(place, (*above, place))}


def _pictures_seen(place: Path, above: tuple[Path, ...]) -> int | None:
    run = RunDir(place)
    try:
        before, rows = warm_start_source(run, above), run.history()
    except (UserError, OSError):
        return None
    earlier = before["pictures_seen"] if before else 0
    return None if earlier is None or not rows or "images" not in rows[-1] else earlier + int(rows[-1]["images"])
