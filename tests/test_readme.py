"""Every command the READMEs show is one that its program understands."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from rac_unet.config import preset_names

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = {path: (ROOT / path).read_text(encoding="utf-8") for path in ("README.md", "data_prep/README.md")}
COMMANDS = [
    line
    for text in TEXTS.values()
    for block in re.findall(r"```bash\n(.*?)```", text, re.S)
    for line in block.strip().splitlines()
]


def test_there_are_commands():
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_command_line_is_accepted(command):
    python, dash_m, module, *argv = shlex.split(command)
    assert (python, dash_m) == ("python", "-m")
    if module == "rac_unet.train":
        from rac_unet.training.arguments import parse

        parse(argv)
    else:
        importlib.import_module(module)._parser().parse_args(argv)


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make (\w+)`|^    make (\w+)", README, re.M):
        assert re.search(rf"^{''.join(target)}:", makefile, re.M), target


def test_every_preset_is_explained():
    for name in preset_names():
        assert f"| `{name}` |" in README


def test_pictures_and_linked_files_exist():
    for path, text in TEXTS.items():
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("https://") or (ROOT / path).parent.joinpath(target).exists(), target


def test_every_command_of_data_prep_is_in_its_readme():
    for path in sorted((ROOT / "data_prep").glob("*.py")):
        if "__main__" in path.read_text(encoding="utf-8"):
            assert f"| `data_prep.{path.stem}` |" in TEXTS["data_prep/README.md"]
