"""What must be right before a run goes on: all its files there, the same settings, the same data, a place to write."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from rac_unet.config import RunConfig, differences, to_dict
from rac_unet.errors import UserError
from rac_unet.rundir import RunDir, copy_run, open_run
from rac_unet.training.state import find_backups


def open_to_resume(path: Path, runs: Path, writes: bool = True) -> RunDir:
    """The run at `path`, or its copy in `runs` where `path` cannot be written to.

    Args:
        runs: folder for the copy; Kaggle's input folders, where the last session's output lies, are read-only.
        writes: whether this process will write at all.
    Raises: UserError when it is no run that can go on, when files are missing, or when the copy is there already.
    """
    run = open_run(path, need_weights=False)
    refuse_half_copied(run)
    if not writes or _is_writable(run.path):
        return run
    copy = runs / run.path.resolve().name
    if copy.exists():
        raise UserError(
            f"{run.path} is read-only, and {copy} is there already; go on with --resume {copy}, or remove it"
        )
    copy_run(run.path, copy)
    print(f"copied   {run.path} is read-only: going on in {copy}")
    return RunDir(copy)


def refuse_imported(run: RunDir) -> None:
    """Raise UserError for a run that was never trained here."""
    if run.imported():
        raise UserError(
            f"{run.path} was imported, so there is no training to go on with: neither the optimizer's state nor the "
            "settings are known; start a new run"
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
            f"{run.path} is not whole: history.csv goes to step {history[-1]['step']:,.0f}, but {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing; copy the whole folder again, or start a new run"
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
    if config.optimizer.schedule == "constant":
        changed = [line for line in changed if not line.startswith("training.epochs")]
    if changed:
        raise UserError(
            f"the settings of {run.path} have changed since it was begun: {'; '.join(changed)}. Put {run.config_file} "
            "back as it was, or start a new run"
        )


def refuse_changed_data(run: RunDir, pairs) -> None:
    """Raise UserError when the pairs are not those the run was begun with."""
    facts = run.provenance()
    before, count = facts.get("data_fingerprint"), facts.get("pairs")
    if before not in (None, pairs.fingerprint):
        raise UserError(
            f"the data set at {pairs.root} has changed since {run.path} was begun: {count} pairs, fingerprint "
            f"{before[:12]}… then; {len(pairs)} pairs, {pairs.fingerprint[:12]}… now; restore it, or start a new run"
        )


def refuse_changed_features(run: RunDir, extractor) -> None:
    """Raise UserError when the perceptual loss would look through other weights than before."""
    before = run.provenance().get("features", {}).get("sha256")
    if extractor and extractor.sha256 and before not in (None, extractor.sha256):
        raise UserError(
            f"{extractor.weights}, which the perceptual loss of {run.path} looks through, is not the file it was begun "
            f"with (SHA-256 {before[:12]}… then, {extractor.sha256[:12]}… now); restore it, or start a new run"
        )


def refuse_changed_readers(run: RunDir, readers: list[dict]) -> None:
    """Raise UserError when the emotion readers are not those the run was begun with.

    Args:
        readers: as `rac_unet.training.readers.check_readers` gives them, in the order of the config.
    """
    before = run.provenance().get("guidance", {}).get("readers")
    if before is None:
        return
    then, now = ([(fact["name"], fact["weights_sha256"][:12]) for fact in facts] for facts in (before, readers))
    # A folder may be renamed; the weights are what matters, and their order, since each has random numbers of its own.
    if [sha for _, sha in then] != [sha for _, sha in now]:
        shown = ["; ".join(f"{name} {sha}…" for name, sha in facts) for facts in (then, now)]
        raise UserError(
            f"guidance.readers of {run.path} are not those it was begun with (SHA-256 of their weights: {shown[0]} "
            f"then, {shown[1]} now); restore them, or start a new run",
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
