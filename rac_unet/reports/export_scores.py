"""Compare a run's exports: size, time, and difference of their outputs from those of the run's own network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rac_unet.core.errors import UserError
from rac_unet.exporting.agreement import measure, real_batches, run_batches
from rac_unet.exporting.formats import FORMATS
from rac_unet.exporting.fresh_process import run_fresh
from rac_unet.exporting.write_and_verify import check_agreement
from rac_unet.runtime.interface import OUTPUT
from rac_unet.runtime.keras_forms import open_model
from rac_unet.scoring.metric_table import BY_NAME, NETWORK
from rac_unet.scoring.metrics import compose, is_masked, psnr

BUSY = "The machine was busy: its rate changed by more than 10 %, so the times are not valid."
# column, heading, digits after the point (None: two significant ones)
_COLUMNS = (
    ("megabytes", "MB", 2),
    ("ms_one_thread", "ms, 1 thread (least)", 2),
    ("ms_all_threads", "ms, {threads} threads (least)", 2),
    ("largest_difference", "largest difference", None),
    ("mean_difference", "mean difference", None),
    ("psnr_to_network", "PSNR to the network dB", 1),
    ("psnr_composite", BY_NAME["psnr_composite"].arrow, BY_NAME["psnr_composite"].digits),
    ("psnr_composite_change", "change dB", 2),
)


def score_exports(model, exports: dict[str, Path], pictures: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Score every export on the same pictures, each in a new process without `rac_unet`.

    Args:
        model: the run's network, keras.Model.
        exports: format -> file or folder.
        pictures: of `rac_unet.exporting.sample_pictures.read_pictures`.
    Returns: a row for the network itself and one per export: `format`; `largest_difference` and `mean_difference` of
        `inpainted_image`; `psnr_to_network` and the lowest PSNR of any output image (`psnr_of_worst_output`), dB;
        `psnr_composite`, mean over pictures with hidden pixels, dB; and its difference from the network's.
    Raises: UserError when an export does not run or is not of this network.
    """
    inputs = {name: tuple(tensor.shape) for name, tensor in model.input.items()}
    call, hidden = open_model(model).call, is_masked(pictures["occlusion"])
    if not hidden.any():
        raise UserError("none of the pictures shows a mask; give other pairs with --data D", "empty")

    def composite(received) -> float:
        image = np.clip(np.concatenate([batch[OUTPUT] for batch in received]), 0, 1)
        truth = pictures["unmasked_image"]
        return float(psnr(truth, compose(truth, image, pictures["occlusion"]))[hidden].mean())

    together = run_batches(call, real_batches(pictures, inputs))
    best = composite(together)
    rows = [{"format": NETWORK, "psnr_composite": best}]
    singles = [
        {name: value[i : i + 1] for name, value in batch.items()}
        for batch in together
        for i in range(len(batch[OUTPUT]))
    ]
    for name, path in exports.items():
        form = FORMATS[name]
        try:
            received = run_fresh(
                form.loading_lines(path.absolute(), inputs), real_batches(pictures, inputs, form.one_by_one)
            )
            agreement = measure(singles if form.one_by_one else together, received)
            # The loss of a coarser format was accepted when it was exported.
            check_agreement(form, agreement, allow_loss=True)
        except UserError as error:
            raise UserError(
                f"{path}: {error}; it is damaged, or was not exported from these weights: export it again",
                "failed_check",
            ) from None
        own = composite(received)
        rows.append(
            {
                "format": name,
                "largest_difference": agreement.largest,
                "mean_difference": agreement.mean,
                "psnr_to_network": agreement.psnr,
                "psnr_of_worst_output": min(agreement.psnr_of.values()),
                "psnr_composite": own,
                "psnr_composite_change": own - best,
            }
        )
    return rows


def exports_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the table of exports.csv, with its columns always in the same order."""
    order = (
        "format",
        "file",
        "megabytes",
        "ms_one_thread",
        "ms_one_thread_least",
        "ms_all_threads",
        "ms_all_threads_least",
        "largest_difference",
        "mean_difference",
        "psnr_to_network",
        "psnr_of_worst_output",
        "psnr_composite",
        "psnr_composite_change",
    )
    return pd.DataFrame(rows).reindex(columns=order)


def exports_page(table: pd.DataFrame, facts: dict[str, Any]) -> str:
    """Return exports.md: a Markdown table, and below it the pictures and the machine that were used.

    Args:
        table: of `exports_table`.
        facts: content of exports.json.
    """
    columns = [column for column in _COLUMNS if table[column[0]].notna().any()]
    headings = ["format", *(heading.format(threads=facts["threads"]) for _, heading, _ in columns)]
    lines = [f"| {' | '.join(headings)} |", "| --- |" + " ---: |" * len(columns)]
    for _, row in table.iterrows():
        cells = [_cell(row, name, digits) for name, _, digits in columns]
        lines.append(f"| {' | '.join([row['format'], *cells])} |")
    rates, masked = facts["machine_gflops"], facts["masked_pictures"]
    bare = f"; composite PSNR is of the {masked} with a mask" if masked < facts["pictures"] else ""
    speed = "; ".join(
        f"{threads} thread{'s' * (int(threads) > 1)} {before:.0f} GFLOP/s before, {after:.0f} after"
        for threads, (before, after) in rates.items()
    )
    lines += [
        "",
        f"{facts['pictures']} pictures of split {facts['split']}, {facts['image_size']} px, "
        f"{100 * facts['hidden_share']:.1f} % hidden{bare}. Differences and PSNR are of {OUTPUT} against the run's own "
        "network; every export was run in a new process without rac_unet. Times are per picture, median and "
        f"least of up to {facts['repeats']} repeats, on {facts['device']}; float32 matrix product on {speed}."
        + ("" if facts["steady"] else f" **{BUSY}**"),
    ]
    return "\n".join(lines) + "\n"


def _cell(row: pd.Series, name: str, digits: int | None) -> str:
    value = row[name]
    if pd.isna(value):
        return "–"
    if name.endswith("_change"):
        # Adding 0.0 avoids "-0.00".
        return f"{round(value, digits) + 0.0:+.{digits}f}"
    text = f"{value:.2g}" if digits is None else f"{value:.{digits}f}"
    least = row.get(f"{name}_least")
    return text if least is None or pd.isna(least) else f"{text} ({least:.{digits}f})"
