"""The notebooks' files: metadata as documented by Kaggle, attached in the right order, short, with small kept outputs.

Fields and values are those of docs/kernels_metadata.md in Kaggle/kaggle-api (commit 8891e72a) and, for machine_shape,
in Kaggle/kaggle-cli, as that repository is called now (commit 13dad8ee); its docs/kernels.md lists the accelerators.
"""

import ast
import base64
import getpass
import io
import json
import platform
import re
import tempfile
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from kaggle_kernels import gather_wheels
from rac_unet.core.config import from_dict, preset_names, preset_path, read_yaml
from rac_unet.core.rundir import CLASSIFIER, NETWORK
from tests.kaggle_kernels.kept_outputs import LARGEST, keep_outputs, kept

KERNELS = Path(__file__).resolve().parents[2] / "kaggle_kernels"
NAMES = ("quickstart", "prepare-data", "train", "train-classifier", "compare", "export")
FLAGS = {"is_private", "enable_gpu", "enable_internet"}
LISTS = {
    "dataset_sources": r"[\w-]+/[a-z0-9-]{3,50}",
    "competition_sources": r"[a-z0-9-]+",
    "kernel_sources": r"[\w-]+/[a-z0-9-]+",
    "model_sources": r"[\w-]+/[\w-]+/\w+/[\w-]+/\d+",
}
TEXTS = {"id", "title", "code_file", "language", "kernel_type", "machine_shape"}
LANGUAGES, TYPES = {"python", "r", "rmarkdown"}, {"script", "notebook"}
ACCELERATORS = {
    "NvidiaTeslaT4",
    "NvidiaTeslaT4Highmem",
    "NvidiaTeslaA100",
    "NvidiaL4",
    "TpuV5E8",
    "NvidiaL4X1",
    "TpuV6E8",
    "NvidiaH100",
    "NvidiaRtxPro6000",
}


def metadata(name):
    return json.loads((KERNELS / name / "kernel-metadata.json").read_text(encoding="utf-8"))


def read(name):
    return nbformat.read(KERNELS / name / metadata(name)["code_file"], as_version=4)


def sources(name, kind):
    return [source.split("/")[1] for source in metadata(name)[kind]]


def faults(values):
    """Return the entries of a kernel-metadata.json that Kaggle's documentation does not allow."""
    found = [f"{key} is not a documented field" for key in set(values) - FLAGS - set(LISTS) - TEXTS - {"id_no"}]
    found += [
        f"{key} is missing" for key in ("id", "title", "code_file", "language", "kernel_type") if key not in values
    ]
    found += [f"{key} is not true or false" for key in FLAGS & set(values) if values[key] not in ("true", "false")]
    for key, pattern in LISTS.items():
        found += [f"{key}: {item!r}" for item in values.get(key, []) if not re.fullmatch(pattern, item)]
    if values.get("language") not in LANGUAGES or values.get("kernel_type") not in TYPES:
        found.append("language or kernel_type")
    if values.get("machine_shape", "NvidiaL4") not in ACCELERATORS:
        found.append("machine_shape")
    if values.get("title", "").lower().replace(" ", "-") != values.get("id", "/").split("/")[1]:
        found.append("the title does not resolve to the slug")
    if len(values.get("title", "")) < 5:
        found.append("the title is too short")
    return found


