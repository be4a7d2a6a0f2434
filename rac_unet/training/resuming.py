"""What must be right before a run goes on: all its files there, the same settings, the same data, a place to write.

At a validation the backup is written first and the row of history.csv last, so a run with rows has everything else,
whatever moment it was killed at; without a backup it starts again from the same weights.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from rac_unet.core.config import RunConfig, differences, to_dict
from rac_unet.core.errors import UserError
from rac_unet.core.files.hashing import file_digest
from rac_unet.core.rundir import NETWORK, RunDir, copy_run, open_run, remove_unfinished_of
from rac_unet.training.state import find_backups
from rac_unet.training.warm_start import BEGUN_FROM, weights_file


def open_to_resume(path: Path, runs: Path, writes: bool = True) -> RunDir:
    """The run at `path`, or its copy in `runs` where `path` cannot be written to.

    Args:
        runs: folder for the copy; Kaggle's input folders, where the last session's output lies, are read-only.
        writes: whether this process will write at all.
    Raises: UserError when it is no run that can go on, when files are missing, or when the copy is there already.
    """
    run = open_run(path, need_weights=False)
    refuse_half_copied(run)
    if not writes:
        return run
    if _is_writable(run.path):
        remove_unfinished_of(run)
        return run
    copy = runs / run.path.resolve().name
    if copy.exists():
        raise UserError(
            f"{run.path} is read-only, and {copy} is there already; go on with --resume {copy}, or remove it", "exists"
        )
    copy_run(run.path, copy)
    print(f"copied   {run.path} is read-only: going on in {copy}")
    remove_unfinished_of(RunDir(copy))
    return RunDir(copy)


def refuse_imported(run: RunDir) -> None:
    """Raise UserError for a run that was never trained here."""
    if run.imported():
        raise UserError(
            f"{run.path} was imported, so there is no training to go on with: neither the optimizer's state nor the "
            "settings are known; start a new run",
            "wrong_type",
        )


def refuse_half_copied(run: RunDir) -> None:
    """Raise UserError when a run that has been validated lacks what a validation leaves behind."""
    history = run.history()
    if not history:
        return
    needed = {
        "backup/step_*.npz": bool(find_backups(run.backup)),
        "checkpoints/best.weights.h5": run.best_weights.is_file(),
        "checkpoints/last.weights.h5": run.last_weights.is_file(),
    }
    if missing := [name for name, there in needed.items() if not there]:
        raise UserError(
            f"{run.path} is not whole: history.csv has {len(history):,} row{'s' * (len(history) > 1)}, but "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; copy the whole folder again, or "
            "start a new run",
            "missing",
        )


def refuse_changed_settings(run: RunDir, config: RunConfig) -> None:
    """Raise UserError, with the differences, when the settings are not those of the newest backup that can be read.

    Where files lie, how long a session lasts and on what devices may change; so may `training.epochs`, as long as the
    learning rate does not depend on it.
    """
    before = _backed_up_config(run)
    if before is None:
        return
    changed = differences(before, to_dict(config))
    others = [line for line in changed if not line.startswith("training.epochs")]
    if others:
        raise UserError(
            f"the settings of {run.path} have changed since it was started: {'; '.join(changed)}. Put "
            f"{run.config_file} back as it was, or start a new run",
            "changed",
        )
    if changed and config.optimizer.schedule != "constant":
        epochs = config.training.epochs
        raise UserError(
            f"{changed[0]}: the learning rate of {run.path} falls along a {config.optimizer.schedule} to the end of "
            "the epochs it was started with, so resumed it ends there. To train longer, start a new run from its best "
            f"weights: python -m rac_unet.train --config {run.config_file} --init_from {run.path} "
            f"--training.epochs {epochs:g}",
            "changed",
        )


def refuse_changed_data(run: RunDir, pairs) -> None:
    """Raise UserError when the pairs are not those the run started with."""
    facts = run.provenance()
    before, count = facts.get("data_fingerprint"), facts.get("pairs")
    if before not in (None, pairs.fingerprint):
        raise UserError(
            f"the data set at {pairs.root} has changed since {run.path} was started: {count} pairs, fingerprint "
            f"{before[:12]}… then; {len(pairs)} pairs, {pairs.fingerprint[:12]}… now; restore it, or start a new run",
            "changed",
        )


def refuse_changed_features(run: RunDir, extractor) -> None:
    """Raise UserError when the perceptual loss would look through another network or other weights than before."""
    before = run.provenance().get("features")
    if not before or not extractor:
        return
    then, now = before, extractor.facts()
    # A trained one is known by its file's content, whatever that is called; one with random weights by its name.
    known = "sha256" if then.get("sha256") or now["sha256"] else "name"
    if then.get(known) != now[known]:
        raise UserError(
            f"the loss of {run.path} was started with the features of {_features(then)}, and now there are those of "
            f"{_features(now)}; give the first with --loss.features and --loss.feature_weights, or start a new run",
            "changed",
        )


def _features(facts: dict) -> str:
    weights = f"{facts.get('weights')}, SHA-256 {facts['sha256'][:12]}…" if facts.get("sha256") else "random weights"
    return f"{facts.get('name')} ({weights})"


def refuse_changed_start(run: RunDir, config: RunConfig) -> None:
    """Raise UserError when a run's first step would not be taken with the weights it was started with."""
    before, now = run.config().training.init_from, config.training.init_from
    if bool(before) != bool(now):
        raise UserError(
            f"training.init_from: {before!r} before, {now!r} now: {run.path} was started with "
            f"{'the weights of another' if before else 'random weights'}; leave --training.init_from out, or start a "
            "new run",
            "changed",
        )
    if now and not find_backups(run.backup):
        try:
            refuse_other_start(run, now)
        except UserError as error:
            raise UserError(f"{error}; where that run has been moved, say --training.init_from", error.kind) from error


