"""Train a network: `python -m rac_unet.train [--preset NAME | --config FILE] [--section.key value …]`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rac_unet.config import RunConfig
from rac_unet.errors import UserError, run_command
from rac_unet.models.backend import import_tensorflow
from rac_unet.objectives.extractor_files import find_extractor_file
from rac_unet.registry import EXTRACTORS
from rac_unet.training.arguments import Request, parse


def main(argv: list[str] | None = None) -> int:
    """Train or resume as the command line asks; returns the exit code (130 when stopped by a signal)."""
    request = parse(argv)
    return resume(request) if request.resume else start(request)


def start(request: Request) -> int:
    """Train a new run directory."""
    from rac_unet import rundir
    from rac_unet.data.source import open_pairs
    from rac_unet.training.provenance import device_name, make_provenance
    from rac_unet.training.reporting import Log

    config = _with_whole_paths(request.config)
    if config.loss.needs_features:
        find_extractor_file(config.loss.features, config.loss.feature_weights, "loss.")
    pairs = open_pairs(config)
    _refuse_empty_splits(pairs)
    # What can be refused without TensorFlow has been, by now.
    import_tensorflow()
    extractor = _extractor(config)
    facts = {
        "device": device_name(),
        "data": str(pairs.root),
        "data_fingerprint": pairs.fingerprint,
        "pairs": len(pairs),
        **({"features": extractor.facts()} if extractor else {}),
    }
    run = rundir.create(request.runs, request.name, config, make_provenance(**facts))
    log = Log(run.log_file)
    log(f"run      {run.path}")
    log(f"device   {facts['device']}")
    return _train(run, pairs, log, extractor, fresh=True)


def resume(request: Request) -> int:
    """Continue a run directory where its newest backup left it."""
    from rac_unet import rundir
    from rac_unet.data.source import open_pairs
    from rac_unet.training.reporting import Log

    run = rundir.open_run(request.resume, need_weights=False)
    if run.imported():
        raise UserError(
            f"{run.path} was imported, so there is no training to go on with: neither the optimizer's state nor the "
            "settings are known; start a new run"
        )
    config = run.config()
    if config.loss.needs_features:
        try:
            find_extractor_file(config.loss.features, config.loss.feature_weights, "loss.")
        except UserError as error:
            raise UserError(f"{error}; for --resume, change loss: in {run.config_file} if it lies elsewhere") from error
    pairs = open_pairs(config)
    before = run.provenance().get("data_fingerprint")
    if before not in (None, pairs.fingerprint):
        raise UserError(
            f"the data set at {pairs.root} has changed since {run.path} was begun: fingerprint {before[:12]}… then, "
            f"{pairs.fingerprint[:12]}… now; restore it, or start a new run"
        )
    import_tensorflow()
    extractor = _extractor(config)
    before = run.provenance().get("features", {}).get("sha256")
    if extractor and extractor.sha256 and before not in (None, extractor.sha256):
        raise UserError(
            f"{extractor.weights}, which the perceptual loss of {run.path} looks through, is not the file it was begun "
            f"with (SHA-256 {before[:12]}… then, {extractor.sha256[:12]}… now); restore it, or start a new run"
        )
    return _train(run, pairs, Log(run.log_file), extractor, fresh=False)


def _refuse_empty_splits(pairs) -> None:
    """Before a run directory is made that would never hold a run."""
    if not len(pairs.split("train")):
        raise UserError(f"{pairs.root} has no training pairs (split train)")
    if not len(pairs.split("val")):
        raise UserError(f"{pairs.root} has no validation pairs (split val), by which the best weights are chosen")


def _with_whole_paths(config: RunConfig) -> RunConfig:
    """The same config with absolute paths: the run is scored and resumed from other folders than this one."""

    def whole(path: str) -> str:
        return str(Path(path).expanduser().absolute())

    data, loss = config.data, config.loss
    if data.path:
        data = replace(data, path=whole(data.path))
    if loss.features not in EXTRACTORS:
        loss = replace(loss, features=whole(loss.features))
    if loss.feature_weights not in ("imagenet", "none"):
        loss = replace(loss, feature_weights=whole(loss.feature_weights))
    return replace(config, data=data, loss=loss)


def _extractor(config: RunConfig):
    """The feature extractor, where the loss needs one."""
    if not config.loss.needs_features:
        return None
    from rac_unet.objectives.features import load_extractor

    return load_extractor(config.loss.features, config.loss.feature_weights, config.model.image_size, "loss.")


def _train(run, pairs, log, extractor, fresh: bool) -> int:
    from rac_unet.training.loop import Trainer
    from rac_unet.training.reporting import StopSignal

    if extractor:
        log(f"features {extractor.description}")
        if not extractor.trained:
            log("warning  the feature extractor is untrained: the perceptual loss compares random features")
    with StopSignal() as stop:
        trainer = Trainer(run, pairs, log, extractor)
        if not fresh:
            trainer.resume()
            if trainer.step >= trainer.total_steps:
                log(f"{run.path} is finished: {trainer.step:,} of {trainer.total_steps:,} steps done; nothing to do")
                return 0
        outcome = trainer.train(stop)
    if outcome.reason != "finished":
        why = "the time is up" if outcome.reason == "time" else "asked to stop"
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


if __name__ == "__main__":
    run_command(main)
