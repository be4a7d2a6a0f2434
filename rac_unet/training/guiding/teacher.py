"""The teacher of a guided training: a trained network whose painting of other emotions the network keeps to.

A network for large faces has few photographs of most emotions. The one for small faces has learned their shapes from
many, so it shows the shape (knowledge distillation, Hinton et al. 2015, arXiv:1503.02531), and the discriminators and
the pictures with their own label add the detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rac_unet.core.config import ModelConfig, RunConfig
from rac_unet.core.errors import UserError
from rac_unet.core.files.hashing import file_digest
from rac_unet.core.rundir import RunDir
from rac_unet.runtime.published import open_network


@dataclass(frozen=True)
class Teacher:
    """A frozen inpainting network; made by `load_teacher`.

    Attributes:
        name: name of its run directory or file.
        model: keras.Model with the inputs and outputs of `rac_unet.models.build`.
        image_size: side in pixels of its images; the network's is the same or a whole multiple.
    """

    name: str
    model: Any
    image_size: int

    def paint(self, inputs):
        """Paint a batch, enlarged to the size of its images; no gradient passes.

        Args:
            inputs: `masked_image` (B, S, S, 3) float32 in [0, 1] and `emotion` (B, 7).
        Returns: (B, S, S, 3) float32 in [0, 1].
        """
        import tensorflow as tf

        image = inputs["masked_image"]
        side = image.shape[1]
        factor = side // self.image_size
        if factor > 1:
            image = tf.nn.avg_pool2d(image, factor, factor, "VALID")
        painted = self.model({"masked_image": image, "emotion": inputs["emotion"]}, training=False)["inpainted_image"]
        painted = tf.cast(painted, tf.float32)
        return tf.stop_gradient(tf.image.resize(painted, (side, side)) if factor > 1 else painted)


def teacher_run(path: str) -> RunDir:
    """Return the run of a teacher.

    Args:
        path: a run directory, a .weights.h5 file or `published`.
    Raises: UserError when there is no trained inpainting network.
    """
    try:
        return open_network(path)
    except UserError as error:
        raise UserError(f"guidance.teacher: {error}", error.kind) from error


def check_teacher(config: RunConfig) -> dict[str, Any]:
    """Check the teacher without TensorFlow, and return its entry for provenance.json; empty without a teacher.

    Returns: `run`, the name of its folder or file, and `weights_sha256`.
    Raises: UserError when it is missing, takes no emotion, or its pictures do not fit the network's.
    """
    path = config.guidance.teacher
    if not path:
        return {}
    run = teacher_run(path)
    _refuse_unfit(path, run.config().model, config.model)
    return {"run": Path(path).name, "weights_sha256": file_digest(run.best_weights)}


def _refuse_unfit(path: str, theirs: ModelConfig, ours: ModelConfig) -> None:
    if not theirs.conditioned:
        raise UserError(f"guidance.teacher: {path} takes no emotion; name a conditioned network", "mismatch")
    if ours.image_size % theirs.image_size:
        raise UserError(
            f"guidance.teacher: {path} paints {theirs.image_size} px, and model.image_size {ours.image_size} is not a "
            "multiple of it",
            "mismatch",
        )


def load_teacher(config: RunConfig, strategy) -> Teacher | None:
    """Load the teacher of a config, with a copy of its weights on every device; None without a teacher.

    Args:
        config: config of the run, as checked by `check_teacher`.
        strategy: the run's `tf.distribute.Strategy`.
    """
    path = config.guidance.teacher
    if not path:
        return None
    from rac_unet.runtime.runners import load_network

    run = teacher_run(path)
    with strategy.scope():
        model = load_network(run)
    model.trainable = False
    return Teacher(Path(path).name, model, run.config().model.image_size)
