"""Does the face show what was asked for? Every test face painted with each of the seven labels, and read again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.runtime.classifier import Classifier
from rac_unet.runtime.runners import Runner
from rac_unet.scoring.emotions.accuracy import confusion_matrix, counts_by_name
from rac_unet.scoring.emotions.reading import read_names
from rac_unet.scoring.emotions.requests import Request
from rac_unet.scoring.statistics import summarise


def refuse_unlabelled(runner: Runner) -> None:
    """Raises: UserError when the network takes no label."""
    if not runner.conditioned:
        raise UserError(
            f"{runner.name} takes no emotion, so there is nothing to ask of it; leave out --control", "mismatch"
        )


class ControlScores:
    """Control accuracy by each of several judges, of composites: known pixels kept.

    Args:
        judges: one or more.
        identities: (N,) who is shown in each of the faces that will be added.
    """

    def __init__(self, judges: Sequence[Classifier], identities: np.ndarray):
        self._judges, self._identities = judges, identities
        self._read: list[dict[str, list[str]]] = [{name: [] for name in EMOTIONS} for _ in judges]
        self._changed, self._known = {"raw": 0, "composite": 0}, 0

    def add(self, request: Request) -> None:
        """Count a batch, painted with one label; batches come in the order of the faces."""
        for judge, read in zip(self._judges, self._read, strict=True):
            read[request.emotion] += read_names(judge, request.composite)
        seen = request.occlusion[..., 0] == 0
        for view, image in (("raw", request.painted), ("composite", request.composite)):
            differs = (np.rint(image * 255) != np.rint(request.masked * 255)).any(axis=-1)
            self._changed[view] += int((differs & seen).sum())
        self._known += int(seen.sum())

    def results(self) -> list[tuple[dict[str, Any], np.ndarray]]:
        """For each judge a JSON-able report, and (N,) float64, of each picture the share of its seven requests obeyed.

        The report: obeyed (share of requests, which is the mean of the seven; interval over people, n), by_asked
        (emotion -> share obeyed), asked_read (asked -> read -> how many), known_pixels_changed (share of the known
        pixels whose 8-bit value differs from the masked input's, in the network's own picture and in the composite,
        where it must be 0).
        """
        changed = {view: count / max(self._known, 1) for view, count in self._changed.items()}
        return [self._result(read, changed) for read in self._read]

    def _result(self, read: dict[str, list[str]], changed: dict[str, float]) -> tuple[dict[str, Any], np.ndarray]:
        asked = [name for name in EMOTIONS for _ in read[name]]
        said = [name for names in read.values() for name in names]
        right = np.array([a == b for a, b in zip(asked, said, strict=True)], np.float64)
        counts = confusion_matrix(asked, said)
        report = {
            "obeyed": summarise(right, np.tile(self._identities, len(EMOTIONS))).as_dict(),
            "by_asked": {name: float(counts[row, row] / counts[row].sum()) for row, name in enumerate(EMOTIONS)},
            "asked_read": counts_by_name(counts),
            "known_pixels_changed": changed,
        }
        return report, right.reshape(len(EMOTIONS), -1).mean(axis=0)


def describe_control(result: dict[str, Any]) -> str:
    """The matrix as text: a row for each emotion asked for."""
    width = max(map(len, EMOTIONS))
    lines = [f"{'asked | read':>{width}}  " + "".join(f"{name[:8]:>10}" for name in EMOTIONS) + f"{'obeyed':>10}"]
    for name in EMOTIONS:
        cells = "".join(f"{result['asked_read'][name][other]:>10,}" for other in EMOTIONS)
        lines.append(f"{name:>{width}}  {cells}{100 * result['by_asked'][name]:>8.1f} %")
    obeyed, changed = result["obeyed"], result["known_pixels_changed"]
    lines.append(
        f"obeyed {100 * obeyed['mean']:.1f} % [{100 * obeyed['low']:.1f}, {100 * obeyed['high']:.1f}] of "
        f"{obeyed['n']:,} requests (chance {100 / len(EMOTIONS):.1f} %); known pixels changed: "
        f"{100 * changed['raw']:.1f} % in its own picture, {100 * changed['composite']:.1f} % in the composite"
    )
    return "\n".join(lines)
