"""Data flows one way through the rooms, workers stay small, and --help does not wait for TensorFlow."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Each room may import those before it. The modules outside of rooms are commands, the last.
ROOMS = (
    "core",
    "photos",
    "faces",
    "synthesis",
    "data",
    "pairing",
    "models",
    "objectives",
    "runtime",
    "exporting",
    "unmasking",
    "clips",
    "page",
    "scoring",
    "reports",
    "training",
    "benchmarks",
    "studies",
    "notebook",
)
PREPARING = ("sources", "making", "checks")
# Of modules side by side in one folder; a room with more has rooms in it.
MOST = 12
COMMANDS = sorted(
    f"{package}.{path.stem}"
    for package in ("rac_unet", "data_prep")
    for path in (ROOT / package).glob("*.py")
    if "__main__" in path.read_text(encoding="utf-8")
)
TENSORFLOW = {"tensorflow", "keras", "tensorflow_datasets", "tf2onnx", "torch"}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for package in ("rac_unet", "data_prep") for path in (ROOT / package).rglob("*.py")}


class Imports(ast.NodeVisitor):
    """What a source imports: `always` when it is imported itself, `ever` in functions too, `named` also for types."""

    def __init__(self, name, path):
        self.always, self.ever, self.named = set(), set(), set()
        self._package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self._depth = 0
        self._for_types = False
        self.visit(ast.parse(path.read_text(encoding="utf-8")))

    def visit_Import(self, node):
        self._note(alias.name for alias in node.names)

    def visit_ImportFrom(self, node):
        base = node.module or ""
        if node.level:
            parents = self._package.split(".")
            base = ".".join(parents[: len(parents) + 1 - node.level] + ([base] if base else []))
        # `from package import module` imports the module; `from module import name` the module before it.
        self._note(full if (full := f"{base}.{alias.name}") in MODULES else base for alias in node.names)

    def visit_If(self, node):
        before, self._for_types = self._for_types, self._for_types or "TYPE_CHECKING" in ast.dump(node.test)
        self.generic_visit(node)
        self._for_types = before

    def visit_FunctionDef(self, node):
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

    def _note(self, names):
        for name in names:
            self.named.add(name)
            if self._for_types:
                continue
            self.ever.add(name)
            if not self._depth:
                self.always.add(name)


@cache
def imports(name):
    return Imports(name, MODULES[name])


def reach(start, when):
    """Every module that `start` imports, over however many of our own; ours and others by their full names."""
    seen, todo = set(), [start]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in MODULES:
            todo += getattr(imports(name), when)
            # Importing a.b.c runs the __init__ of a and a.b too.
            parents = name.split(".")[:-1]
            todo += [".".join(parents[: i + 1]) for i in range(len(parents))]
    return seen - {start}


def tops(names):
    return {name.split(".")[0] for name in names}


def rank(name):
    """Position in the order of import; every command has the last."""
    package, part = name.split(".")[:2]
    rooms = ROOMS if package == "rac_unet" else PREPARING
    if part in rooms:
        return rooms.index(part)
    assert (ROOT / package / f"{part}.py").exists(), f"{package}/{part} is a new room: give it a place in the order"
    return len(rooms)


def ours(names):
    return sorted(name for name in names if name.startswith("rac_unet."))


def test_the_sources_were_found():
    assert {"rac_unet.train", "data_prep.toy"} <= set(COMMANDS)
    assert "rac_unet.training.step" in MODULES and "tensorflow" in imports("rac_unet.training.step").always
    assert "rac_unet.training.loop" in imports("rac_unet.train").ever - imports("rac_unet.train").always


def test_rooms_import_only_those_before_them():
    back = [
        f"{name} imports {other}"
        for name in MODULES
        for other in imports(name).ever & set(MODULES)
        if "." in name and "." in other and name.split(".")[0] == other.split(".")[0] and rank(other) > rank(name)
    ]
    assert back == []


def test_no_modules_import_each_other():
    """Neither at once nor later, nor for types alone."""
    todo = {name: imports(name).named & set(MODULES) - {name} for name in MODULES}
    while free := {name for name, others in todo.items() if not others & todo.keys()}:
        todo = {name: others for name, others in todo.items() if name not in free}
    assert todo == {}


def test_rooms_stay_small():
    folders = {path.parent for path in MODULES.values()} - {ROOT / "rac_unet", ROOT / "data_prep"}
    sizes = {folder: len({*folder.glob("*.py")} - {folder / "__init__.py"}) for folder in folders}
    assert len(sizes) > 20 and {str(folder): size for folder, size in sizes.items() if size > MOST} == {}


def test_only_commands_are_outside_of_rooms():
    outside = {name for name in MODULES if name.count(".") == 1 and MODULES[name].name != "__init__.py"}
    assert outside == set(COMMANDS)


def test_networks_know_no_disk_format():
    """What reads checkpoints of other programs is in `models.importing`."""
    for name in MODULES:
        if name.startswith("rac_unet.models") and not name.startswith("rac_unet.models.importing"):
            used = imports(name).ever
            assert not {other for other in used if other.startswith("rac_unet.models.importing")}, name
            assert not {"h5py", "zipfile", "pickle", "rac_unet.core.rundir"} & used, name


def test_rac_unet_never_imports_data_prep():
    assert [name for name in MODULES if name.startswith("rac_unet") and "data_prep" in tops(imports(name).ever)] == []


def test_data_prep_uses_what_comes_before_networks_alone():
    used = {other for name in MODULES if name.startswith("data_prep") for other in ours(imports(name).ever)}
    rooms = {name.split(".")[1] for name in used}
    assert "core" in rooms and rooms <= {"core", "photos", "faces", "synthesis", "data", "pairing"}
    # Runs and their settings are the trainings' own.
    of_runs = {f"rac_unet.core.{name}" for name in ("config", "registry", "rundir", "provenance")}
    assert not used & of_runs


def test_what_prepares_data_never_imports_tensorflow():
    """Neither at once nor later, nor through another module: a worker with TensorFlow would be five times as large."""
    # Writing TFRecords needs it, and uses no workers.
    small = [
        name
        for name in MODULES
        if name.startswith(("data_prep", *(f"rac_unet.{room}" for room in ("photos", "faces", "synthesis", "pairing"))))
        and "tfds" not in name
    ]
    for name in [*small, "rac_unet.data.pairs", "rac_unet.pairing.toy_pairs"]:
        assert not TENSORFLOW & tops(reach(name, "ever")), name


def test_the_version_of_the_drawing_covers_all_that_draws_toys():
    """Toys are kept by a version that follows from these sources; their other imports change no pixel."""
    from rac_unet.pairing.toy_pairs import drawing_sources

    others = {f"rac_unet.{name}" for name in ("core", "data", "pairing", "photos", "photos.listing")}
    others |= {f"rac_unet.core.{name}" for name in ("errors", "extras", "files", "parallel", "progress", "quiet")}
    others |= {f"rac_unet.core.files.{name}" for name in ("output_folder", "text_files", "text_tables")}
    others |= {f"rac_unet.core.files.{name}" for name in ("locking", "unfinished", "whole")}
    others |= {f"rac_unet.photos.{name}" for name in ("png_encoding", "png_header")}
    others |= {f"rac_unet.data.{name}" for name in ("pair_checks", "pairs", "record_places")}
    others |= {"rac_unet.pairing.preparing"}
    reached = {name for name in reach("rac_unet.pairing.toy_pairs", "ever") if name.startswith("rac_unet.")}
    covered = {module_name(file) for file in drawing_sources()}
    assert {"rac_unet.synthesis.toys.mouth", "rac_unet.synthesis.masks.painting"} <= covered
    assert reached <= covered | others, reached - covered - others


def test_packages_import_only_the_standard_library_by_themselves():
    own = {"rac_unet", "data_prep"}
    for name, path in MODULES.items():
        if path.name == "__init__.py":
            heavy = tops(reach(name, "always")) - sys.stdlib_module_names - own
            assert not heavy, f"{name} imports {heavy}"


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_can_be_asked_for_help_without_tensorflow(command):
    assert not TENSORFLOW & tops(reach(command, "always"))


def test_the_command_line_of_train_needs_no_arrays():
    assert not {"numpy", "cv2"} & tops(reach("rac_unet.train", "always"))


def modules_imported_by(*words):
    """Exit code, stdout, and the modules that `python words…` imported."""
    done = subprocess.run([sys.executable, "-X", "importtime", *words], cwd=ROOT, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    rest = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    return done.returncode, done.stdout + "\n".join(rest), {line.rpartition("|")[2].strip() for line in lines}


def test_only_locking_imports_what_windows_lacks():
    posix = {"fcntl", "grp", "pwd", "resource", "termios"}
    found = {name: posix & imports(name).ever for name in MODULES if posix & imports(name).ever}
    assert found == {"rac_unet.core.files.locking": {"fcntl"}}
    assert "fcntl" not in imports("rac_unet.core.files.locking").always


def test_importing_the_packages_is_light():
    code, _, found = modules_imported_by("-c", "import rac_unet, data_prep")
    assert code == 0 and "data_prep" in found
    assert not tops(found) & {*TENSORFLOW, "numpy", "cv2", "pandas", "matplotlib"}


def test_listing_the_commands_imports_none_of_them():
    code, said, found = modules_imported_by("-m", "rac_unet", "--help")
    assert code == 0 and "data_prep.folder" in said
    assert not found & {*COMMANDS, "numpy", "cv2", "yaml"} - {"rac_unet.__main__"}


_ANSWERS = """
import contextlib, io, json, runpy, sys, traceback, warnings

