"""Promises about the files themselves: nothing of one machine in them, presets that hold."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from rac_unet.core.config import from_dict, preset_names, preset_path, read_yaml
from rac_unet.training.arguments import parse

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (".ci", "rac_unet", "data_prep", "tests", "kaggle_kernels", "results")
TEXT = {".py", ".md", ".cfg", ".toml", ".yaml", ".yml", ".csv", ".json", ".ipynb", ".txt", ".html", ".svg", ""}


def text_files():
    files = [path for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".")]
    for name in FOLDERS:
        inside = (path for path in (ROOT / name).rglob("*") if path.is_file())
        # Caches of tools are in hidden folders.
        files += [path for path in inside if not re.search(r"/(\.|__pycache__)", f"/{path.relative_to(ROOT / name)}")]
    return [path for path in files if path.suffix in TEXT]


def python_files(*folders):
    return [path for name in folders for path in (ROOT / name).rglob("*.py")]


def found(pattern):
    """`file:line` of every match in the repository's own text, but for this test."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in text_files()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in re.finditer(pattern, line)
    ]


def test_no_path_of_one_machine():
    assert found(r"(?<![\w.}])/(work|root|tmp|home|Users)/\w*") == []


def test_no_package_registry_is_named():
    assert found(r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|--(extra-)?index-url") == []
    # Files on this machine are no registry.
    assert found(r"^(?!.*--no-index).*--find-links") == []


def test_every_module_says_what_it_is_for():
    silent = [
        str(path.relative_to(ROOT))
        for path in python_files("rac_unet", "data_prep", "kaggle_kernels", "tests")
        if (tree := ast.parse(path.read_text(encoding="utf-8"))).body and not ast.get_docstring(tree)
    ]
    assert silent == []


def test_no_file_for_odds_and_ends():
    assert [
        path for path in python_files(*FOLDERS) if path.stem in ("utils", "util", "helpers", "helper", "misc", "common")
    ] == []


def test_there_are_presets():
    assert {"rac_unet", "smoke"} <= set(preset_names())


@pytest.mark.parametrize("name", preset_names())
def test_presets_hold_and_say_what_they_cost(name, folder_with_runs):
    path = preset_path(name)
    from_dict(read_yaml(path), str(path))
    if "model" in read_yaml(path):
        # A stage that starts from runs/RUN takes a run of its own network.
        Path("runs/RUN/config.yaml").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]
    fields = dict(line.removeprefix("# ").split(": ", 1) for line in header if ": " in line)
    assert len(header) >= 4 and fields["Cost"] and fields["Expected score"]
    _, program, options = fields["Command"].partition("python -m rac_unet.train ")
    assert program and parse(shlex.split(options)).name == name
