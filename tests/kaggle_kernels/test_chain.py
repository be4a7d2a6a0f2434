"""All notebooks executed in order as on Kaggle, on drawn faces: `make kernels`.

The environment is this one without rac_unet and the packages that Kaggle's image lacks; the notebooks install these
from the gathered wheels. Temporary folders replace /kaggle/input and /kaggle/working, and the input contains what a
notebook's metadata attaches.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from kaggle_kernels import gather_wheels
from rac_unet.core.errors import UserError
from tests.kaggle_kernels.kept_outputs import VARIABLE, keep_outputs

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ROOT / "kaggle_kernels"
VERSIONS = "import importlib.metadata as m; print(*(d.name + '==' + d.version for d in m.distributions()), sep='\\n')"
LACKING = "ai_edge_litert|backports|brisque|libsvm.*"
# Of the quickstart's training where its outputs are kept, as its first cell says.
KEPT_MINUTES = 8.0
TINY = ["--training.epochs", "400", "--training.validate_steps", "4", "--model.filters", "2"]

pytestmark = [pytest.mark.kernels, pytest.mark.slow]


class Kaggle:
    """A simulated account: an environment, uploaded data sets, and the last output of every notebook."""

    def __init__(self, folder, wheels, python):
        self.input, self.working, self.outputs = folder / "input", folder / "working", folder / "outputs"
        self.wheels, self.python, self._folder = wheels, python, folder
        kernel = {"argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"], "language": "python"}
        self.kept = set()
        spec = folder / "jupyter/kernels/kaggle/kernel.json"
        spec.parent.mkdir(parents=True)
        spec.write_text(json.dumps({**kernel, "display_name": "Kaggle"}))

    def run(self, name, **settings):
        """Execute a notebook with the inputs of its metadata; keep its output, and return what it printed."""
        metadata = json.loads((KERNELS / name / "kernel-metadata.json").read_text())
        notebook = nbformat.read(KERNELS / name / metadata["code_file"], as_version=4)
        settings = {"INPUT": str(self.input), "WORKING": str(self.working), **settings}
        place = next(i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
        known = set(re.findall(r"^([A-Z_]+)\b", notebook.cells[place].source, re.M)) | {"INPUT", "WORKING"}
        assert set(settings) <= known, "the notebook has no such setting"
        lines = "\n".join(f"{key} = {value!r}" for key, value in settings.items())
        notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(lines))
        self._attach(metadata)
        before = listing(self.input)
        shutil.rmtree(self.working, ignore_errors=True)
        self.working.mkdir()
        client = NotebookClient(notebook, timeout=900, kernel_name="kaggle", resources={})
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_", "VIRTUAL_ENV"))}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_PATH", str(self._folder / "jupyter"))
            try:
                client.execute(cwd=str(self.working), env=environment)
            finally:
                # For debugging: the notebook as a user would see it.
                nbformat.write(notebook, self._folder / f"{name}-executed.ipynb")
        assert listing(self.input) == before, "a notebook wrote into its input"
        slug = metadata["id"].split("/")[1]
        shutil.rmtree(self.outputs / slug, ignore_errors=True)
        shutil.copytree(self.working, self.outputs / slug)
        assert any(self.working.iterdir()), "nothing was kept"
        if os.environ.get(VARIABLE) and name not in self.kept:
            self.kept.add(name)
            places = {str(self.input): "/kaggle/input", str(self.working): "/kaggle/working"}
            places |= {os.environ["RAC_UNET_CACHE"]: "~/.cache/rac_unet"}
            keep_outputs(KERNELS / name / metadata["code_file"], notebook, places)
        return printed(notebook), pictures(notebook)

    def _attach(self, metadata):
        """Make a read-only input folder with the metadata's sources that exist."""
        if self.input.exists():
            subprocess.run(["chmod", "-R", "u+w", str(self.input)], check=True)
            shutil.rmtree(self.input)
        shutil.copytree(self.wheels, self.input / "datasets/someone/rac-unet-wheels")
        for slug in (source.split("/")[1] for source in metadata["kernel_sources"]):
            if (self.outputs / slug).exists():
                shutil.copytree(self.outputs / slug, self.input / "notebooks/someone" / slug)
        subprocess.run(["chmod", "-R", "a-w", str(self.input)], check=True)


