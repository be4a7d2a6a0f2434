"""The command: what it writes, what it says, and that no photo ends it and none is left out of the account."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from rac_unet import predict
from rac_unet.emotions import EMOTIONS
from rac_unet.errors import UserError
from rac_unet.faces.photo_files import read_photo
from rac_unet.inference import photo as photo_module
from tests.drawn_masks import drawn_photo, green_runner, is_green

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Working folder with photos/{masked.png,deep/bare.jpg,wall.png}; any model is the green network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(photo_module, "load_runner", lambda path, threads=None: green_runner())
    (tmp_path / "photos/deep").mkdir(parents=True)
    cv2.imwrite("photos/masked.png", drawn_photo()[..., ::-1])
    cv2.imwrite("photos/deep/bare.jpg", drawn_photo(masked=False)[..., ::-1])
    cv2.imwrite("photos/wall.png", np.full((50, 70, 3), 128, np.uint8))
    return tmp_path


def run(*words, model="green.tflite"):
    return predict.main([*map(str, words), "--model", model])


def report(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def test_a_folder(folder, capsys):
    assert run("photos", "--output", "out") == 0
    said = capsys.readouterr().out
    assert "photos/masked.png: 1 face: happiness (70 %)" in said
    assert "photos/deep/bare.jpg: no mask on the face, photo unchanged" in said
    assert "photos/wall.png: no face found, photo unchanged" in said
    assert "3 given: 1 unmasked, 1 without a mask, unchanged, 1 without a face, unchanged" in said
    assert "plausible, not true" in said
    before, after = read_photo("photos/masked.png"), read_photo("out/masked.png")
    assert is_green(before).any() and not is_green(after).any()
    assert (read_photo("out/deep/bare.png") == read_photo("photos/deep/bare.jpg")).all()
    (face,) = report("out/masked.json")["faces"]
    assert face["emotion"] == "happiness" and face["confidence"] == pytest.approx(0.7) and face["occlusion_area"] > 0.1
    assert len(face["box"]) == 4 and report("out/masked.json")["seconds"] > 0
    assert report("out/masked.json")["synthetic"] is True and report("out/wall.json")["synthetic"] is False
    assert not Path("out/skipped.csv").exists()


def test_a_second_run_does_nothing_and_takes_no_result_for_a_photo(folder, capsys):
    run("photos", "--output", "photos/out")
    times = {path: path.stat().st_mtime_ns for path in Path("photos/out").rglob("*.*")}
    capsys.readouterr()
    assert run("photos", "--output", "photos/out") == 0
    said = capsys.readouterr().out
    assert "3 given: 3 finished before" in said and "left out 3 results" in said
    assert {path: path.stat().st_mtime_ns for path in Path("photos/out").rglob("*.*")} == times
    assert run("photos", "--output", "photos/out", "--overwrite") == 0
    assert Path("photos/out/masked.png").stat().st_mtime_ns > times[Path("photos/out/masked.png")]


def test_emotions(folder, capsys):
    run("photos/masked.png", "--output", "none", "--emotion", "none")
    assert report("none/masked.json")["faces"][0]["emotion"] is None
    run("photos/masked.png", "--output", "angry", "--emotion", "Angry")
    assert report("angry/masked.json")["faces"][0] | {"box": 0} == {
        "box": 0, "masked": True, "emotion": "anger", "confidence": None,
        "occlusion_area": report("none/masked.json")["faces"][0]["occlusion_area"],
    }  # fmt: skip
    run("photos", "--output", "all", "--emotion", "all")
    assert report("all/masked.json")["results"] == ["masked.emotions.png"] and report("all/wall.json")["results"] == []
    assert read_photo("all/masked.emotions.png").shape == (188, 8 * 160, 3)
    assert len({photo.tobytes() for photo in np.split(read_photo("all/masked.emotions.png")[28:], 8, axis=1)}) == 8
    with pytest.raises(UserError, match="Did you mean 'surprise'"):
        run("photos", "--output", "out", "--emotion", "suprise")
    assert len(EMOTIONS) == 7 and not Path("out").exists()


def test_side_by_side_mark_and_format(folder):
    run("photos/masked.png", "--output", "out", "--side_by_side", "--mark", "--format", "jpeg")
    photo, beside = read_photo("photos/masked.png"), read_photo("out/masked.side_by_side.jpg")
    assert beside.shape == (photo.shape[0], 2 * photo.shape[1], 3)
    assert is_green(beside[:, : photo.shape[1]]).sum() > 5000 and is_green(beside[:, photo.shape[1] :]).sum() < 200
    corner = read_photo("out/masked.jpg")[-14:, :40]
    assert corner.max() > 230 and corner.min() < 80, "white letters on a dark ground"
    assert report("out/masked.json")["results"] == ["masked.jpg", "masked.side_by_side.jpg"]


def test_mistakes_are_refused_before_anything_is_written(folder, monkeypatch):
    for words, message in (
        (["nowhere.jpg"], "nowhere.jpg: there is nothing at this path"),
        (["photos/*.tif"], "no file matches"),
        (["photos", "--emotion", "all", "--side_by_side"], "--side_by_side shows one result"),
        (["photos", "--format", "gif"], "invalid choice"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            run(*words, "--output", "out")
    Path("a_file").write_text("kept")
    for place in ("a_file", "a_file/below"):
        with pytest.raises(UserError, match=f"--output {place} cannot be a folder"):
            run("photos", "--output", place)
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="there are no photos"):
        run("empty", "--output", "out")
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    Path("broken.tflite").write_text("not a network")
    for model, message in (("broken.tflite", "broken.tflite"), ("gone", "there is nothing at gone")):
        with pytest.raises(UserError, match=message):
            run("photos", "--output", "out", model=model)
    assert not Path("out").exists()


def test_only_unreadable_photos_are_an_error(folder):
    Path("bad.jpg").write_text("not a photo")
    with pytest.raises(UserError, match="none of 1 photos could be read"):
        run("bad.jpg", "--output", "out")
    assert "file is not an image" in Path("out/skipped.csv").read_text()


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(folder, monkeypatch, capsys):
    real, count = photo_module.Unmasker.unmask, []

    def interrupted(self, *words):
        count.append(1)
        if len(count) == 2:
            raise KeyboardInterrupt
        return real(self, *words)

    monkeypatch.setattr(photo_module.Unmasker, "unmask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("photos", "--output", "out")
    assert len(list(Path("out").rglob("*.json"))) == 1 and list(Path("out").rglob("*.tmp")) == []
    assert "the same command goes on" in capsys.readouterr().err
    run("photos", "--output", "out")
    assert "2 without" not in capsys.readouterr().out and len(list(Path("out").rglob("*.json"))) == 3


def strange_photos(count, rng):
    """(name, bytes) of small files as people and disks have them: whole, odd, cut, damaged, renamed, not photos."""
    whole = []
    masked = cv2.resize(drawn_photo(), (90, 90), interpolation=cv2.INTER_AREA)[..., ::-1]
    for number in range(24):
        height, width = (1, 1) if number == 0 else rng.integers(1, 90, 2)
        image = masked if number % 3 == 1 else rng.integers(0, 255, (height, width, 3), np.uint8)
        ending = (".jpg", ".png", ".webp", ".bmp", ".tiff")[number % 5]
        if ending in (".png", ".tiff") and number % 2:
            image = image.astype(np.uint16) * 257 if number % 4 == 1 else np.dstack([image, image[..., 0]])
        elif number % 7 == 3:
            image = image[..., 0]
        whole.append((ending, cv2.imencode(ending, np.ascontiguousarray(image))[1].tobytes()))
    for number in range(count):
        ending, content = whole[rng.integers(len(whole))]
        kind = rng.integers(5)
        if kind == 1:
            content = content[: rng.integers(0, len(content))]
        elif kind == 2:
            damaged = bytearray(content)
            for place in rng.integers(0, len(damaged), rng.integers(1, 30)):
                damaged[place] = rng.integers(256)
            content = bytes(damaged)
        elif kind == 3:
            content = content[:12] + rng.bytes(rng.integers(0, 200))
        elif kind == 4 and number % 2:
            content = b"path,emotion\nphoto.jpg,anger\n"
        yield f"{number:04d}{ending}", content


def test_a_hundred_strange_files_end_nothing_and_are_all_accounted_for(folder, capsys):
    count, rng = int(os.environ.get("RAC_UNET_STRANGE_PHOTOS", 100)), np.random.default_rng(5)
    Path("strange").mkdir()
    for name, content in strange_photos(count, rng):
        Path("strange", name).write_bytes(content)
    os.mkfifo("strange/pipe.jpg")
    os.symlink("nowhere", "strange/link.png")
    Path("strange/folder.jpg").mkdir()
    assert run("strange", "--output", "out") == 0
    said = capsys.readouterr()
    assert "Traceback" not in said.err and f"photos   {count + 2:,} given" in said.out
    numbers = re.search(r"given: (.*)", said.out)[1]
    parts = [int(number.replace(",", "")) for number in re.findall(r"([\d,]*\d) [a-z]", numbers)]
    assert sum(parts) == count + 2
    rows = list(csv.reader(io.StringIO(Path("out/skipped.csv").read_text())))[1:]
    reports = list(Path("out").glob("*.json"))
    assert len(rows) + len(reports) == count + 2 and all(reason for _, reason in rows)
    assert {"not a regular file", "file is missing"} <= {reason for _, reason in rows}
    assert count / 4 < len(reports) < count and sum(report(path)["synthetic"] for path in reports) > 3
    for path in reports:
        assert all((path.parent / name).is_file() for name in report(path)["results"])


HEAVY = {"tensorflow", "keras", "pandas", "matplotlib", "jsonargparse", "yaml", "PIL"}


def modules_of(*words):
    """Exit code, what was said, and the modules that `python words…` imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words], capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    return done.returncode, done.stdout, imported


def test_nothing_heavy_is_imported(folder):
    """From the shell; the network alone is another, and what opens a .tflite file has its own tests."""
    code = """if True:
        import sys
        from rac_unet import predict
        from rac_unet.inference import photo
        from tests.drawn_masks import green_runner
        photo.load_runner = lambda path, threads=None: green_runner()
        sys.exit(predict.main(["photos/masked.png", "--output", "out", "--model", "green.tflite"]))"""
    code, said, imported = modules_of("-c", code)
    assert code == 0 and "1 given: 1 unmasked" in said
    assert {"cv2", "ai_edge_litert"} <= imported and not imported & HEAVY


@pytest.mark.skipif(not photo_module.PUBLISHED.is_file(), reason="the published network is not in this checkout")
def test_the_published_network_unmasks_a_photo(folder):
    code, said, imported = modules_of("-m", "rac_unet.predict", "photos/masked.png", "--output", "out")
    assert code == 0 and "1 given: 1 unmasked" in said and not imported & HEAVY
    before, after = read_photo("photos/masked.png"), read_photo("out/masked.png")
    assert is_green(after).sum() < 0.5 * is_green(before).sum()
