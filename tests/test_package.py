"""The wheel: it is complete, and trains and unmasks without a checkout."""

import configparser
import fnmatch
import hashlib
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import cv2
import pytest

from rac_unet import __version__
from rac_unet.page.portrait import draw_portrait
from rac_unet.photos.reading import read_photo
from tests.drawn_masks import drawn_photo, is_green
from tests.test_without_extras import core_needs, packages_of

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("rac_unet", "data_prep")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy: setuptools leaves a build folder whose old files would get into the next wheel."""
    have = importlib.metadata.version("setuptools").split(".")[:2]
    if tuple(map(int, have)) < (70, 1):
        pytest.skip(f"setuptools {'.'.join(have)} cannot build wheels by itself; install the extra `dev`")
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(output)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(output.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Interpreter of a new environment: the wheel, and this environment's other packages, which are too large to copy.

    A path in a .pth file lends the packages in it, but its own .pth files are not read; so an editable install of
    this checkout stays out.
    """
    python, packages = new_environment(tmp_path_factory.mktemp("clean"))
    install(python, wheel, "--no-deps")
    lent = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    lent |= dict.fromkeys(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))
    (packages / "lent.pth").write_text("\n".join(lent) + "\n")
    return python


@pytest.fixture(scope="module")
def core(wheel, tmp_path_factory):
    """Interpreter of a new environment with the core alone: the wheel, and links to the packages that it requires."""
    python, packages = new_environment(tmp_path_factory.mktemp("core"))
    for name in packages_of(core_needs()):
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(distribution.locate_file(top)).resolve())
    # pip finds all that the wheel requires.
    install(python, wheel)
    return python


def new_environment(folder):
    """Make a virtual environment without pip; return its interpreter and its folder of packages."""
    venv.create(folder / "venv", with_pip=False, symlinks=os.name != "nt")
    python = folder / "venv/bin/python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return python, Path(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip())


def install(python, wheel, *options):
    """Install the wheel and nothing else, with this environment's pip, since making one of its own takes seconds."""
    words = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-index", *options, str(wheel)]
    done = subprocess.run(words, capture_output=True, text=True, env=clean_environment())
    assert done.returncode == 0, done.stderr


def clean_environment():
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_", "VIRTUAL_ENV"))}


def run(python, folder, *words):
    """Run `python words…` in `folder`; returns stdout."""
    done = subprocess.run([python, *words], cwd=folder, capture_output=True, text=True, env=clean_environment())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel):
    expected = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and not any(p == "__pycache__" or p.startswith(".") for p in path.relative_to(ROOT).parts)
    }
    # The float weights stay in the repository.
    expected -= {name for name in expected if name.startswith("rac_unet/weights/rac_unet_lite/")}
    found = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in found if ".dist-info/" not in name} == expected
    assert any(name.endswith("LICENSE") for name in found)


@pytest.mark.slow
def test_every_pattern_of_package_data_finds_something_in_the_wheel(wheel):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    found = zipfile.ZipFile(wheel).namelist()
    patterns = [f"{name}/{word}" for name, words in setup["options.package_data"].items() for word in words.split()]
    assert {"rac_unet/presets/*.yaml", "rac_unet/weights/*", "data_prep/README.md"} <= set(patterns)
    assert [pattern for pattern in patterns if not fnmatch.filter(found, pattern)] == []
    # Without these `predict` has no network, and nobody knows what it was trained on.
    assert {"rac_unet/weights/rac_unet_lite.tflite", "rac_unet/weights/README.md"} <= set(found)
    # The float weights stay in the repository: they would be a third of the wheel.
    assert not [name for name in found if name.endswith(".h5")] and wheel.stat().st_size <= 12e6


OFFLINE = """if True:
    import runpy, socket, sys
    def refuse(*words):
        raise OSError("no network here")
    socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
    runpy.run_module("rac_unet.predict", run_name="__main__", alter_sys=True)"""


@pytest.mark.slow
def test_a_clean_environment_unmasks_a_photo_without_a_network(python, tmp_path):
    assert cv2.imwrite(str(tmp_path / "photo.png"), drawn_photo()[..., ::-1])
    said = run(python, tmp_path, "-c", OFFLINE, "photo.png", "--output", "out")
    assert "1 given: 1 unmasked" in said
    before, after = (read_photo(tmp_path / name) for name in ("photo.png", "out/photo.png"))
    assert is_green(after).sum() < 0.5 * is_green(before).sum()
    assert json.loads((tmp_path / "out/photo.json").read_text())["settings"]["model"].startswith(
        "rac_unet_lite.tflite@"
    )