def refuse_other_start(run: RunDir, path: str, kind: str = NETWORK) -> None:
    """Raise UserError when a run without a backup, which starts again, would not start with the same weights.

    Args:
        path: the run whose best weights it was started with, or the .tflite file.
        kind: what both hold, `NETWORK` or `CLASSIFIER`.
    """
    need = f"{run.path} has no backup yet, so it starts again, with the weights of {path}"
    try:
        here = file_digest(weights_file(path, kind))
    except UserError as error:
        raise UserError(f"{need}, but {error}", error.kind) from error
    then = (run.provenance().get(BEGUN_FROM) or {}).get("weights_sha256")
    if then not in (None, here):
        raise UserError(
            f"{need}, but those have changed (SHA-256 {then[:12]}… then, {here[:12]}… now); start a new run", "changed"
        )


def refuse_changed_readers(run: RunDir, readers: list[dict]) -> None:
    """Raise UserError when the emotion readers are not those the run started with.

    Args:
        readers: as `rac_unet.training.guiding.readers.check_readers` gives them, in the order of the config.
    """
    before = run.provenance().get("guidance", {}).get("readers")
    if before is None:
        return
    then, now = ([(fact["name"], fact["weights_sha256"][:12]) for fact in facts] for facts in (before, readers))
    # A folder may be renamed; the weights are what matters, and their order, since each has random numbers of its own.
    if [sha for _, sha in then] != [sha for _, sha in now]:
        shown = ["; ".join(f"{name} {sha}…" for name, sha in facts) for facts in (then, now)]
        raise UserError(
            f"guidance.readers of {run.path} are not those it started with (SHA-256 of their weights: {shown[0]} "
            f"then, {shown[1]} now); restore them, or start a new run",
            "changed",
        )


def refuse_changed_donors(run: RunDir, facts: dict) -> None:
    """Raise UserError when the donor faces are not those the run started with.

    Args:
        facts: as `rac_unet.training.guiding.donors.donor_facts` gives them.
    """
    then, now = (given.get("donors", {}).get("fingerprint") for given in (run.provenance().get("guidance", {}), facts))
    if then and then != now:
        raise UserError(
            f"guidance.donor_faces of {run.path} are not those it started with (fingerprint {then[:12]}… then, "
            f"{str(now)[:12]}… now); restore them, or start a new run",
            "changed",
        )


def _backed_up_config(run: RunDir) -> dict | None:
    for path in find_backups(run.backup):
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                return json.loads(str(file["numbers"])).get("config")
        except Exception:  # a damaged one, which loading the state tells of
            continue
    return None


def _is_writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
