"""Export a run's network and verify it in a fresh process before it is renamed into place.

A new Python process that cannot import `rac_unet` loads the export with the same lines that are printed for the user,
and its outputs are compared with those of the run's own network. An export that fails the check is removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rac_unet.core.errors import UserError, one_line
from rac_unet.core.files.whole import placed
from rac_unet.core.registry import check_name
from rac_unet.core.rundir import RunDir
from rac_unet.exporting.agreement import (
    Agreement,
    Batches,
    measure,
    random_batches,
    real_batches,
    run_batches,
)
from rac_unet.exporting.formats import FORMATS, Format
from rac_unet.exporting.fresh_process import run_fresh
from rac_unet.exporting.sample_pictures import UNLABELLED, calibration_pictures, read_pictures
from rac_unet.runtime.interface import EMOTION, IMAGE
from rac_unet.runtime.keras_forms import open_model
from rac_unet.runtime.run_weights import load_network, weights_file
from rac_unet.runtime.runners import disk_bytes

if TYPE_CHECKING:
    from rac_unet.data.pairs import PairSet

CHECKED, CALIBRATED = 16, 100


@dataclass(frozen=True)
class Exported:
    """A verified export.

    Attributes:
        format: its name in `FORMATS`.
        path: file or folder.
        size: bytes of all its files.
        inputs, outputs: name -> shape, None for a variable batch size.
        agreement: comparison with the run's network.
        allowed: the requirement of the format, in words.
        real: whether validation images were compared, not only noise.
        lines: Python lines that load and run it.
    """

    format: str
    path: Path
    size: int
    inputs: dict[str, tuple]
    outputs: dict[str, tuple]
    agreement: Agreement
    allowed: str
    real: bool
    lines: list[str]


def plan_output(run: RunDir, format: str, output: Path | None = None, overwrite: bool = False) -> Path:
    """Return the path of an export; without TensorFlow, so that errors are reported at once.

    Raises: UserError when the path exists and `overwrite` is not set or it is not an older export; when a package is
        missing that the format needs.
    """
    check_name("--format", format, FORMATS)
    form = FORMATS[format]
    path = Path(output) if output else run.export() / form.file_name.format(model=run.config().model.name)
    if form.ending and path.suffix != form.ending:
        raise UserError(
            f"--output {path}: the name of a {format} export must end in {form.ending}, or no program will load it",
            "bad_value",
        )
    form.check_installed()
    if not path.exists():
        return path
    if not overwrite:
        raise UserError(f"{path} exists already; give --overwrite to replace it, or another --output", "exists")
    if not form.is_older_export(path):
        raise UserError(
            f"{path} is not an older export of format {format}; --overwrite replaces nothing else", "exists"
        )
    return path


def export_network(
    run: RunDir,
    format: str,
    output: Path | None = None,
    weights: str = "best",
    overwrite: bool = False,
    pairs: PairSet | None = None,
    calibrated: int = CALIBRATED,
    allow_loss: bool = False,
) -> Exported:
    """Export a run's network and check it in a fresh process.

    Args:
        format: a name from `FORMATS`.
        output: file or folder to write; by default in the run's export folder.
        weights: `best` or `last`.
        overwrite: replace an older export of that name, after the new one has passed its check.
        pairs: data set whose training images calibrate int8, and whose validation images are used in the check of
            every format; without it, formats that need no calibration are checked with noise.
        calibrated: number of training images for calibration.
        allow_loss: keep an export below its format's `least_psnr`; float32 formats are always checked.
    Raises: UserError when the output exists, the weights are damaged, a data set is missing, the export cannot be
        written, or its check fails; nothing is then written, and an older export is unchanged.
    """
    path = plan_output(run, format, output, overwrite)
    weights_file(run, weights)
    form = FORMATS[format]
    if form.calibrated and pairs is None:
        raise UserError(f"{format} is calibrated on training pictures; give a pairs data set with --data D", "usage")
    model = load_network(run, weights)
    inputs = {name: tuple(tensor.shape) for name, tensor in model.input.items()}
    batches, calibration = _pictures(form, inputs, pairs, calibrated)
    expected = run_batches(open_model(model).call, batches)
    with placed(path) as temporary:
        try:
            form.write(model, temporary, *calibration)
        except UserError:
            raise
        except Exception as error:  # a full disk raises OSError, RuntimeError or tf.errors.OpError in different writers
            raise UserError(
                f"cannot write {path} ({one_line(error)}); check permissions and free space", "unwritable"
            ) from error
        try:
            agreement = measure(expected, run_fresh(form.loading_lines(temporary, inputs), batches))
            allowed = check_agreement(form, agreement, allow_loss)
        except UserError as error:
            raise UserError(f"the export failed its check and was removed: {error}", "failed_check") from None
        size = disk_bytes(temporary)
    first = 1 if form.one_by_one else None
    shapes = [{name: (first, *t.shape[1:]) for name, t in side.items()} for side in (model.input, model.output)]
    return Exported(
        format, path, size, *shapes, agreement, allowed, pairs is not None, form.loading_lines(path, inputs)
    )


def check_agreement(form: Format, agreement: Agreement, allow_loss: bool = False) -> str:
    """Return the format's requirement in words; raise UserError if the agreement does not meet it."""
    if form.tolerance is not None:
        worst, allowed = max(agreement.largest_of.values()), form.tolerance * agreement.scale
        if worst > allowed:
            raise UserError(
                f"its outputs differ from the run's by up to {worst:.2g}; the limit is {allowed:.2g}", "failed_check"
            )
        return f"allowed {allowed:.2g}"
    name = min(agreement.psnr_of, key=agreement.psnr_of.get)
    if agreement.psnr_of[name] < form.least_psnr and not allow_loss:
        raise UserError(
            f"its {name} has {agreement.psnr_of[name]:.1f} dB PSNR against the run's, less than {form.least_psnr:g}; "
            "use another format, calibrate on more pictures, or keep it with --allow_loss",
            "failed_check",
        )
    return f"required {form.least_psnr:g} dB" + (", or less" if allow_loss else "")


def _pictures(form: Format, inputs: dict[str, tuple], pairs: PairSet | None, calibrated: int) -> tuple[Batches, list]:
    """Return the batches for the check, and further arguments of the writer: calibration images, or none."""
    noise = random_batches(inputs, form.one_by_one)
    if pairs is None:
        return noise, []
    size = inputs[IMAGE][1]
    split = "val" if (pairs.frame["split"] == "val").any() else "train"
    pictures = read_pictures(pairs, split, CHECKED, size)
    pictures[EMOTION][UNLABELLED - 1 :: UNLABELLED] = 0
    real = real_batches(pictures, inputs, form.one_by_one)
    # Noise is far from the images that int8 was calibrated on and says nothing about its quality.
    batches = real if form.tolerance is None else noise + real
    return batches, [calibration_pictures(pairs, calibrated, size)] if form.calibrated else []