@pytest.mark.slow
def test_the_metadata_lists_the_requirements(python, tmp_path):
    code = "from importlib.metadata import metadata; m = metadata('rac_unet')"
    code += "; print(*(f'{k}: {v}' for k, v in m.items()), '', m.get_payload() or m['Description'], sep='\\n')"
    said = run(python, tmp_path, "-c", code)
    assert "Name: rac_unet" in said and "License: MIT" in said and "Requires-Python: <3.14,>=3.11" in said
    needs = re.findall(r"^Requires-Dist: ([\w-]+)(?:.*extra == \"(\w+)\")?", said, re.M)
    core = {package for package, extra in needs if not extra}
    assert core == {"numpy", "opencv-python-headless", "pillow", "ai-edge-litert", "pyyaml"}
    assert {("tensorflow", "train"), ("keras", "train"), ("av", "video"), ("rac_unet", "all")} <= set(needs)
    assert "# " in said.split("\n\n", 1)[1], "README.md is the long description"


@pytest.mark.slow
def test_a_clean_environment_trains_a_step_with_a_preset_of_the_wheel(python, tmp_path):
    code = (
        "from rac_unet.core import config; from data_prep import toy; print(config.__file__, toy.__file__, sep='\\n')"
    )
    for path in run(python, tmp_path, "-c", code).splitlines():
        assert Path(path).is_relative_to(python.parents[1]), "another installation was imported"
    words = ["--preset", "smoke", "--data.toy_count", "70", "--training.epochs", "0.1"]
    said = run(python, tmp_path, "-m", "rac_unet.train", *words)
    (made,) = (tmp_path / "runs").iterdir()
    assert f"run      {made.relative_to(tmp_path)}" in said
    assert (made / "checkpoints/best.weights.h5").stat().st_size > 0
    assert len((made / "history.csv").read_text().splitlines()) == 2


@pytest.mark.slow
def test_the_core_alone_goes_through_the_commands_of_the_readme(core, tmp_path):
    for name in ("photo.jpg", "holiday/a.jpg", "party/b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(draw_portrait())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [shlex.split(line) for line in re.findall(r"^python -m rac_unet.predict .*", readme, re.M)]
    assert len(lines) >= 3
    for number, (_, _, _, *words) in enumerate(lines):
        # As a shell gives them; quoted patterns are left to the command.
        command = [core, "-m", "rac_unet.predict"] if number % 2 else [core.with_name("rac-unet"), "predict"]
        done = subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True, env=clean_environment())
        assert done.returncode == 0, done.stderr
    results = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*.png")}
    assert {"unmasked/photo.png", "unmasked/a.png", "unmasked/b.png"} <= results
    # Two workers, which import the script that started them.
    (tmp_path / "labels.csv").write_text("path,emotion\na.jpg,fear\nb.jpg,anger\n")
    (tmp_path / "party/b.jpg").rename(tmp_path / "holiday/b.jpg")
    words = ["--photos", "holiday", "--labels", "labels.csv", "--output", "pairs", "--workers", "2"]
    words = [core.with_name("rac-unet"), "data_prep.folder", *words]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=clean_environment())
    assert done.returncode == 0 and len((tmp_path / "pairs/pairs.csv").read_text().splitlines()) == 3, done.stderr
    done = subprocess.run([core, "-c", "import tensorflow"], capture_output=True, cwd=tmp_path, env=clean_environment())
    assert done.returncode == 1


def test_the_citation_is_of_this_version():
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {__version__}" in lines and "license: MIT" in lines


def test_the_detectors_networks_are_the_published_ones():
    folder = ROOT / "rac_unet/faces/networks"
    named = re.findall(r"^([0-9a-f]{64})  (\S+)$", (folder / "NOTICE").read_text(encoding="utf-8"), re.M)
    assert {name for _, name in named} == {path.name for path in folder.glob("*.tflite")} and len(named) == 3
    for digest, name in named:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
