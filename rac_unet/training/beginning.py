"""Warm start: a training that starts with another run's weights, `--init_from RUN`."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rac_unet.config import ModelConfig, from_dict, read_yaml, to_dict
from rac_unet.errors import UserError
from rac_unet.objectives.extractor_files import sha256
from rac_unet.rundir import RunDir, open_run
from rac_unet.training.readers import check_readers

if TYPE_CHECKING:
    import numpy as np

# What a run is continued with; the rest (losses, optimizer, how long) is the new training's own.
TAKEN = ("model", "data")
# What provenance.json calls the run that a run was begun from.
BEGUN_FROM = "begun_from"


def settings_of(run: Path) -> dict[str, Any]:
    """The sections `model` and `data` of a run, to be laid under a new training's own settings.

    Raises: UserError when there is no such run, or it has no weights yet.
    """
    found = open_run(run)
    values = to_dict(from_dict(read_yaml(found.config_file), str(found.config_file)))
    return {section: values[section] for section in TAKEN}


def refuse_other_network(path: str | Path, wanted: ModelConfig) -> None:
    """Raise UserError where a run's network is not the wanted one, with what differs, or it has no weights yet."""
    theirs, ours = asdict(open_run(path).config().model), asdict(wanted)
    differ = [f"model.{key}: {theirs[key]!r} there, {ours[key]!r} here" for key in ours if theirs[key] != ours[key]]
    if differ:
        raise UserError(
            f"init_from: {path} holds another network ({'; '.join(differ)}); give the run with --init_from, which "
            "takes its network, and leave these settings out, also with a preset that has none, such as sharp",
            "mismatch",
        )


def warm_start_weights(path: str, wanted: ModelConfig) -> list[np.ndarray]:
    """The best weights of a run that holds the wanted network.

    Returns: float32 arrays, as a network's `get_weights` gives them.
    Raises: UserError when they are missing, damaged, or of another network.
    """
    from rac_unet.inference.runners import load_network

    refuse_other_network(path, wanted)
    return load_network(open_run(path)).get_weights()


def warm_start_facts(path: str) -> dict[str, Any]:
    """What provenance.json says of the run that a new training starts with.

    Returns: as `describe_beginning`; `weights_sha256` of its best weights; and where emotion readers guided it, or a
        run before it, `guides`, as `check_readers` describes them.
    """
    run = RunDir(Path(path))
    try:
        guides = [{key: value for key, value in guide.items() if key != "path"} for guide in guides_of(run)]
    except UserError:
        # A classifier, which nothing guides.
        guides = []
    facts = {**describe_beginning(path), "weights_sha256": sha256(run.best_weights)}
    return facts | ({"guides": guides} if guides else {})


def guides_of(run: RunDir, above: tuple[Path, ...] = ()) -> list[dict[str, Any]]:
    """The emotion readers that guided a run, or a run that it was begun from, each once.

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
    """The run at `path` as one to begin from.

    Returns: `run`, its folder's name, and `pictures_seen`, how many training pictures it and all before it had seen
        when their trainings ended, repeats counted; None where that is not known.
    """
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
