"""The run directory: names of its files, and atomic creation, opening and copying.

config.yaml       resolved settings; written before the first step. That of an emotion classifier has the entry kind
provenance.json   command, commit, versions, device, data set
history.csv       a row per validation
log.txt           the command's output
checkpoints/      last.weights.h5, best.weights.h5 (lowest validation loss)
backup/           state for --resume; two generations
samples/          the same validation faces after each epoch
eval/<split>/     scores.csv, metrics.json, pictures
export/           models for use elsewhere
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rac_unet.core.config import RunConfig, from_dict, read_yaml, write_yaml
from rac_unet.core.errors import UserError, own_version
from rac_unet.core.files.unfinished import remove_unfinished
from rac_unet.core.files.whole import new_folder, write_text

WEIGHTS_ENDING = ".weights.h5"
# Values of `kind` in config.yaml (default: network), and their descriptions in messages.
NETWORK, CLASSIFIER = "network", "classifier"
_KINDS = {NETWORK: "a network that paints faces", CLASSIFIER: "an emotion classifier"}


@dataclass(frozen=True)
class RunDir:
    """Paths of one run; use `create` or `open_run` rather than the constructor."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def provenance_file(self) -> Path:
        return self.path / "provenance.json"

    @property
    def history_file(self) -> Path:
        return self.path / "history.csv"

    @property
    def log_file(self) -> Path:
        return self.path / "log.txt"

    @property
    def best_weights(self) -> Path:
        return self.path / "checkpoints" / "best.weights.h5"

    @property
    def last_weights(self) -> Path:
        return self.path / "checkpoints" / "last.weights.h5"

    @property
    def backup(self) -> Path:
        return self.path / "backup"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    def sample_sheet(self, epoch: float) -> Path:
        """Sample sheet after this number of epochs (1 or 0.25)."""
        name = f"{epoch:06.2f}".replace(".", "_") if epoch % 1 else f"{int(epoch):03d}"
        return self.path / "samples" / f"epoch_{name}.png"

    def evaluation(self, split: str) -> Path:
        """Folder of scores.csv, metrics.json and pictures of a split."""
        return self.path / "eval" / split

    def export(self) -> Path:
        """Folder of exported models."""
        return self.path / "export"

    def config(self) -> RunConfig:
        """The validated config of a network that paints."""
        values = read_yaml(self.config_file)
        _check_kind(self, values, NETWORK)
        if isinstance(values, dict):
            values.pop("kind", None)
        try:
            return from_dict(values, str(self.config_file))
        except UserError as error:
            made, here = self.provenance().get("versions", {}).get("rac_unet"), own_version()
            if made in (None, here):
                raise
            raise UserError(f"{error} The run was made by rac_unet {made}, and this is {here}", error.kind) from None

    def provenance(self) -> dict[str, Any]:
        """Return the content of provenance.json; empty when it is missing or damaged."""
        try:
            return json.loads(self.provenance_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def imported(self) -> dict[str, Any] | None:
        """Return provenance.json's entry on the file this run was imported from; None for a run that was trained."""
        return self.provenance().get("imported")

    def history(self) -> list[dict[str, float]]:
        """Return the rows of history.csv; empty when it does not exist. A row has no entries for empty cells."""
        try:
            with self.history_file.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        except FileNotFoundError:
            return []
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{self.history_file} is damaged ({error}); copy it again", "unreadable") from None
        return [self._numbers(number, row) for number, row in enumerate(rows, 1)]

    def _numbers(self, number: int, row: dict[str, str]) -> dict[str, float]:
        try:
            # The reader gives None for missing cells of a row, and a list for surplus ones.
            return {key: float(value) for key, value in row.items() if value != ""}
        except (TypeError, ValueError):
            raise UserError(
                f"{self.history_file} is damaged: row {number} is incomplete; copy it again, or remove that row",
                "unreadable",
            ) from None

    def write_history(self, rows: list[dict[str, float]]) -> None:
        """Replace history.csv.

        Args:
            rows: may differ in their columns, since another version of rac_unet may have written the first ones; the
                file gets all columns, with empty cells where a row has none.
        """
        text = io.StringIO()
        columns = dict.fromkeys(column for row in rows for column in row)
        writer = csv.DictWriter(text, fieldnames=list(columns) or ["step"], lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.10g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
        write_text(self.history_file, text.getvalue())


@dataclass(frozen=True)
class WeightsFile(RunDir):
    """A .weights.h5 file with the config.yaml of its network next to it, read like a run; made by `open_weights`.

    Attributes:
        file: the weights; `path` is its folder.
    """

    file: Path

    @property
    def best_weights(self) -> Path:
        return self.file

    @property
    def last_weights(self) -> Path:
        return self.file


def create(parent: Path, preset: str, config: RunConfig, provenance: dict[str, Any]) -> RunDir:
    """Create `<parent>/<YYYYMMDD-HHMMSS>-<preset>` with config.yaml and provenance.json."""
    return create_from_text(parent, preset, write_yaml(config), provenance)


def create_from_text(parent: Path, name: str, config_text: str, provenance: dict[str, Any]) -> RunDir:
    """Create a run directory with the given text as its config.yaml; see `create`."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(100):
        path = Path(parent) / (f"{stamp}-{name}" + (f"-{attempt + 1}" if attempt else ""))
        try:
            path.mkdir(parents=True)
            break
        except FileExistsError:
            if not path.is_dir():
                raise UserError(f"cannot make a run directory in {parent}: it is not a folder", "wrong_type") from None
        except NotADirectoryError:
            raise UserError(f"cannot make a run directory in {parent}: it is not a folder", "wrong_type") from None
    run = RunDir(path)
    # config.yaml is written last, since it makes the folder a run directory, which then has its provenance.
    write_text(run.provenance_file, json.dumps(provenance, indent=2) + "\n")
    write_text(run.config_file, config_text)
    return run


def check_output(folder: Path) -> None:
    """Raise UserError if an output folder cannot be created; call it before slow work."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
    if not nearest.is_dir():
        where = "" if nearest == folder else f", since {nearest} is a file"
        raise UserError(f"--output {folder} cannot be a folder{where}; give another", "wrong_type")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"nothing can be written in {nearest}; give another folder with --output", "unwritable")


@contextlib.contextmanager
def new_run(path: str | os.PathLike, config_text: str, provenance: dict[str, Any]) -> Iterator[RunDir]:
    """Create a run directory at `path` atomically when the block succeeds; nothing remains after an error.

    Args:
        config_text: content of config.yaml.
        provenance: content of provenance.json.
    Yields: the RunDir to fill, under a temporary name.
    Raises: UserError when `path` exists already, or its parent is not a folder.
    """
    with new_folder(path) as temporary:
        run = RunDir(temporary)
        write_text(run.config_file, config_text)
        write_text(run.provenance_file, json.dumps(provenance, indent=2) + "\n")
        yield run


def copy_run(path: Path, target: Path) -> None:
    """Copy a run directory atomically; the copy is writable even if the original is not.

    Raises: UserError when `target` exists already.
    """
    with new_folder(target) as temporary:
        # copyfile copies contents without modes, so that files are writable; folders keep their modes.
        shutil.copytree(path, temporary, copy_function=shutil.copyfile, dirs_exist_ok=True)
        for folder in (temporary, *(entry for entry in temporary.rglob("*") if entry.is_dir())):
            folder.chmod(folder.stat().st_mode | 0o700)


def open_run(path: str | os.PathLike, need_weights: bool = True, kind: str = NETWORK) -> RunDir:
    """Open an existing run directory.

    Args:
        kind: expected content, `NETWORK` or `CLASSIFIER`.
    Raises: UserError when it is not a run directory, has other content, or lacks weights that are needed.
    """
    run = RunDir(Path(path))
    if run.path.exists() and not run.path.is_dir():
        inside = next((folder for folder in run.path.parents if (folder / "config.yaml").is_file()), None)
        hint = f"this file is in {inside}" if inside else "the one that train printed, with config.yaml in it"
        raise UserError(f"{run.path} is a file; give the folder of a run: {hint}", "wrong_type")
    if not run.path.is_dir():
        others = any(run.path.parent.glob("*/config.yaml"))
        hint = f"; see the folders in {run.path.parent}" if others else "; train makes one under runs/"
        raise UserError(f"no run directory at {run.path}{hint}", "missing")
    if not run.config_file.is_file():
        hint = "one of the folders in it" if any(run.path.glob("*/config.yaml")) else "the folder that train printed"
        raise UserError(f"{run.path} is not a run directory: it has no config.yaml; give {hint}", "wrong_type")
    _check_kind(run, read_yaml(run.config_file), kind)
    if need_weights and not run.best_weights.is_file():
        raise UserError(
            f"{run.path} has no trained weights yet ({run.best_weights.name}); finish one epoch, or --resume it",
            "missing",
        )
    return run


def open_weights(file: str | os.PathLike) -> WeightsFile:
    """Open a .weights.h5 file of a network; its content is not read.

    Raises: UserError when the file does not exist, or has no config.yaml of an inpainting network next to it.
    """
    file = Path(file)
    if not file.is_file():
        raise UserError(f"{file} does not exist; give a {WEIGHTS_ENDING} file or a run directory", "missing")
    found = WeightsFile(file.parent, file)
    if not found.config_file.is_file():
        if (file.parent.parent / "config.yaml").is_file():
            raise UserError(f"{file} is in {file.parent.parent}; give that run directory", "wrong_type")
        raise UserError(
            f"{file} has no config.yaml next to it, which says what network the weights belong to; copy that of its "
            "run there",
            "missing",
        )
    _check_kind(found, read_yaml(found.config_file), NETWORK)
    return found


def _check_kind(run: RunDir, values: Any, wanted: str) -> None:
    found = values.get("kind", NETWORK) if isinstance(values, dict) else NETWORK
    if found not in list(_KINDS):
        raise UserError(f"{run.config_file}: kind: expected {' or '.join(_KINDS)}. Received: {found!r}", "unknown_name")
    if found != wanted:
        raise UserError(
            f"{run.path} is the run of {_KINDS[found]}; give the run directory of {_KINDS[wanted]}", "wrong_type"
        )


def remove_unfinished_of(run: RunDir) -> None:
    """Call `remove_unfinished` in every folder of a run, which no other process may be using."""
    for folder, _, _ in os.walk(run.path):
        remove_unfinished(Path(folder))
