"""Keep the outputs of executed notebooks in their files, small and without traces of the machine that ran them.

    RAC_UNET_KEEP_OUTPUTS=1 python -m pytest -m kernels tests/kaggle_kernels

A notebook that is run twice, as `train` is, keeps the outputs of its first run.
"""

from __future__ import annotations

import base64
import io
import json
import re
import tempfile
from pathlib import Path

import nbformat
from PIL import Image

VARIABLE = "RAC_UNET_KEEP_OUTPUTS"
# Bytes of a notebook with its outputs.
LARGEST = 200_000
# Widths in pixels to which pictures are reduced, until a notebook is small enough.
_WIDTHS = (720, 560, 440, 320, 240)
# Lines kept at the start and at the end of a long text.
_LINES = 20
# The name of a run directory starts with the time; kept outputs get one that never changes.
_TIME, _ANY_TIME = re.compile(r"\b\d{8}-\d{6}(?=-)"), "20260101-120000"
# Lines about the machine: versions, processors, TensorFlow's messages about devices, the wheels of the installation.
_MACHINE = re.compile(
    r"^(Python \d|\d+ processors|warning: .* not tested$|installed$|  \S+\.whl$|device |[IWE]\d{4} |WARNING: All log)"
)


def keep_outputs(file: Path, executed: nbformat.NotebookNode, places: dict[str, str]) -> None:
    """Write the outputs of an executed copy of a notebook into its file.

    Args:
        file: the notebook; its cells are found in the copy by their ids.
        executed: the copy, which may have more cells.
        places: folder of the simulated machine -> the path it stands for, longest first.
    """
    notebook = json.loads(file.read_text(encoding="utf-8"))
    outputs = {cell.id: cell.outputs for cell in executed.cells if cell.cell_type == "code"}
    for width in _WIDTHS:
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = kept(outputs.get(cell["id"], []), places, width)
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        if len(text.encode()) <= LARGEST:
            break
    file.write_text(text, encoding="utf-8")


def kept(outputs: list, places: dict[str, str], width: int) -> list[dict]:
    """Return what is kept of a cell's outputs: texts in order, tables, and pictures of at most `width` pixels."""
    found: list[dict] = []
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] == "stdout":
            if found and found[-1]["output_type"] == "stream":
                found[-1]["text"] += output["text"]
            else:
                found.append({"output_type": "stream", "name": "stdout", "text": output["text"]})
        elif output["output_type"] in ("display_data", "execute_result"):
            data = output["data"]
            picture = next((data[kind] for kind in ("image/png", "image/jpeg") if kind in data), None)
            shown = {kind: data[kind] for kind in ("text/html", "text/markdown") if kind in data}
            shown = _small(picture, width) if picture else shown
            plain = "<picture>" if picture else data.get("text/plain", "")
            found.append({"output_type": "display_data", "metadata": {}, "data": {**shown, "text/plain": plain}})
    for output in found:
        if output["output_type"] == "stream":
            output["text"] = _text(output["text"], places)
        else:
            texts = {kind: _text(value, places) for kind, value in output["data"].items() if kind.startswith("text/")}
            output["data"] |= texts
    return [output for output in found if output["output_type"] != "stream" or output["text"]]


def _text(text: str | list[str], places: dict[str, str]) -> list[str]:
    """Return a text's lines without paths, times and lines about the machine."""
    text = "".join(text)
    for here, there in places.items():
        text = text.replace(here, there)
    # Folders of tempfile.mkdtemp.
    text = re.sub(rf"{re.escape(tempfile.gettempdir())}/tmp\w{{8}}", "scratch", _TIME.sub(_ANY_TIME, text))
    text = re.sub(r"/\S*/site-packages/", "", text)
    # What a progress line showed last.
    lines = [line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n")]
    lines = [line for line in lines if not _MACHINE.match(line)]
    if len(lines) > 2 * _LINES + 1:
        left = len(lines) - 2 * _LINES
        lines = [*lines[:_LINES], f"  … {left} lines", *lines[-_LINES:]]
    return "\n".join(lines).splitlines(keepends=True)


def _small(encoded: str, width: int) -> dict[str, str]:
    """Return a picture as a JPEG or as a PNG with a palette, whichever is smaller."""
    image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    jpeg, png = io.BytesIO(), io.BytesIO()
    image.save(jpeg, "JPEG", quality=72, optimize=True)
    image.quantize(64).save(png, "PNG", optimize=True)
    kind, data = min((("image/jpeg", jpeg), ("image/png", png)), key=lambda item: len(item[1].getvalue()))
    return {kind: base64.b64encode(data.getvalue()).decode()}
