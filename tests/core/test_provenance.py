"""The command in provenance.json is the one that was typed, without the user's private folders."""

import shlex

import pytest

from rac_unet.core.provenance import command_line, make_provenance


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A working folder below a home folder."""
    home = tmp_path / "home/anna"
    (home / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.chdir(home / "work")
    return home / "work"


def test_the_command_has_the_given_arguments(work):
    argv = ["runs/RUN", "--split", "val", "--control", "--title", "mine and yours"]
    command = make_provenance("rac_unet.evaluate", argv)["command"]
    assert shlex.split(command) == ["python", "-m", "rac_unet.evaluate", *argv]


def test_without_arguments_those_of_the_process_are_used(work, monkeypatch):
    monkeypatch.setattr("sys.argv", ["evaluate.py", "runs/RUN", "--brisque"])
    assert make_provenance("rac_unet.evaluate", None)["command"] == "python -m rac_unet.evaluate runs/RUN --brisque"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("{work}/runs/RUN", "runs/RUN"),
        ("{work}/runs/RUN=ours", "runs/RUN=ours"),
        ("--output={work}/out", "--output=out"),
        ("{home}/photos/a b.jpg", "a b.jpg"),
        ("~/photos/*.jpg", "*.jpg"),
        ("../photos/a.jpg", "a.jpg"),
        ("/mnt/clinic/RUN=ours", "RUN=ours"),
        ('{{"path": "{home}/pairs", "cache": "off"}}', '{{"path": "pairs", "cache": "off"}}'),
        ("{{path: {home}/my pairs, cache: off}}", "{{path: my pairs, cache: off}}"),
        ("Scores of {home}/pairs", "Scores of pairs"),
        ("pairs", "pairs"),
        ("a/b test", "a/b test"),
        ("--training.max_hours=0.5", "--training.max_hours=0.5"),
    ],
)
def test_paths_are_reduced_to_their_portable_part(work, given, kept):
    word = given.format(work=work, home=work.parent)
    command = shlex.split(command_line("rac_unet.compare", [word]))
    assert command[3:] == [kept.format()]


def test_a_working_folder_above_the_home_folder_reveals_no_user(work, monkeypatch):
    monkeypatch.chdir(work.parent.parent)
    for word in (f"{work}/RUN", "anna/work/RUN"):
        assert "anna" not in command_line("rac_unet.evaluate", [word])