def test_all_notebooks_are_listed():
    assert {path.parent.name for path in KERNELS.glob("*/kernel-metadata.json")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_metadata_are_as_documented(name):
    values = metadata(name)
    assert faults(values) == []
    assert values["enable_internet"] == "false" and values["is_private"] == "true"
    assert values["language"] == "python" and values["kernel_type"] == "notebook"
    assert (KERNELS / name / values["code_file"]).is_file()
    assert values["id"] == f"{gather_wheels.PLACEHOLDER}/rac-unet-{name}"
    assert "rac-unet-wheels" in sources(name, "dataset_sources")
    # An accelerator is requested by both entries or by neither.
    assert (values["enable_gpu"] == "true") == ("machine_shape" in values)


@pytest.mark.parametrize(
    "change",
    [
        {"accelerator": "gpu"},
        {"machine_shape": "T4"},
        {"enable_gpu": "yes"},
        {"language": "julia"},
        {"title": "Other"},
        {"kernel_sources": ["no-owner"]},
    ],
)
def test_faulty_metadata_are_found(change):
    assert len(faults({**metadata("train"), **change})) == 1


def test_the_notebooks_attach_each_others_outputs():
    known = {f"rac-unet-{name}" for name in NAMES}
    assert all(set(sources(name, "kernel_sources")) <= known for name in NAMES)
    # The training notebooks attach their own last version.
    for name in ("train", "train-classifier"):
        assert sources(name, "kernel_sources") == ["rac-unet-prepare-data", f"rac-unet-{name}"]
    made_by_train = {"rac-unet-train", "rac-unet-train-classifier", "rac-unet-prepare-data"}
    assert set(sources("compare", "kernel_sources")) == made_by_train
    assert sources("export", "kernel_sources") == ["rac-unet-train"]
    assert not sources("prepare-data", "kernel_sources") and not sources("quickstart", "kernel_sources")


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_short_and_clean(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert len(notebook.cells) < 18 and notebook.cells[0].cell_type == "markdown"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        assert cell.execution_count is None
        assert len(cell.source.splitlines()) <= 16, cell.source
    (settings,) = (cell for cell in code if "parameters" in cell.metadata.get("tags", []))
    assert code[0] is settings and ast.parse(settings.source).body
    # pip installs only attached files, and refuses what they and Kaggle's packages do not fit.
    assert '"--no-index", "--find-links", wheels, "rac_unet"' in code[1].source and "no-deps" not in code[1].source
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "private" in text or name != "prepare-data"
    assert not re.search(r"(?<!/kaggle)/(work|root|tmp|home|Users)/", text) and "http" not in text


def texts(outputs):
    """Return all text of a notebook's outputs."""
    parts = [output.get("text", "") for output in outputs]
    parts += [value for output in outputs for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join("".join(part) for part in parts)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_keeps_small_outputs_without_traces_of_a_machine(name):
    notebook = read(name)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [kind for output in outputs for kind in output.get("data", {}) if kind.startswith("image/")]
    assert shown and not [output for output in outputs if output.output_type == "error"]
    assert (KERNELS / name / metadata(name)["code_file"]).stat().st_size <= LARGEST
    text = texts(outputs)
    assert "$ python -m " in text
    # Only Kaggle's folders; no user, and no time but the one that stands for all.
    assert not re.search(r"(?<![\w.}])/(?!kaggle/|CPU|GPU)[a-z][\w.-]*/[\w./-]+", text)
    assert set(re.findall(r"\b\d{8}-\d{6}\b", text)) <= {"20260101-120000"}
    assert not re.search(r"\b20\d\d-\d\d-\d\d|\b\d\d:\d\d:\d\d\b", text)
    assert getpass.getuser() not in re.findall(r"[\w-]+", text) and platform.node() not in text


def png(side):
    """A coloured picture in base64."""
    picture = io.BytesIO()
    Image.effect_noise((side, side), 80).convert("RGB").save(picture, "PNG")
    return base64.b64encode(picture.getvalue()).decode()


def test_kept_outputs_have_no_paths_and_times_and_smaller_pictures():
    scratch = f"{tempfile.gettempdir()}/tmpab12cd_x"
    printed = (
        f"$ python -m a --output {scratch}/x\n10 %\r20 %\rdone\n/here/in/runs/20251231-235959-smoke\nPython 3.11.7, x\n"
    )
    stream = {"output_type": "stream", "name": "stdout", "text": printed}
    noise = {"output_type": "stream", "name": "stderr", "text": "a warning"}
    table = {"text/html": "<table>", "text/plain": "a table", "application/json": {}}
    shown = [{"output_type": "display_data", "data": data} for data in ({"image/png": png(400)}, table)]
    text, picture, frame = kept([stream, noise, *shown], {"/here/in": "/kaggle/input"}, 100)
    lines = ["$ python -m a --output scratch/x", "done", "/kaggle/input/runs/20260101-120000-smoke"]
    assert "".join(text["text"]).splitlines() == lines
    (data,) = (value for kind, value in picture["data"].items() if kind.startswith("image/"))
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (100, 100)
    assert set(frame["data"]) == {"text/html", "text/plain"}
    long = "\n".join(map(str, range(1000)))
    (short,) = kept([{**stream, "text": long}], {}, 100)
    assert len(short["text"]) < 50 and short["text"][0] == "0\n" and short["text"][-1] == "999"


def test_outputs_are_kept_in_the_cells_of_the_file(tmp_path):
    file = tmp_path / "net.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"show({n})") for n in range(3)])
    nbformat.write(notebook, file)
    executed = nbformat.read(file, as_version=4)
    # The simulation adds a cell with its settings.
    executed.cells.insert(1, nbformat.v4.new_code_cell("settings"))
    for cell in executed.cells[2:]:
        cell.outputs = [nbformat.v4.new_output("display_data", {"image/png": png(900)})]
    keep_outputs(file, executed, {})
    after = nbformat.read(file, as_version=4)
    nbformat.validate(after)
    assert [cell.source for cell in after.cells] == [cell.source for cell in notebook.cells]
    assert [len(cell.outputs) for cell in after.cells] == [0, 1, 1] and file.stat().st_size <= LARGEST


def test_the_settings_of_the_train_notebook_are_accepted():
    from rac_unet.training.arguments import parse

    (cell,) = (cell for cell in read("train").cells if "parameters" in cell.metadata.get("tags", []))
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body[1:]}
    assert values["PRESET"] in preset_names()
    config = parse(["--preset", values["PRESET"], *values["OPTIONS"]]).config
    base = from_dict(read_yaml(preset_path(values["PRESET"])))
    assert (config.model, config.loss, config.optimizer) == (base.model, base.loss, base.optimizer)
    assert 11 <= values["HOURS"] + 2 * values["SMOKE_HOURS"] < 12


def test_commands_of_the_notebooks_exist():
    """Every `notebook.run("module"` names a module, and every used function of rac_unet.notebook exists."""
    import importlib.util

    from rac_unet import notebook as functions

    text = "\n".join(cell.source for name in NAMES for cell in read(name).cells if cell.cell_type == "code")
    modules = set(re.findall(r'notebook\.run\(\s*"([\w.]+)"', text))
    assert len(modules) >= 9 and all(importlib.util.find_spec(module) for module in modules)
    used = set(re.findall(r"notebook\.(\w+)\(", text))
    assert used == set(functions.__all__) - {"NotebookError"}
    assert set(re.findall(r'kind="(\w+)"', text)) <= {NETWORK, CLASSIFIER}
