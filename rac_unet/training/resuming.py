"""Checks before a run is resumed: complete files, unchanged settings and data, a writable folder.

At a validation the backup is written first and the row of history.csv last. A run with rows therefore has all other
files, whenever it was killed. A run without a backup starts again with the same weights.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from rac_unet.core.config import RunConfig, differences, to_dict
from rac_unet.core.errors import UserError
from rac_unet.core.files.hashing import file_digest
from rac_unet.core.provenance import WARM_START_KEY
from rac_unet.core.rundir import NETWORK, RunDir, copy_run, open_run, remove_unfinished_of
from rac_unet.training.state import find_backups
from rac_unet.training.warm_start import warm_start_file


def open_to_resume(path: Path, runs: Path, writes: bool = True) -> RunDir:
    """Return the run at `path`, or a copy of it in `runs` if `path` is read-only.

    Args:
        path: the run directory.
        runs: folder for the copy; Kaggle's input folders, with the output of the last session, are read-only.
        writes: whether this process will write files.
    Raises: UserError when the run cannot be resumed, files are missing, or the copy exists already.
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
            f"{run.path} is read-only, and {copy} exists already; continue with --resume {copy}, or remove it", "exists"
        )
    copy_run(run.path, copy)
    print(f"copied   {run.path} is read-only: continuing in {copy}")
    remove_unfinished_of(RunDir(copy))
    return RunDir(copy)


def refuse_imported(run: RunDir) -> None:
    """Raise UserError for an imported run."""
    if run.imported():
        raise UserError(
            f"{run.path} was imported and has no training to resume: the optimizer's state and the settings are not "
            "known; start a new run",
            "wrong_type",
        )


def refuse_half_copied(run: RunDir) -> None:
    """Raise UserError when a run with rows in history.csv lacks the other files of a validation."""
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
            f"{run.path} is incomplete: history.csv has {len(history):,} row{'s' * (len(history) > 1)}, but "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; copy the whole folder again, or "
            "start a new run",
            "missing",
        )


def refuse_changed_settings(run: RunDir, config: RunConfig) -> None:
    """Raise UserError with the differences when the settings differ from those of the newest readable backup.

    Paths, session length and devices may change; so may `training.epochs`, unless the learning rate depends on it.
    """
    before = _backed_up_config(run)
    if before is None:
        return
    changed = differences(before, to_dict(config))
    others = [line for line in changed if not line.startswith("training.epochs")]
    if others:
        raise UserError(
            f"the settings of {run.path} have changed since it was started: {'; '.join(changed)}. Restore "
            f"{run.config_file}, or start a new run",
            "changed",
        )
    if changed and config.optimizer.schedule != "constant":
        epochs = config.training.epochs
        raise UserError(
            f"{changed[0]}: the {config.optimizer.schedule} learning-rate schedule of {run.path} ends with the epochs "
            "it was started with, and cannot be extended. To train longer, start a new run from its best weights: "
            f"python -m rac_unet.train --config {run.config_file} --init_from {run.path} "
            f"--training.epochs {epochs:g}",
            "changed",
        )


def refuse_changed_data(run: RunDir, pairs) -> None:
    """Raise UserError when the data set differs from the one the run was started with."""
    facts = run.provenance()
    before, count = facts.get("data_fingerprint"), facts.get("pairs")
    if before not in (None, pairs.fingerprint):
        raise UserError(
            f"the data set at {pairs.root} has changed since {run.path} was started: {count} pairs, fingerprint "
            f"{before[:12]}… before; {len(pairs)} pairs, {pairs.fingerprint[:12]}… now; restore it, or start a new run",
            "changed",
        )


def refuse_changed_features(run: RunDir, extractor) -> None:
    """Raise UserError when the feature extractor or its weights differ from those the run was started with."""
    before = run.provenance().get("features")
    if not before or not extractor:
        return
    then, now = before, extractor.facts()
    # A trained extractor is identified by its file's content, one with random weights by its name.
    known = "sha256" if then.get("sha256") or now["sha256"] else "name"
    if then.get(known) != now[known]:
        raise UserError(
            f"the loss of {run.path} was started with the features of {_features(then)}, but now has those of "
            f"{_features(now)}; give the former with --loss.features and --loss.feature_weights, or start a new run",
            "changed",
        )


def _features(facts: dict) -> str:
    weights = f"{facts.get('weights')}, SHA-256 {facts['sha256'][:12]}…" if facts.get("sha256") else "random weights"
    return f"{facts.get('name')} ({weights})"


def refuse_changed_start(run: RunDir, config: RunConfig) -> None:
    """Raise UserError when a run that starts again would not start with the same weights."""
    before, now = run.config().training.init_from, config.training.init_from
    if bool(before) != bool(now):
        raise UserError(
            f"training.init_from: {before!r} before, {now!r} now: {run.path} was started with "
            f"{'the weights of another' if before else 'random weights'}; omit --training.init_from, or start a new "
            "run",
            "changed",
        )
    if now and not find_backups(run.backup):
        try:
            refuse_other_start(run, now)
        except UserError as error:
            raise UserError(
                f"{error}; if that run has been moved, give its path with --training.init_from", error.kind
            ) from error


def refuse_other_start(run: RunDir, path: str, kind: str = NETWORK) -> None:
    """Raise UserError when the weights that a run without a backup starts again with are missing or have changed.

    Args:
        run: the run without a backup.
        path: the run whose best weights it was started with, or the .tflite file.
        kind: kind of both runs, `NETWORK` or `CLASSIFIER`.
    """
    need = f"{run.path} has no backup yet, so it starts again with the weights of {path}"
    try:
        here = file_digest(warm_start_file(path, kind))
    except UserError as error:
        raise UserError(f"{need}, but {error}", error.kind) from error
    then = (run.provenance().get(WARM_START_KEY) or {}).get("weights_sha256")
    if then not in (None, here):
        raise UserError(
            f"{need}, but these have changed (SHA-256 {then[:12]}… before, {here[:12]}… now); start a new run",
            "changed",
        )


def refuse_changed_readers(run: RunDir, readers: list[dict]) -> None:
    """Raise UserError when the emotion readers differ from those the run was started with.

    Args:
        run: the run to resume.
        readers: result of `rac_unet.training.guiding.readers.check_readers`, in the order of the config.
    """
    before = run.provenance().get("guidance", {}).get("readers")
    if before is None:
        return
    then, now = ([(fact["name"], fact["weights_sha256"][:12]) for fact in facts] for facts in (before, readers))
    # Folders may be renamed, but weights and order must be the same: each reader has its own random numbers.
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


def refuse_changed_teacher(run: RunDir, facts: dict) -> None:
    """Raise UserError when the teacher is not the one the run started with.

    Args:
        facts: as `rac_unet.training.guiding.teacher.check_teacher` gives them.
    """
    then = run.provenance().get("guidance", {}).get("teacher", {}).get("weights_sha256")
    now = facts.get("weights_sha256")
    if then and then != now:
        raise UserError(
            f"guidance.teacher of {run.path} has other weights than it started with (SHA-256 {then[:12]}… then, "
            f"{str(now)[:12]}… now); restore them, or start a new run",
            "changed",
        )


def _backed_up_config(run: RunDir) -> dict | None:
    for path in find_backups(run.backup):
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                return json.loads(str(file["numbers"])).get("config")
        except Exception:  # `load_state` reports damaged backups
            continue
    return None


def _is_writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