def listing(folder):
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def printed(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs if output.output_type == "stream")


def pictures(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum(bool({"image/png", "image/jpeg"} & set(output.get("data", {}))) for output in outputs)


def lend(python, but):
    """Link all packages of this environment into another, except rac_unet and those that match the pattern `but`."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    target = Path(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip())
    left = re.compile(rf"(__editable__.*|rac_unet|data_prep|pip|{but})([-._].*)?")
    places = dict.fromkeys(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))
    for entry in (entry for place in places for entry in Path(place).iterdir()):
        if not left.fullmatch(entry.name) and not (target / entry.name).exists():
            (target / entry.name).symlink_to(entry)


@pytest.fixture(scope="module")
def kaggle(tmp_path_factory):
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("the wheels are for Kaggle's machine, Linux on x86_64")
    folder = tmp_path_factory.mktemp("kaggle")
    wheels, lacking = folder / "upload/wheels", LACKING
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        gather_wheels.main(["--output", str(folder / "upload"), "--python", version, "--owner", "someone"])
    except UserError as error:
        if "could be downloaded" not in str(error):
            raise
        # No package index: the project's own wheel, and everything else from this environment.
        wheels.mkdir(parents=True)
        gather_wheels.build_wheel(wheels)
        lacking = "brisque"
    venv.create(folder / "venv", with_pip=True, symlinks=os.name != "nt")
    python = folder / "venv/bin/python"
    lend(python, lacking)
    return Kaggle(folder, wheels, python)


def versions(python):
    """Name and version of every installed package, as `pip list` shows them."""
    # Isolated, since the working folder is this checkout.
    command = [python, "-I", "-c", VERSIONS]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


@pytest.fixture(scope="module")
def prepared(kaggle):
    before = versions(kaggle.python)
    alone = subprocess.run([kaggle.python, "-c", "import rac_unet"], capture_output=True, cwd=kaggle.input.parent)
    assert alone.returncode, "the environment has rac_unet before any notebook installed it"
    said, shown = kaggle.run("prepare-data", SETS={"toy": ["--count", "140"]}, SIZE=64)
    return said, shown, before


@pytest.fixture(scope="module")
def trained(kaggle, prepared):
    return kaggle.run("train", PRESET="smoke", OPTIONS=TINY, HOURS=0.006, SMOKE_HOURS=0.003)


@pytest.fixture(scope="module")
def resumed(kaggle, trained):
    before = {run.name: steps(run) for run in (kaggle.outputs / "rac-unet-train/runs").iterdir()}
    return *kaggle.run("train", PRESET="smoke", HOURS=0.006, SMOKE=False), before


@pytest.fixture(scope="module")
def classified(kaggle, prepared):
    options = ["--image_size", "64", "--epochs", "1", "--filters", "4"]
    return kaggle.run("train-classifier", OPTIONS=options)


def origin(kaggle, module):
    """Return the real path from which the simulated environment imports a module."""
    code = f"import importlib.util, os; print(os.path.realpath(importlib.util.find_spec({module!r}).origin))"
    done = subprocess.run([kaggle.python, "-c", code], capture_output=True, text=True, cwd=kaggle.input.parent)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def steps(run):
    return pd.read_csv(run / "history.csv")["step"].tolist()


def test_kaggles_packages_are_not_changed(kaggle, prepared):
    """The list of packages is the same before and after, but for those of the wheels."""
    before, after = prepared[2], versions(kaggle.python)
    assert len(before) > 20 and before <= after
    added = {re.sub(r"[-_.]+", "_", package.partition("==")[0]).lower() for package in after - before}
    assert added == {wheel.name.partition("-")[0].replace(".", "_").lower() for wheel in kaggle.wheels.glob("*.whl")}
    assert origin(kaggle, "rac_unet").is_relative_to(kaggle.python.parents[1])


def test_packages_that_kaggle_lacks_are_installed_from_the_wheels(kaggle, prepared):
    if len(list(kaggle.wheels.glob("*.whl"))) == 1:
        pytest.skip("no package index can be reached, so the project's own wheel is all there is")
    for module in ("ai_edge_litert", "backports.strenum"):
        assert origin(kaggle, module).is_relative_to(kaggle.python.parents[1]), module
    # Packages of this environment are links to it.
    assert not origin(kaggle, "keras").is_relative_to(kaggle.python.parents[1])


def test_data_are_prepared_and_shown(kaggle, prepared):
    said, shown, _ = prepared
    (table,) = (kaggle.outputs / "rac-unet-prepare-data/pairs-tfds").rglob("pairs.csv")
    pairs = pd.read_csv(table)
    assert (
        len(pairs) == 140
        and set(pairs["split"]) == {"train", "val", "test"}
        and (table.parent / "features.json").exists()
    )
    assert "no faults found" in said and shown == 1


def test_a_session_trains_until_its_time_is_up(kaggle, trained):
    said, shown = trained
    (run,) = (kaggle.outputs / "rac-unet-train/runs").iterdir()
    assert "starting a new one" in said
    assert "the time is up" in said and f"--resume {kaggle.working}/runs/{run.name}" in said
    assert (run / "checkpoints/best.weights.h5").exists() and steps(run)
    # The smoke run's sheet if it got that far, the curve, the newest sheet.
    assert shown >= 2


def test_the_next_session_resumes_the_run(kaggle, resumed, trained):
    said, shown, before = resumed
    (run,) = (kaggle.outputs / "rac-unet-train/runs").iterdir()
    ((name, earlier),) = before.items()
    assert run.name == name and f"resuming {kaggle.input}" in said and "resumed" in said
    assert steps(run)[: len(earlier)] == earlier and len(steps(run)) > len(earlier)
    assert shown == 2


def test_the_classifier_is_trained(kaggle, classified):
    said, shown = classified
    (run,) = (kaggle.outputs / "rac-unet-train-classifier/runs").iterdir()
    assert "mean of classes" in said and (run / "eval/test/emotions.json").exists() and shown == 1


def test_scores_and_report(kaggle, resumed, classified):
    said, shown = kaggle.run("compare")
    output = kaggle.outputs / "rac-unet-compare"
    assert (output / "report/index.html").exists() and shown == 2
    metrics = json.loads((output / "evaluations/smoke/metrics.json").read_text())
    assert metrics["emotion"] and metrics["control"]
    assert set(pd.read_csv(output / "report/table.csv")["system"]) >= {"smoke", "masked input"}


def test_the_network_is_exported(kaggle, resumed):
    said, shown = kaggle.run("export")
    output = kaggle.outputs / "rac-unet-export/export"
    assert (output / "savedmodel/saved_model.pb").exists() and (output / "network.keras").exists()
    assert said.count("checked  by a fresh process") == 3 and shown == 1


def test_quickstart(kaggle):
    said, shown = kaggle.run("quickstart", MINUTES=KEPT_MINUTES if os.environ.get(VARIABLE) else 0.2)
    output = kaggle.outputs / "rac-unet-quickstart"
    assert "masked: True, painted emotion: happiness" in said
    # The float weights are not in the wheel.
    assert re.search(r"starts   with the weights of \S*rac_unet_lite\.tflite", said)
    assert {path.name for path in (output / "unmasked").iterdir()} == {"face.png", "mine.png", "seven"}
    assert (output / "export/mine.tflite").is_file() and "checked  by a fresh process" in said
    # Drawn face, unmasked, sheet of seven, training sheet, unmasked after training.
    assert shown == 5


def test_a_missing_input_is_reported_in_one_line(kaggle, prepared):
    hidden = kaggle.outputs / "rac-unet-prepare-data"
    away = hidden.rename(hidden.with_name("away"))
    try:
        with pytest.raises(CellExecutionError) as caught:
            kaggle.run("train")
    finally:
        away.rename(hidden)
    assert "error: no data set of pairs" in str(caught.value) and "File " not in str(caught.value).split("error: ")[1]
