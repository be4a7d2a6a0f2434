"""Train a network: `python -m rac_unet.train [--preset NAME | --config FILE] [--section.key value …]`."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rac_unet.core.config import PUBLISHED, RunConfig, write_yaml
from rac_unet.core.errors import UserError, one_line, require, run_command
from rac_unet.core.registry import EXTRACTORS
from rac_unet.models.backend import import_tensorflow, set_tf32
from rac_unet.training.arguments import TrainCommand, parse


def main(argv: list[str] | None = None) -> int:
    """Train a new run or resume one; return the exit code (130 when stopped by a signal)."""
    started_at = time.monotonic()
    command = parse(argv)
    require("rac_unet.train", "train")
    return resume(command, started_at) if command.resume else start(command, started_at, argv)


def start(command: TrainCommand, started_at: float, argv: list[str] | None) -> int:
    """Train a new run directory; `argv` is the command line, for its provenance."""
    from rac_unet.core import rundir
    from rac_unet.core.provenance import WARM_START_KEY, device_name, make_provenance
    from rac_unet.objectives.extractor_files import find_extractor_file
    from rac_unet.pairing.opening import open_pairs
    from rac_unet.training.guiding.donors import donor_facts, read_donors
    from rac_unet.training.guiding.readers import check_readers, emotion_frequencies, load_readers
    from rac_unet.training.guiding.teacher import load_teacher
    from rac_unet.training.reporting import Log
    from rac_unet.training.warm_start import teacher_facts, warm_start, warm_start_facts

    config = _with_absolute_paths(command.config)
    if config.loss.needs_features:
        find_extractor_file(config.loss.features, config.loss.feature_weights, "loss.")
    _refuse_untrained_statistics(config)
    readers, donors = check_readers(config.guidance.readers), read_donors(config.guidance)
    teacher = teacher_facts(config)
    pairs = open_pairs(config)
    _refuse_empty_splits(pairs)
    if config.guidance.is_on:
        emotion_frequencies(pairs.split("train"))
    # Everything that can be checked without TensorFlow has been checked by now.
    distribution = _take_devices(config)
    from rac_unet.training.hardware.devices import device_facts, resolve_auto
    from rac_unet.training.hardware.distribution import scale_to_replicas

    config = scale_to_replicas(config, distribution.replicas)
    resolve_auto(config.training, device_facts(distribution.kind == "tpu"), distribution.replicas)
    extractor, initial = _extractor(config), warm_start(config, pairs)
    opened = load_readers(config.guidance.readers, distribution.strategy)
    taught_by = load_teacher(config, distribution.strategy)
    guides = {"readers": readers} | donor_facts(donors, config.guidance) | ({"teacher": teacher} if teacher else {})
    facts = {
        "device": device_name(),
        "strategy": distribution.description,
        "data": str(pairs.root),
        "data_fingerprint": pairs.fingerprint,
        "pairs": len(pairs),
        **({"features": extractor.facts()} if extractor else {}),
        **({"guidance": guides} if config.guidance.is_on else {}),
        **({WARM_START_KEY: warm_start_facts(config.training.init_from)} if config.training.init_from else {}),
    }
    with tempfile.TemporaryDirectory(prefix="rac_unet_worker_") as scratch:
        # Only the chief's run is kept; the others need a place for their settings.
        runs = command.runs if distribution.is_chief else Path(scratch)
        run = rundir.create(runs, command.name, config, make_provenance("rac_unet.train", argv, **facts))
        log = Log(run.log_file)
        if distribution.is_chief:
            log(f"run      {run.path}")
        log(f"device   {facts['device']}")
        return _train(run, pairs, log, extractor, opened, donors, taught_by, distribution, started_at, initial)


def resume(command: TrainCommand, started_at: float) -> int:
    """Continue a run directory where its newest backup left it."""
    from rac_unet.core.files.whole import write_text
    from rac_unet.core.rundir import open_run
    from rac_unet.objectives.extractor_files import find_extractor_file
    from rac_unet.pairing.opening import open_pairs
    from rac_unet.training import resuming
    from rac_unet.training.arguments import with_overrides
    from rac_unet.training.guiding.donors import donor_facts, read_donors
    from rac_unet.training.guiding.readers import check_readers, load_readers
    from rac_unet.training.guiding.teacher import check_teacher, load_teacher
    from rac_unet.training.reporting import Log
    from rac_unet.training.state import find_backups
    from rac_unet.training.warm_start import warm_start

    found = open_run(command.resume, need_weights=False)
    resuming.refuse_imported(found)
    config = _with_absolute_paths(with_overrides(found.config(), command.overrides))
    if config.loss.needs_features:
        try:
            find_extractor_file(config.loss.features, config.loss.feature_weights, "loss.")
        except UserError as error:
            advice = "with --resume, give --loss.features or --loss.feature_weights again"
            raise UserError(f"{error}; {advice}", error.kind) from error
    try:
        readers, donors = check_readers(config.guidance.readers), read_donors(config.guidance)
        teacher = check_teacher(config)
    except UserError as error:
        advice = "with --resume, give --guidance.readers, --guidance.donor_faces or --guidance.teacher again"
        raise UserError(f"{error}; {advice}", error.kind) from error
    pairs = open_pairs(config)
    distribution = _take_devices(config)
    run = resuming.open_to_resume(command.resume, command.runs, distribution.is_chief)
    resuming.refuse_changed_settings(run, config)
    resuming.refuse_changed_data(run, pairs)
    resuming.refuse_changed_start(run, config)
    extractor = _extractor(config)
    resuming.refuse_changed_features(run, extractor)
    resuming.refuse_changed_readers(run, readers)
    resuming.refuse_changed_donors(run, donor_facts(donors, config.guidance))
    resuming.refuse_changed_teacher(run, teacher)
    opened = load_readers(config.guidance.readers, distribution.strategy)
    taught_by = load_teacher(config, distribution.strategy)
    initial = None if find_backups(run.backup) else warm_start(config, pairs)
    if distribution.is_chief and config != run.config():
        write_text(run.config_file, write_yaml(config))
    log = Log(run.log_file) if distribution.is_chief else print
    return _train(
        run, pairs, log, extractor, opened, donors, taught_by, distribution, started_at, initial, resumed=True
    )


def _take_devices(config: RunConfig):
    """Import TensorFlow and set up the devices, which must happen before it computes anything."""
    import_tensorflow()
    from rac_unet.core.quiet import silenced_stderr
    from rac_unet.training.hardware.distribution import make_distribution

    if config.training.deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    if config.training.tf32 != "auto":
        set_tf32(config.training.tf32)
    with silenced_stderr():
        return make_distribution(config.training.strategy, config.training.replicas)


def _refuse_empty_splits(pairs) -> None:
    """Raise UserError, before a run directory is made, when there are no training or validation pairs."""
    if not len(pairs.split("train")):
        raise UserError(f"{pairs.root} has no training pairs (split train)", "empty")
    if not len(pairs.split("val")):
        raise UserError(
            f"{pairs.root} has no validation pairs (split val), which are needed to choose the best weights", "empty"
        )


def _refuse_untrained_statistics(config: RunConfig) -> None:
    """Raise UserError when parts of a new network, which is not trained yet, are to stay as they are."""
    if config.training.freeze_batch_norm and not config.training.init_from:
        raise UserError(
            "training.freeze_batch_norm: a new network has no stored statistics to normalise with; start with trained "
            "weights (--init_from RUN, or --init_from published), or omit it",
            "usage",
        )
    if config.training.only_layers and not config.training.init_from:
        raise UserError(
            "training.only_layers: the other layers of a new network would keep random weights; start with trained "
            "weights (--init_from RUN, or --init_from published), or omit it",
            "usage",
        )


def _with_absolute_paths(config: RunConfig) -> RunConfig:
    """Return the config with absolute paths, since the run may be scored and resumed from other folders."""

    def absolute(path: str) -> str:
        return str(Path(path).expanduser().absolute())

    data, loss = config.data, config.loss
    if data.path:
        data = replace(data, path=absolute(data.path))
    if loss.features not in EXTRACTORS:
        loss = replace(loss, features=absolute(loss.features))
    if loss.feature_weights not in ("imagenet", "none"):
        loss = replace(loss, feature_weights=absolute(loss.feature_weights))
    training, guidance = config.training, config.guidance
    if training.init_from and training.init_from != PUBLISHED:
        training = replace(training, init_from=absolute(training.init_from))
    if guidance.is_on:
        guidance = replace(
            guidance,
            readers=[absolute(path) for path in guidance.readers],
            donor_faces=guidance.donor_faces and absolute(guidance.donor_faces),
            teacher=absolute(guidance.teacher) if guidance.teacher not in (None, PUBLISHED) else guidance.teacher,
        )
    return replace(config, data=data, loss=loss, guidance=guidance, training=training)


def _extractor(config: RunConfig):
    """Load the feature extractor if the loss needs one; otherwise return None."""
    if not config.loss.needs_features:
        return None
    from rac_unet.objectives.features import load_extractor

    return load_extractor(config.loss.features, config.loss.feature_weights, config.model.image_size, "loss.")


def _train(
    run, pairs, log, extractor, readers, donors, teacher, distribution, started_at: float, initial, resumed=False
) -> int:
    from rac_unet.training.loop import Trainer
    from rac_unet.training.reporting import StopSignal

    if extractor:
        log(f"features {extractor.description}")
        if not extractor.trained:
            log("warning  the feature extractor is untrained: the perceptual loss compares random features")
    with StopSignal() as stop:
        weights = initial and initial.weights
        trainer = Trainer(run, pairs, log, extractor, distribution, started_at, weights, readers, donors, teacher)
        if initial:
            log(f"starts   with {initial.description}")
        if resumed:
            trainer.resume()
            if trainer.step >= trainer.total_steps:
                log(f"{run.path} is finished: {trainer.step:,} of {trainer.total_steps:,} steps done; nothing to do")
                return 0
        outcome = _train_and_wait(trainer, stop, distribution)
    if not distribution.is_chief:
        print(f"worker {distribution.worker} is done at step {outcome.step:,}; worker 0 has the run directory")
        return 130 if outcome.reason == "signal" else 0
    if outcome.reason != "finished":
        why = "the time is up" if outcome.reason == "time" else "stopped by a signal"
        log(f"stopped  at step {outcome.step:,} of {outcome.total_steps:,}: {why}; everything is saved")
        log(f"continue python -m rac_unet.train --resume {run.path}")
        if outcome.reason == "signal":
            return 130
    sheets = sorted((run.path / "samples").glob("*.png"))
    log(f"weights  {run.best_weights} (best validation loss {trainer.best_loss:.4f}), {run.last_weights.name}")
    log(f"history  {run.history_file}")
    log(f"samples  {sheets[-1]}" if sheets else "samples  none")
    log(f"next     python -m rac_unet.evaluate {run.path}")
    return 0


def _train_and_wait(trainer, stop, distribution):
    """Train; with several workers, wait for all of them at the end, and raise UserError if one is lost."""
    if distribution.workers == 1:
        return trainer.train(stop)
    import tensorflow as tf

    try:
        outcome = trainer.train(stop)
        distribution.wait_for_all()
    except (tf.errors.OpError, RuntimeError) as error:
        raise UserError(
            f"worker {distribution.worker} lost the others near step {trainer.step:,} ({one_line(error)}); start all "
            f"workers again with --resume {trainer.run.path if distribution.is_chief else 'and the run of worker 0'}",
            "device",
        ) from None
    return outcome


if __name__ == "__main__":
    run_command(main)
