"""`rac-unet NAME …`: every command by its name, a list of all, a message for a name that is none."""

import sys

import pytest

from rac_unet import __main__ as entry
from rac_unet import __version__, cache, predict
from tests.refusals import refused
from tests.test_import_rules import COMMANDS


@pytest.fixture(autouse=True)
def same_arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pytest"])


def test_the_list_has_every_command_with_one_line(capsys):
    assert entry.run(["--help"]) == 0
    lines = {
        line.split()[0]: line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines() if "  " in line
    }
    assert {name if "." in name else f"rac_unet.{name}" for name in lines} == {*COMMANDS} - {"rac_unet.__main__"}
    # A command line in it would be that of `python -m`.
    assert all(len(line) <= 110 and "python -m" not in line and '"' not in line for line in lines.values())
    assert lines["predict"] != lines["web"] and lines["predict"][0].isupper()


def test_a_command_gets_its_arguments_and_gives_its_exit_code(monkeypatch):
    given = []
    monkeypatch.setattr(predict, "main", lambda argv: given.append((argv, list(sys.argv))) or 3)
    assert entry.run(["predict", "a.jpg", "--output", "D"]) == 3
    assert given == [(["a.jpg", "--output", "D"], ["rac-unet predict", "a.jpg", "--output", "D"])]
    monkeypatch.setattr(cache, "main", lambda argv: None)
    monkeypatch.setattr(sys, "argv", ["rac-unet", "cache"])
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 0


def test_the_version(capsys):
    assert entry.run(["--version"]) == 0 and capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("predikt", "predict"),
        ("train-classifier", "train_classifier"),
        ("folder", "data_prep.folder"),
        ("data_prep.foldr", "data_prep.folder"),
        ("core.errors", "--help"),
        ("__init__", "--help"),
    ],
)
def test_an_unknown_command_is_refused(name, meant):
    with refused("unknown_name", name, meant):
        entry.run([name])


@pytest.mark.parametrize("words", [[], ["--all"]])
def test_no_command_is_refused(words):
    with refused("usage", *words, "--help"):
        entry.run(words)
