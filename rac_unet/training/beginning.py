"""A training that goes on from another run's weights: `--init_from RUN`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rac_unet.config import ModelConfig, from_dict, read_yaml, to_dict
from rac_unet.errors import UserError
from rac_unet.rundir import RunDir, open_run

# What a run is continued with; the rest (losses, optimizer, how long) is the new training's own.
TAKEN = ("model", "data")


def settings_of(run: Path) -> dict[str, Any]:
    """The sections `model` and `data` of a run, to be laid under a new training's own settings.

    Raises: UserError when there is no such run, or it has no weights yet.
    """
    found = open_run(run)
    values = to_dict(from_dict(read_yaml(found.config_file), str(found.config_file)))
    return {section: values[section] for section in TAKEN}


def begin_with(path: str, wanted: ModelConfig, model) -> None:
    """Give a network the best weights of a run.

    Args:
        path: the run directory.
        wanted: the network's own settings.
        model: as `build_configured(wanted)` makes it.
    Raises: UserError when the run holds another network, or its weights are missing or damaged.
    """
    from rac_unet.inference.runners import load_network

    run: RunDir = open_run(Path(path))
    theirs = run.config().model
    if theirs != wanted:
        differ = [
            f"model.{key}: {value!r} there, {asdict(wanted)[key]!r} here"
            for key, value in asdict(theirs).items()
            if value != asdict(wanted)[key]
        ]
        raise UserError(f"--init_from {path} holds another network ({'; '.join(differ)}); leave these settings out")
    for variable, value in zip(model.weights, load_network(run).get_weights(), strict=True):
        variable.assign(value)
