"""The command in provenance.json: what was typed, without where somebody keeps their files."""

import shlex

import pytest

from rac_unet.core.provenance import command_line, make_provenance


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A working folder below somebody's home folder."""
    home = tmp_path / "home/anna"
    (home / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.chdir(home / "work")
    return home / "work"


def test_the_command_is_the_one_that_was_given(work):
    argv = ["runs/RUN", "--split", "val", "--control", "--title", "mine and yours"]
    command = make_provenance("rac_unet.evaluate", argv)["command"]
    assert shlex.split(command) == ["python", "-m", "rac_unet.evaluate", *argv]


def test_without_arguments_those_of_the_process(work, monkeypatch):
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
def test_paths_keep_what_is_portable(work, given, kept):
    word = given.format(work=work, home=work.parent)
    command = shlex.split(command_line("rac_unet.compare", [word]))
    assert command[3:] == [kept.format()]


def test_a_working_folder_above_the_home_folder_names_nobody(work, monkeypatch):
    monkeypatch.chdir(work.parent.parent)
    for word in (f"{work}/RUN", "anna/work/RUN"):
        assert "anna" not in command_line("rac_unet.evaluate", [word])
