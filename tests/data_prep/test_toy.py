"""The toy data set: balanced, split by person, with the same bytes for any workers and interruptions."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep import toy
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.files.output_folder import JOURNAL_FILE
from rac_unet.data import pairs
from rac_unet.pairing.mask_policy import make_policy
from rac_unet.pairing.toy_pairs import write_toy_pairs
from tests.refusals import refused

ROOT = Path(__file__).resolve().parents[2]
COUNT = 140


def command(output, *more):
    arguments = ["--output", str(output), "--count", str(COUNT), "--size", "64", *more]
    return [sys.executable, "-m", "data_prep.toy", *arguments]


def tree(folder):
    """Return relative path -> bytes of all files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def no_process_left(group, seconds=60):
    """Return whether all processes of a group end soon: workers must not outlive the command."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "set"
    write_toy_pairs(folder, COUNT, size=64, progress=False)
    return folder


def test_emotions_are_balanced_and_people_are_in_one_split(reference):
    found = pairs.read(reference)
    assert len(found) == COUNT and found.image_size == 64
    for name in pairs.SPLITS:
        assert set(found.split(name).emotion_counts().values()) == {len(found.split(name)) // 7}
        assert len(found.split(name)) >= 7
    assert found.frame.groupby("identity", observed=True).size().eq(7).all()
    assert set(found.frame["source"]) == {"toy-natural"} and len(set(found.frame["mask_style"])) > 4


def test_outside_the_mask_both_images_are_equal_bit_for_bit(reference):
    found = pairs.read(reference)
    columns = [found.paths(column) for column in pairs.IMAGE_COLUMNS]
    for masked, unmasked, occlusion in list(zip(*columns, strict=True))[:14]:
        masked, unmasked = cv2.imread(masked), cv2.imread(unmasked)
        hidden = cv2.imread(occlusion, cv2.IMREAD_UNCHANGED) > 0
        assert hidden.shape == (64, 64) and 0.1 < hidden.mean() < 0.7
        assert (masked[~hidden] == unmasked[~hidden]).all()
        assert (masked[hidden] != unmasked[hidden]).mean() > 0.5


def test_two_workers_make_the_same_bytes_as_one(tmp_path, reference):
    done = subprocess.run(command(tmp_path / "set", "--workers", "2"), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "set") == tree(reference)
    assert f"{COUNT}/{COUNT} faces (100 %)" in done.stderr and "\r" not in done.stderr
    assert str(tmp_path / "set/pairs.csv") in done.stdout


@pytest.mark.parametrize(("workers", "end"), [("1", signal.SIGKILL), ("2", signal.SIGKILL), ("2", signal.SIGINT)])
def test_a_stopped_and_continued_run_gives_the_same_bytes(tmp_path, reference, workers, end):
    folder = tmp_path / "set"
    run = subprocess.Popen(
        command(folder, "--workers", workers),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that runs the tests in the background disables Ctrl-C for its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    journal = folder / JOURNAL_FILE
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.stat().st_size) and run.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    if end == signal.SIGINT:
        os.killpg(run.pid, end)  # as a terminal does, to parent and workers
    else:
        run.send_signal(end)
    _, said = run.communicate(timeout=60)
    assert run.returncode == (130 if end == signal.SIGINT else -end), said
    assert not (folder / "pairs.csv").exists()
    assert no_process_left(run.pid)
    if end == signal.SIGINT:
        assert "run the same command again" in said and "Traceback" not in said
        assert not (folder / ".unfinished").exists()
    with open(journal, "ab") as file:
        file.write(b'{"index": 3, "na')  # as left by a kill between two writes
    before = len(journal.read_bytes().splitlines())
    assert 2 <= before < COUNT
    write_toy_pairs(folder, COUNT, size=64, progress=False)
    assert tree(folder) == tree(reference)


def test_a_lost_file_is_made_again(tmp_path, reference, monkeypatch):
    folder = tmp_path / "set"
    from rac_unet.pairing import preparing

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(preparing, "_write_tables", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_toy_pairs(folder, COUNT, size=64, progress=False)
    lost, cut = sorted((folder / "images").rglob("*.png"))[5:7]
    lost.unlink()
    cut.write_bytes(cut.read_bytes()[:50])
    write_toy_pairs(folder, COUNT, size=64, progress=False)
    assert tree(folder) == tree(reference)


def test_a_finished_set_is_not_changed(tmp_path, capsys):
    arguments = ["--output", str(tmp_path / "set"), "--count", "3", "--size", "64", "--workers", "1"]
    assert toy.main(arguments) == 0
    before = {path: os.stat(path).st_mtime_ns for path in (tmp_path / "set").rglob("*")}
    capsys.readouterr()
    assert toy.main(arguments) == 0
    assert "already finished" in capsys.readouterr().out
    assert {path: os.stat(path).st_mtime_ns for path in (tmp_path / "set").rglob("*")} == before


def test_other_settings_are_refused_with_the_difference(reference):
    with refused("changed", reference, "seed: 0 there, 4 now"):
        write_toy_pairs(reference, COUNT, size=64, seed=4, progress=False)
    with refused("changed", reference, 'mode: "natural" there, "ambiguous" now'):
        write_toy_pairs(reference, COUNT, size=64, mode="ambiguous", progress=False)


def test_seed_mode_and_styles_matter(tmp_path):
    sets = {}
    for name, options in {
        "plain": {},
        "seed": {"seed": 1},
        "ambiguous": {"mode": "ambiguous"},
        "kn95": {"policy": make_policy(["kn95"])},
    }.items():
        write_toy_pairs(tmp_path / name, 7, size=64, progress=False, **options)
        sets[name] = pairs.read(tmp_path / name)
    images = {name: cv2.imread(found.paths("unmasked")[0]).astype(int) for name, found in sets.items()}
    assert np.abs(images["seed"] - images["plain"]).mean() > 5
    assert (images["kn95"] == images["plain"]).all()
    assert set(sets["kn95"].frame["mask_style"]) == {"kn95"}
    assert set(sets["ambiguous"].frame["source"]) == {"toy-ambiguous"}
    assert set(sets["plain"].frame["emotion"]) == set(EMOTIONS)


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["--mode", "real"], "usage", ["natural", "ambiguous"]),
        (["--count", "0"], "usage", ["1 or more"]),
        (["--size", "huge"], "usage", ["not a whole number", "48..512"]),
        (["--styles", "kn95,foo"], "unknown_name", ["'foo'", "surgical", "bandana"]),
    ],
)
def test_refusals_of_wrong_arguments_list_the_right_ones(tmp_path, arguments, kind, words):
    with refused(kind, *words):
        toy.main(["--output", str(tmp_path / "set"), "--count", str(COUNT), *arguments])
    assert not (tmp_path / "set").exists()
