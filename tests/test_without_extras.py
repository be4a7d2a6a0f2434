"""With the core's packages alone: photos are unmasked and prepared, and what needs an extra says how to install it.

A process of its own runs everything, in which no package can be imported that the core does not require.
"""

import ast
import configparser
import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from rac_unet.__main__ import commands
from rac_unet.core.extras import EXTRAS
from rac_unet.photos.reading import read_photo
from tests.drawn_masks import drawn_photo, is_green

ROOT = Path(__file__).resolve().parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
# Commands of the core, and of those with an extra: arguments that are accepted.
CORE = {
    "predict": ["photos/face.png", "--output", "unmasked"],
    "web": ["--single", "page.html"],
    "cache": [],
    "data_prep.folder": ["--photos", "photos", "--labels", "labels.csv", "--output", "pairs", "--workers", "1"],
    "data_prep.toy": ["--count", "1", "--size", "48", "--output", "toys", "--workers", "1"],
}
NEEDING = {
    "benchmark": [],
    "benchmark_clips": ["--output", "new"],
    "calibrate_reader": ["run", "--output", "new.tflite"],
    "compare": ["one", "other", "--output", "new"],
    "evaluate": ["run"],
    "export": ["run", "--format", "keras"],
    "exports_table": ["run"],
    "find_donors": ["pairs", "--classifier", "run"],
    "import_torch": ["weights.npz", "--output", "new"],
    "portraits": ["pairs", "--output", "new"],
    "real_masks": ["photos", "--output", "new"],
    "score_donors": ["donors.csv", "--data", "pairs", "--judge", "run", "--classifier", "run", "--output", "new"],
    "score_reader": ["--data", "pairs", "--output", "new"],
    "soft_labels": ["pairs", "--classifier", "run"],
    "study": ["plan.yaml", "--output", "new"],
    "train": [],
    "train_classifier": ["--data.path", "pairs"],
    "data_prep.check": ["pairs"],
    "data_prep.crop": ["pairs", "--frame", "0.7,0.5,0.4", "--size", "48", "--output", "new"],
    "data_prep.merge": ["pairs", "pairs", "--output", "new"],
    "data_prep.to_tfds": ["pairs"],
}
# These read files that a test cannot draw; they have the needs of data_prep.folder, and `generated` its own test.
OTHERS = {"data_prep.affectnet", "data_prep.fer2013", "data_prep.rafdb", "data_prep.generated"}
OTHER_CALLS = {
    "predict, a run": ["predict", "photos/face.png", "--output", "new", "--model", "run"],
    "predict, ONNX": ["predict", "photos/face.png", "--output", "new", "--model", "x.onnx"],
}
HIDING = """if True:
    import contextlib, importlib.machinery, io, json, sys
    calls, hidden = json.loads(sys.argv[1]), set(sys.argv[2].split())
    find = importlib.machinery.PathFinder.find_spec

    def find_visible(name, path=None, target=None):
        return None if name.split(".")[0] in hidden else find(name, path, target)

    importlib.machinery.PathFinder.find_spec = staticmethod(find_visible)
    from rac_unet.__main__ import run
    from rac_unet.core.errors import run_command

    said = {}
    for name, words in calls.items():
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                run_command(lambda: run(words))
            except SystemExit as end:
                said[name] = end.code, out.getvalue(), err.getvalue()
    import rac_unet
    from rac_unet.faces.detect import FaceDetector
    from rac_unet.photos.reading import read_photo
    said["unmask"] = [face.emotion for face in rac_unet.unmask("photos/face.png", "sadness").faces]
    said["detector"] = len(FaceDetector().detect(read_photo("photos/face.png")))
    try:
        rac_unet.unmask("photos/face.png", model="run")
    except rac_unet.core.errors.UserError as error:
        said["unmask, a run"] = error.kind, str(error)
    said["imported"] = sorted(sys.modules)
    print(json.dumps(said))"""


def packages_of(needs):
    """Return the normalised names of packages and of all that they require themselves, without extras."""
    from packaging.requirements import Requirement

    found, todo = set(), [Requirement(need) for need in needs]
    while todo:
        need = todo.pop()
        name = re.sub(r"[-_.]+", "-", need.name).lower()
        if name not in found and (need.marker is None or need.marker.evaluate({"extra": ""})):
            found.add(name)
            todo += [Requirement(each) for each in importlib.metadata.requires(name) or []]
    return found


