"""Does the face show what was asked for? Every test face painted with each of the seven labels, and read again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rac_unet.data.pairs import PairSet
from rac_unet.data.pictures import Pictures
from rac_unet.data.pipeline import make_scoring_dataset
from rac_unet.emotions import EMOTIONS
from rac_unet.errors import UserError
from rac_unet.inference.runners import Runner
from rac_unet.models.classifier import Classifier
from rac_unet.scoring.emotion import confusion_matrix, counts_by_name
from rac_unet.scoring.metrics import compose
from rac_unet.scoring.reading import read_names
from rac_unet.scoring.statistics import summarise


def refuse_unlabelled(runner: Runner) -> None:
    """Raises: UserError when the network takes no label."""
    if not runner.conditioned:
        raise UserError(
            f"{runner.name} takes no emotion, so there is nothing to ask of it; leave out --control", "mismatch"
        )


def control(
    runner: Runner,
    pairs: PairSet,
    classifier: Classifier,
    batch_size: int,
    advance: Callable[[int], Any] = lambda count: None,
) -> tuple[dict[str, Any], np.ndarray]:
    """Ask for each emotion on each face; judged as composite, known pixels kept.

    Args:
        pairs: those to paint; all with truth.
        advance: called with the number of pictures of each finished batch.
    Returns: JSON-able: obeyed (share of requests, interval over people, n), by_asked (emotion -> share obeyed),
        asked_read (asked -> read -> how many), known_pixels_changed (share of the known pixels whose 8-bit value
        differs from the masked input's, in the network's own picture and in the composite, where it must be 0). And
        (N,) float64, of each picture the share of its seven requests that were obeyed.
    Raises: UserError when the network takes no label.
    """
    refuse_unlabelled(runner)
    labels = np.eye(len(EMOTIONS), dtype=np.float32)
    identities = pairs.frame["identity"].astype(str).to_numpy()
    read: dict[str, list[str]] = {name: [] for name in EMOTIONS}
    changed, known = {"raw": 0, "composite": 0}, 0
    for inputs, targets in make_scoring_dataset(pairs, Pictures(pairs, runner.image_size), batch_size):
        masked, occlusion = inputs["masked_image"].numpy(), targets["occlusion"].numpy()
        seen = occlusion[..., 0] == 0
        for name, label in zip(EMOTIONS, labels, strict=True):
            painted = np.clip(runner(masked, np.tile(label, (len(masked), 1)))["inpainted_image"], 0, 1)
            pasted = compose(masked, painted, occlusion)
            read[name] += read_names(classifier, pasted)
            for view, image in (("raw", painted), ("composite", pasted)):
                differs = (np.rint(image * 255) != np.rint(masked * 255)).any(axis=-1)
                changed[view] += int((differs & seen).sum())
            known += int(seen.sum())
        advance(len(masked))
    asked = [name for name in EMOTIONS for _ in read[name]]
    said = [name for names in read.values() for name in names]
    right = np.array([a == b for a, b in zip(asked, said, strict=True)], np.float64)
    counts = confusion_matrix(asked, said)
    report = {
        "obeyed": summarise(right, np.tile(identities, len(EMOTIONS))).as_dict(),
        "by_asked": {name: float(counts[row, row] / counts[row].sum()) for row, name in enumerate(EMOTIONS)},
        "asked_read": counts_by_name(counts),
        "known_pixels_changed": {view: count / max(known, 1) for view, count in changed.items()},
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
