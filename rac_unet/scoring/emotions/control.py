"""Control accuracy: the share of requested emotions that a judge reads in the inpainted faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.runtime.classifier import Classifier
from rac_unet.runtime.runners import Runner
from rac_unet.scoring.emotions.accuracy import confusion_matrix, counts_by_name
from rac_unet.scoring.emotions.face_reading import read_names
from rac_unet.scoring.emotions.requests import Request
from rac_unet.scoring.metric_table import CONTROL_ACCURACY
from rac_unet.scoring.statistics import summarise


def refuse_unlabelled(runner: Runner) -> None:
    """Raise UserError when the network is not conditioned."""
    if not runner.conditioned:
        raise UserError(
            f"{runner.name} has no emotion input, so control accuracy cannot be measured; omit --control", "mismatch"
        )


class ControlScores:
    """Control accuracy of composites, by each of several judges.

    Args:
        judges: at least one.
        identities: (N,) the person in each of the faces that will be added.
    """

    def __init__(self, judges: Sequence[Classifier], identities: np.ndarray):
        self._judges, self._identities = judges, identities
        self._read: list[dict[str, list[str]]] = [{name: [] for name in EMOTIONS} for _ in judges]
        self._changed, self._known = {"raw": 0, "composite": 0}, 0

    def add(self, request: Request) -> None:
        """Judge a batch of faces inpainted with one label; batches must come in the order of the faces."""
        for judge, read in zip(self._judges, self._read, strict=True):
            read[request.emotion] += read_names(judge, request.composite)
        known = request.occlusion[..., 0] == 0
        for view, image in (("raw", request.painted), ("composite", request.composite)):
            differs = (np.rint(image * 255) != np.rint(request.masked * 255)).any(axis=-1)
            self._changed[view] += int((differs & known).sum())
        self._known += int(known.sum())

    def results(self) -> list[tuple[dict[str, Any], np.ndarray]]:
        """Return for each judge a JSON-able report, and the control accuracy of each face, (N,) float64 in [0, 1].

        The report: CONTROL_ACCURACY (mean, interval over people, n), by_asked (requested emotion -> its control
        accuracy), asked_read (requested -> read -> count), known_pixels_changed (share of the known pixels whose 8-bit
        value differs from the masked input, raw and in the composite, where it must be 0).
        """
        changed = {view: count / max(self._known, 1) for view, count in self._changed.items()}
        return [self._result(read, changed) for read in self._read]

    def _result(self, read: dict[str, list[str]], changed: dict[str, float]) -> tuple[dict[str, Any], np.ndarray]:
        requested = [name for name in EMOTIONS for _ in read[name]]
        found = [name for names in read.values() for name in names]
        correct = np.array([a == b for a, b in zip(requested, found, strict=True)], np.float64)
        counts = confusion_matrix(requested, found)
        report = {
            CONTROL_ACCURACY: summarise(correct, np.tile(self._identities, len(EMOTIONS))).as_dict(),
            "by_asked": {name: float(counts[row, row] / counts[row].sum()) for row, name in enumerate(EMOTIONS)},
            "asked_read": counts_by_name(counts),
            "known_pixels_changed": changed,
        }
        return report, correct.reshape(len(EMOTIONS), -1).mean(axis=0)


def describe_control(result: dict[str, Any]) -> str:
    """Format a report of `ControlScores`: the confusion matrix of requested and read emotions, and the accuracy."""
    width = len("requested | read")
    lines = [f"{'requested | read':>{width}}  " + "".join(f"{name[:8]:>10}" for name in EMOTIONS) + f"{'accuracy':>10}"]
    for name in EMOTIONS:
        cells = "".join(f"{result['asked_read'][name][other]:>10,}" for other in EMOTIONS)
        lines.append(f"{name:>{width}}  {cells}{100 * result['by_asked'][name]:>8.1f} %")
    accuracy, changed = result[CONTROL_ACCURACY], result["known_pixels_changed"]
    lines.append(
        f"control accuracy {100 * accuracy['mean']:.1f} % [{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}] "
        f"of {accuracy['n']:,} requests (chance {100 / len(EMOTIONS):.1f} %); known pixels changed: "
        f"{100 * changed['raw']:.1f} % raw, {100 * changed['composite']:.1f} % in the composite"
    )
    return "\n".join(lines)