def core_needs():
    return [line for line in SETUP["options"]["install_requires"].splitlines() if line and line[0] != "#"]


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """Folder and results of all calls, in a process that sees the core's packages alone."""
    folder = tmp_path_factory.mktemp("core")
    (folder / "photos").mkdir()
    cv2.imwrite(str(folder / "photos/face.png"), drawn_photo()[..., ::-1])
    (folder / "labels.csv").write_text("path,emotion\nface.png,happiness\n")
    (folder / "run").mkdir()
    (folder / "run/config.yaml").write_text("model: {}\n")
    (folder / "x.onnx").write_bytes(b"")
    visible = packages_of(core_needs())
    hidden = [
        module
        for module, packages in importlib.metadata.packages_distributions().items()
        if not visible & {re.sub(r"[-_.]+", "-", name).lower() for name in packages}
        and module not in ("rac_unet", "data_prep")
    ]
    assert {"tensorflow", "keras", "pandas", "matplotlib", "h5py"} <= set(hidden) and "cv2" not in hidden
    calls = {name: [name, *words] for name, words in {**CORE, **NEEDING}.items()} | OTHER_CALLS
    calls |= {f"{name} --help": [name, "--help"] for name in NEEDING}
    words = [json.dumps(calls), " ".join(hidden)]
    path = {"PYTHONPATH": str(ROOT), "RAC_UNET_CACHE": str(folder / "cache")}
    done = subprocess.run([sys.executable, "-c", HIDING, *words], cwd=folder, env=path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_every_command_is_tried(core):
    assert {name for name, _, _ in commands()} == {*CORE, *NEEDING, *OTHERS}


@pytest.mark.parametrize("name", CORE)
def test_commands_of_the_core_need_no_extra(core, name):
    _, said = core
    code, _, error = said[name]
    assert code == 0 and "error" not in error


def test_what_they_write_is_sound(core):
    folder, said = core
    before, after = (read_photo(folder / name) for name in ("photos/face.png", "unmasked/face.png"))
    assert is_green(after).sum() < 0.5 * is_green(before).sum()
    assert "1 given: 1 unmasked" in said["predict"][1] and said["unmask"] == ["sadness"] and said["detector"] == 1
    assert (folder / "page.html").stat().st_size > 1_000_000
    assert len((folder / "pairs/pairs.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize("name", [*NEEDING, *OTHER_CALLS])
def test_what_needs_an_extra_says_how_to_install_it(core, name):
    folder, said = core
    code, out, error = said[name]
    assert code == 2 and out == "" and error.startswith("error: ") and error.count("\n") == 1, error
    extras = {"data_prep.to_tfds": "train,tfds", "predict, ONNX": "export"}.get(name, "train")
    assert f"pip install 'rac_unet[{extras}]'" in error
    assert said.get(f"{name} --help", [0])[0] == 0
    assert not (folder / "new").exists() and not (folder / "new.tflite").exists() and not (folder / "runs").exists()


def test_in_python_too(core):
    kind, message = core[1]["unmask, a run"]
    assert kind == "missing_extra" and "running run needs" in message and "'rac_unet[train]'" in message


def test_no_package_of_an_extra_was_imported(core):
    found = {name.split(".")[0] for name in core[1]["imported"]}
    assert "cv2" in found and not found & {module for modules in EXTRAS.values() for module in modules}


def test_the_table_of_extras_is_that_of_the_package():
    assert set(EXTRAS) | {"all", "dev"} == set(SETUP["options.extras_require"])
    installed = importlib.metadata.packages_distributions()
    for extra, modules in EXTRAS.items():
        named = packages_named(extra)
        for module in modules:
            # What is not installed here has the name of its module.
            packages = installed.get(module, [module])
            assert named & {re.sub(r"[-_.]+", "-", name).lower() for name in packages}, (extra, module)


def packages_named(extra):
    lines = [line for line in SETUP["options.extras_require"][extra].splitlines() if line and line[0] != "#"]
    return {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", line).group()).lower() for line in lines}


def test_the_page_of_commands_names_the_core_and_every_extra():
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    paragraph = re.search(r"^`pip install \.` installs(.*?)\. The others", page, re.M | re.S).group(1)
    in_core = {name.rpartition(".")[2] for name in {*CORE, *OTHERS} - {"data_prep.generated"}}
    assert set(re.findall(r"`(\w+)`", paragraph)) - {"data_prep"} == in_core
    table = page.partition("| extra | for |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.M)) == {*EXTRAS, "all", "dev"}


def test_all_is_every_extra_that_needs_no_compiler():
    (line,) = (line for line in SETUP["options.extras_require"]["all"].splitlines() if line)
    assert set(line.removeprefix("rac_unet[").removesuffix("]").split(",")) == set(EXTRAS) - {"brisque"}


def test_every_optional_package_is_in_the_table():
    """What the sources import is of Python, of the core or of an extra."""
    core = {"numpy", "cv2", "PIL", "yaml", "ai_edge_litert"}
    # In a notebook; TensorFlow's own, TensorFlow Datasets' own; Windows' own.
    others = {"IPython", "packaging", "absl", "msvcrt"}
    known = core | others | {module for modules in EXTRAS.values() for module in modules}
    for path in [*(ROOT / "rac_unet").rglob("*.py"), *(ROOT / "data_prep").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            tops = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"rac_unet", "data_prep"}
            assert tops <= known, (path.name, tops - known)