# A command that another one imports is run a second time.
warnings.simplefilter("ignore", RuntimeWarning)
slow, commands, answers = set(sys.argv[1].split(",")), sys.argv[2:], {}
for command in commands:
    for words in (["--help"], ["--no-such-option", "1"]):
        before, code, said = set(sys.modules), 0, io.StringIO()
        sys.argv = [command, *words]
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                runpy.run_module(command, run_name="__main__")
            except SystemExit as end:
                code = end.code
            except BaseException:
                code = 1
                traceback.print_exc()
        imported = sorted(slow & (set(sys.modules) - before))
        answers.setdefault(command, []).append([code, said.getvalue(), imported])
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers():
    """Command -> exit code, output and imported slow packages of `--help`, and the same of a wrong option.

    All in one process, since most of the time is spent on starting Python and on imports that commands share.
    """
    words = [sys.executable, "-c", _ANSWERS, ",".join(TENSORFLOW), *COMMANDS]
    return json.loads(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_a_wrong_option_never_import_tensorflow(answers, command):
    (code, said, slow), (code_of_wrong, said_of_wrong, slow_of_wrong) = answers[command]
    assert code == 0 and "usage:" in said and slow == []
    assert code_of_wrong == 2 and "error: " in said_of_wrong and "Traceback" not in said_of_wrong
    assert slow_of_wrong == []
