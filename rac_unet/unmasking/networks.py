"""Open the networks that `predict` uses, and run the inpainting network on many crops."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rac_unet.core.emotions import EMOTIONS, emotion_id
from rac_unet.core.errors import UserError
from rac_unet.core.registry import MODELS
from rac_unet.runtime.interface import OCCLUSION, PAINTED, VISIBLE
from rac_unet.runtime.published import PUBLISHED_NETWORK, PUBLISHED_PORTRAIT, PUBLISHED_READER
from rac_unet.runtime.runners import Runner, load_runner

# Names of published networks; `auto` chooses by the size of each face.
AUTO_MODEL, LITE, PORTRAIT = "auto", "lite", "portrait"
_BATCH = 16


@dataclass(frozen=True)
class NetworkFiles:
    """The networks that paint the faces of photos.

    Attributes:
        finder: finds the masks, and paints small faces.
        portrait: paints large faces; None if all faces are painted by `finder`.
        always: whether `portrait` paints small faces, too.
    """

    finder: Path
    portrait: Path | None = None
    always: bool = False

    @property
    def all(self) -> list[Path]:
        """The files of both."""
        return [path for path in (self.finder, self.portrait) if path]


def network_files(model: str | os.PathLike | NetworkFiles | None) -> NetworkFiles:
    """Return the networks of a model.

    Args:
        model: `auto` or None, `lite`, `portrait`, or a run directory or an export, which paints all faces. A file with
            one of these names is given as a path, such as `./lite`. `NetworkFiles` are returned as they are.
    Raises: UserError when `portrait` is requested and not in this installation.
    """
    if isinstance(model, NetworkFiles):
        return model
    name = AUTO_MODEL if model is None else os.fspath(model)
    if name == AUTO_MODEL:
        return NetworkFiles(PUBLISHED_NETWORK, PUBLISHED_PORTRAIT if PUBLISHED_PORTRAIT.is_file() else None)
    if name == LITE:
        return NetworkFiles(PUBLISHED_NETWORK)
    if name == PORTRAIT:
        if not PUBLISHED_PORTRAIT.is_file():
            raise UserError(
                f"the network {PORTRAIT!r} is not in this installation ({PUBLISHED_PORTRAIT.name} is missing); use "
                f"--model {AUTO_MODEL} or {LITE}, or name a run directory or an export of one",
                "missing",
            )
        return NetworkFiles(PUBLISHED_NETWORK, PUBLISHED_PORTRAIT, always=True)
    return NetworkFiles(Path(name))


def network_name(runner: Runner) -> str:
    """Return the name of a network for reports: `lite`, `portrait`, or the name of its file or folder."""
    names = {os.fspath(PUBLISHED_NETWORK): LITE, os.fspath(PUBLISHED_PORTRAIT): PORTRAIT}
    return names.get(runner.name) or Path(runner.name).name


def load_mask_aware(model: str | os.PathLike, threads: int | None = None) -> Runner:
    """Open a network that finds the mask itself.

    Args:
        model: a run directory or an export.
        threads: see `load_runner`.
    Raises: UserError when it is missing or damaged, or does not find masks.
    """
    path = Path(model)
    if path == PUBLISHED_NETWORK and not path.is_file():
        raise UserError(
            f"the published network is not in this installation ({path.name} is missing); name a run directory or "
            "an export of one with --model",
            "missing",
        )
    runner = load_runner(path, threads)
    missing = [name for name in (OCCLUSION, PAINTED) if name not in runner.outputs]
    if missing:
        able = " or ".join(name for name, network in MODELS.items() if network.finds_mask)
        raise UserError(
            f"{path} does not find masks (it has no output {' and '.join(missing)}); use a run of {able}, or an "
            "export of one",
            "wrong_type",
        )
    return runner


def published_reader(model: str | os.PathLike | NetworkFiles | None) -> Path | None:
    """Return the file of the published emotion reader, which belongs to the published networks; None for other models.

    Args:
        model: see `network_files`.
    """
    published = network_files(model).finder == PUBLISHED_NETWORK
    return PUBLISHED_READER if published and PUBLISHED_READER.is_file() else None


def find_masks(runner: Runner, crops: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the network's map of the mask and its reading of the emotion for each crop.

    Args:
        crops: (S, S, 3) float32 in [0, 1] each.
    Yields: (S, S) float32 in [0, 1], probability that a pixel is hidden; (7,) float32, probabilities of the emotions,
        zeros if the network does not read them.
    """
    for start in range(0, len(crops), _BATCH):
        batch = np.stack(crops[start : start + _BATCH])
        no_emotion = np.zeros((len(batch), len(EMOTIONS)), np.float32)
        outputs = runner(batch, no_emotion)
        yield from zip(outputs[OCCLUSION][..., 0], outputs.get(VISIBLE, no_emotion), strict=True)


def inpaint(runner: Runner, crops: list[np.ndarray], emotions: list[str | None]) -> list[np.ndarray]:
    """Inpaint crops, each with an emotion.

    Args:
        crops: (S, S, 3) float32 in [0, 1] each.
        emotions: a name for each crop; None for no emotion.
    Returns: (S, S, 3) float32 in [0, 1] each.
    """
    painted: list[np.ndarray] = []
    for start in range(0, len(crops), _BATCH):
        names = emotions[start : start + _BATCH]
        labels = np.zeros((len(names), len(EMOTIONS)), np.float32)
        for label, name in zip(labels, names, strict=True):
            if name is not None:
                label[emotion_id(name)] = 1
        painted += list(runner(np.stack(crops[start : start + _BATCH]), labels)[PAINTED])
    return painted
