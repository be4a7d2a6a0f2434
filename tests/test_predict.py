"""The predict command: its files and messages; no photo ends it, and every photo is counted."""

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
from PIL import Image

from rac_unet import predict
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.photos.reading import read_photo
from rac_unet.runtime.published import PUBLISHED_NETWORK
from rac_unet.unmasking import networks
from rac_unet.unmasking import photo as photo_module
from tests.drawn_masks import drawn_photo, green_runner, is_green
from tests.refusals import refused
from tests.strange_photos import write_strange_photos

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Working folder with photos/{masked.png,deep/bare.jpg,wall.png}; any model is the green network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(networks, "load_runner", lambda path, threads=None: green_runner())
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
    assert "3 given: 1 unmasked, 1 without a mask (unchanged), 1 without a face (unchanged)" in said
    assert "plausible, not true" in said
    before, after = read_photo("photos/masked.png"), read_photo("out/masked.png")
    assert is_green(before).any() and not is_green(after).any()
    assert (read_photo("out/deep/bare.png") == read_photo("photos/deep/bare.jpg")).all()
    (face,) = report("out/masked.json")["faces"]
    assert face["emotion"] == "happiness" and face["confidence"] == pytest.approx(0.7) and face["occlusion_area"] > 0.1
    assert len(face["box"]) == 4 and report("out/masked.json")["seconds"] > 0
    assert report("out/masked.json")["synthetic"] is True and report("out/wall.json")["synthetic"] is False
    assert not Path("out/skipped.csv").exists()


def test_a_second_call_does_nothing_and_takes_no_result_as_input(folder, capsys):
    run("photos", "--output", "photos/out")
    times = {path: path.stat().st_mtime_ns for path in Path("photos/out").rglob("*.*")}
    capsys.readouterr()
    assert run("photos", "--output", "photos/out") == 0
    said = capsys.readouterr().out
    assert "3 given: 3 finished earlier" in said and "left out 3 results" in said
    assert {path: path.stat().st_mtime_ns for path in Path("photos/out").rglob("*.*")} == times
    assert run("photos", "--output", "photos/out", "--overwrite") == 0
    assert Path("photos/out/masked.png").stat().st_mtime_ns > times[Path("photos/out/masked.png")]


def test_emotions(folder, capsys):
    run("photos/masked.png", "--output", "none", "--emotion", "none")
    assert report("none/masked.json")["faces"][0]["emotion"] is None
    run("photos/masked.png", "--output", "angry", "--emotion", "Angry")
    assert report("angry/masked.json")["faces"][0] | {"box": 0} == {
        "box": 0,
        "masked": True,
        "emotion": "anger",
        "confidence": None,
        "occlusion_area": report("none/masked.json")["faces"][0]["occlusion_area"],
        "chosen": True,
        "painted": True,
        "network": "green.tflite",
    }
    run("photos", "--output", "all", "--emotion", "all")
    assert report("all/masked.json")["results"] == ["masked.emotions.png"] and report("all/wall.json")["results"] == []
    assert read_photo("all/masked.emotions.png").shape == (188, 8 * 160, 3)
    assert len({photo.tobytes() for photo in np.split(read_photo("all/masked.emotions.png")[28:], 8, axis=1)}) == 8
    with pytest.raises(UserError, match="suprise.*'surprise'"):
        run("photos", "--output", "out", "--emotion", "suprise")
    assert len(EMOTIONS) == 7 and not Path("out").exists()


def test_side_by_side_mark_and_format(folder):
    run("photos/masked.png", "--output", "out", "--side_by_side", "--mark", "--format", "jpeg")
    photo, both = read_photo("photos/masked.png"), read_photo("out/masked.side_by_side.jpg")
    assert both.shape == (photo.shape[0], 2 * photo.shape[1], 3)
    assert is_green(both[:, : photo.shape[1]]).sum() > 5000 and is_green(both[:, photo.shape[1] :]).sum() < 200
    corner = read_photo("out/masked.jpg")[-14:, :40]
    assert corner.max() > 230 and corner.min() < 80, "white letters on a dark ground"
    photos, results = (both[-14:, left : left + 40].astype(int) for left in (0, photo.shape[1]))
    assert np.abs(photos - photo[-14:, :40]).mean() < 8, "no word below the photo itself"
    assert np.abs(results - corner).mean() < 8
    assert report("out/masked.json")["results"] == ["masked.jpg", "masked.side_by_side.jpg"]


def test_mistakes_are_refused_before_anything_is_written(folder, monkeypatch):
    for words, kind, named in (
        (["nowhere.jpg"], "missing", "nowhere.jpg"),
        (["photos/*.tif"], "missing", "photos/*.tif"),
        (["photos", "--emotion", "all", "--side_by_side"], "usage", "--side_by_side"),
        (["photos", "--format", "gif"], "usage", "gif"),
        (["photos", "--emotion", "all", "--write_map"], "usage", "--write_map"),
        (["photos", "--emotion", "all", "--map", "photos/wall.png"], "usage", "--map"),
        (["photos", "--emotion", "all", "--max_side", "99"], "usage", "--max_side"),
        (["photos", "--emotion", "all", "--format", "same"], "usage", "--format same"),
        (["photos", "--map_mode", "add"], "usage", "--map_mode"),
        (["photos", "--map", "photos/wall.png", "--map_mode", "cut"], "unknown_name", "--map_mode"),
        (["photos", "--map", "gone.png"], "missing", "gone.png"),
        (["photos", "--map", "."], "missing", "masked.png"),
        (["photos", "--faces", "0"], "bad_value", "--faces"),
        (["photos", "--box", "1,2,3"], "bad_value", "--box"),
        (["photos", "--max_side", "0"], "usage", "--max_side"),
    ):
        with refused(kind, named):
            run(*words, "--output", "out")
    Path("a_file").write_text("kept")
    for place in ("a_file", "a_file/below"):
        with pytest.raises(UserError, match=f"--output {place}"):
            run("photos", "--output", place)
    (folder / "empty").mkdir()
    Path("empty/notes.txt").write_text("no photo")
    with refused("empty", "1 other file,", "video"):
        run("empty", "--output", "out")
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    Path("broken.tflite").write_text("not a network")
    for model in ("broken.tflite", "gone"):
        with pytest.raises(UserError, match=model):
            run("photos", "--output", "out", model=model)
    assert not Path("out").exists()


def test_only_unreadable_photos_are_an_error(folder):
    Path("bad.jpg").write_text("not a photo")
    with refused("unreadable", "bad.jpg", "not an image"):
        run("bad.jpg", "--output", "out")
    assert "file is not an image" in Path("out/skipped.csv").read_text()


VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(500)


def test_a_damaged_video_is_skipped_like_a_photo(folder, capsys):
    pytest.importorskip("av", reason="clips need PyAV")
    Path("clip.mp4").write_bytes(VIDEO)
    with refused("unreadable", "clip.mp4", "video"):
        run("clip.mp4", "--output", "out")
    assert "faces" not in capsys.readouterr().out
    assert run("clip.mp4", "photos/wall.png", "--output", "out") == 0
    said = capsys.readouterr().out
    assert "clip.mp4: skipped: " in said and "clips    1 given: 1 skipped" in said and "photos   1 given" in said
    assert "clip.mp4" in Path("out/skipped.csv").read_text()


def test_unchanged_photos_are_copied_if_the_format_is_the_same(folder):
    grey16 = np.arange(50 * 70, dtype=np.uint16).reshape(50, 70) * 15
    cv2.imwrite("photos/deep16.png", grey16)
    run("photos", "--output", "png")
    for name in ("wall.png", "deep16.png"):
        assert Path("png", name).read_bytes() == Path("photos", name).read_bytes()
    assert Path("png/masked.png").read_bytes() != Path("photos/masked.png").read_bytes()
    run("photos", "--output", "jpeg", "--format", "jpeg")
    assert Path("jpeg/deep/bare.jpg").read_bytes() == Path("photos/deep/bare.jpg").read_bytes()
    assert read_photo("jpeg/wall.jpg").shape == (50, 70, 3)


def test_transparency_is_kept_or_reported_as_lost(folder, capsys):
    alpha = np.full((*drawn_photo().shape[:2], 1), 255, np.uint8)
    alpha[:20] = 0
    for masked in (True, False):
        rgba = np.concatenate([drawn_photo(masked=masked), alpha], axis=2)
        Image.fromarray(rgba).save(f"{'masked' if masked else 'bare'}.webp", lossless=True)
    run("masked.webp", "bare.webp", "--output", "out", "--side_by_side", "--mark")
    assert "transparency" not in capsys.readouterr().out
    for name in ("masked.png", "bare.png"):
        assert (np.asarray(Image.open(f"out/{name}"))[:250, :, 3:] == alpha[:250]).all()
    assert (np.asarray(Image.open("out/bare.png"))[20:] == rgba[20:]).all()
    assert np.asarray(Image.open("out/masked.side_by_side.png")).shape == (len(alpha), 2 * alpha.shape[1], 4)
    run("masked.webp", "bare.webp", "--output", "jpeg", "--format", "jpeg")
    said = capsys.readouterr().out
    assert said.count("its transparency is lost") == 2 and "2 transparent photos were laid on white" in said
    assert (
        "transparency is lost" in report("jpeg/masked.json")["note"] and read_photo("jpeg/masked.jpg")[:15].min() > 240
    )


def test_the_first_frame_of_an_animation_is_used_and_reported(folder, capsys):
    frames = [Image.fromarray(np.full((40, 40, 3), level, np.uint8)) for level in (0, 100, 200)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    run("moving.gif", "photos/wall.png", "--output", "out")
    said = capsys.readouterr().out
    assert "only the first of 3 frames" in said and "of 1 animation or file" in said
    assert (
        "first of 3 frames" in report("out/moving.json")["note"]
        and "frames" not in report("out/photos/wall.json")["note"]
    )
    assert (read_photo("out/moving.png") == 0).all()


def test_results_of_another_call_are_not_taken_as_input(folder, capsys):
    for output in ("photos/out1", "photos/out2"):
        run("photos", "--output", output)
        said = capsys.readouterr().out
        assert "photos   3 given" in said and "1 unmasked" in said
    assert re.search(r"\b3 results in the folders", said)


def test_a_second_call_counts_the_faces_of_the_first(folder, capsys):
    run("photos", "--output", "out")
    first = re.search("faces .*", capsys.readouterr().out)[0]
    run("photos", "--output", "out")
    assert re.search("faces .*", capsys.readouterr().out)[0] == first and re.search("2 found, 1 painted", first)


def test_a_file_that_cannot_be_written_is_named(folder, monkeypatch):
    """The system's error for a limited file size contains no path."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores the signal that would come with it.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError) as caught:
            run("photos/masked.png", "--output", "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == "out/masked.png"
    assert [path.name for path in Path("out").iterdir()] == []


def grey(path):
    picture = Image.open(path)
    assert picture.mode == "L"
    return np.array(picture)


def test_the_map_is_written_edited_and_given_back(folder, capsys):
    run("photos", "--output", "out", "--write_map")
    photo, found = read_photo("photos/masked.png"), grey("out/masked.map.png")
    assert report("out/masked.json")["results"] == ["masked.png", "masked.map.png"]
    assert found.shape == photo.shape[:2] and (found[is_green(photo)] >= 128).mean() > 0.95
    assert not grey("out/wall.map.png").any() and report("out/masked.json")["map"] is None
    Path("maps").mkdir()
    half = found.copy()
    half[:, 160:] = 0
    Image.fromarray(half).save("maps/masked.map.png")
    words = ("photos", "--output", "half", "--map", "maps")
    run(*words)
    said = capsys.readouterr().out
    assert "2 of 3 photos have no map in maps" in said and "1 unmasked" in said
    half_done = read_photo("half/masked.png")
    # The right half is the photo's but for the soft edge.
    assert (half_done[:, 170:] == photo[:, 170:]).all() and not is_green(half_done[:, :158]).any()
    written = report("half/masked.json")
    assert written["map"]["path"] == "maps/masked.map.png" and written["map"]["mode"] == "replace"
    assert written["map"]["unpainted"] < 0.01 and written["settings"]["map"] == "maps"
    assert report("half/wall.json")["map"] is None and "no map" in report("half/wall.json")["note"]
    assert run(*words) == 0 and "3 finished earlier" in capsys.readouterr().out
    # Only the photo whose map was edited is processed again; other settings are refused.
    Image.fromarray(found).save("maps/masked.map.png")
    assert run(*words) == 0 and "2 finished earlier" in capsys.readouterr().out
    assert not is_green(read_photo("half/masked.png")).any()
    with refused("changed", "map_mode"):
        run(*words, "--map_mode", "remove")
    with refused("changed", "(map, map_mode)"):
        run("photos", "--output", "half")
    run(*words[:2], "removed", *words[3:], "--map_mode", "remove")
    said = capsys.readouterr().out
    assert "the map leaves nothing to paint" in said and "1 with nothing to paint" in said
    assert Path("removed/masked.png").read_bytes() == Path("photos/masked.png").read_bytes()


def test_a_map_is_neither_a_photo_nor_replaced(folder, capsys):
    """Maps next to the photos, and a map in the output folder that `--write_map` would write again."""
    run("photos/masked.png", "--output", "out", "--write_map")
    found = grey("out/masked.map.png")
    Image.fromarray(found).save("photos/masked.map.png")
    capsys.readouterr()
    run("photos", "--output", "out2", "--map", "photos")
    said = capsys.readouterr().out
    assert "3 given" in said and "left out 1 map in" in said and not Path("out2/masked.map.json").exists()
    before = Path("out/masked.map.png").read_bytes()
    with refused("exists", "out/masked.map.png", "--map"):
        run("photos/masked.png", "--output", "out", "--write_map", "--map", "out", "--overwrite")
    with refused("ambiguous", "out3/masked.map.png"):
        run("photos", "--output", "out3", "--write_map")
    assert Path("out/masked.map.png").read_bytes() == before and not Path("out3").exists()


def test_maps_that_do_not_fit_skip_their_photo(folder, capsys):
    Path("maps").mkdir()
    Image.new("L", (31, 77)).save("maps/masked.png")
    Image.new("L", (140, 100)).save("maps/wall.png")
    Path("maps/bare.png").write_text("not a picture")
    assert run("photos", "--output", "out", "--map", "maps") == 0
    said = capsys.readouterr().out
    rows = {Path(photo).name: reason for photo, reason in csv.reader(Path("out/skipped.csv").read_text().splitlines())}
    assert "31 x 77" in rows["masked.png"] and "maps/bare.png" in rows["bare.jpg"] and len(rows) == 3
    assert "2 skipped" in said and "the map is empty" in said and "resized from 140 x 100" in said
    with refused("unreadable", "maps/bare.png"):
        run("photos", "--output", "out2", "--map", "maps/bare.png")
    assert not Path("out2").exists()


def test_chosen_faces_and_a_box(folder, capsys):
    small = cv2.copyMakeBorder(cv2.resize(drawn_photo(), (224, 224)), 0, 96, 0, 0, cv2.BORDER_REPLICATE)
    group = np.hstack([small, drawn_photo()])
    cv2.imwrite("group.png", group[..., ::-1])
    run("group.png", "--output", "large", "--faces", "largest")
    assert "2 faces: happiness (70 %), not chosen" in capsys.readouterr().out
    done = read_photo("large/group.png")
    assert is_green(done[:, :224]).any() and not is_green(done[:, 224:]).any()
    assert [(face["masked"], face["chosen"], face["painted"]) for face in report("large/group.json")["faces"]] == [
        (True, True, True),
        (True, False, False),
    ]
    run("group.png", "--output", "large", "--faces", "1")
    said = capsys.readouterr().out
    assert "1 finished earlier" in said and "2 found, 1 painted" in said
    run("group.png", "photos/wall.png", "--output", "left", "--box", "20,20,200,220")
    done, said = read_photo("left/group.png"), capsys.readouterr().out
    assert not is_green(done[:, :224]).any() and is_green(done[:, 224:]).any()
    assert report("left/group.json")["settings"]["box"] == "20,20,200,220"
    run("group.png", "photos/wall.png", "--output", "nowhere", "--box", "0,230,60,300")
    said = capsys.readouterr().out
    assert "no face in the box 0,230,60,300 (2 elsewhere)" in said and "1 with nothing to paint" in said
    assert "photos/wall.png: skipped: the box 0,230,60,300 is outside the picture of 70 x 50" in said
    run("group.png", "--output", "all", "--emotion", "all", "--faces", "largest")
    assert read_photo("all/group.emotions.png").shape == (188, 8 * 160, 3)


def test_the_format_of_each_photo(folder, capsys):
    masked = Image.fromarray(drawn_photo())
    masked.save("photos/a.jpg", quality=60)
    masked.save("photos/b.webp", lossless=True)
    masked.save("photos/c.gif")
    run("photos", "--output", "out", "--format", "same")
    said = capsys.readouterr().out
    assert said.startswith("note"), "before the work"
    note = said.splitlines()[0]
    assert "2 JPEG" in note and "1 WebP" in note and "1 GIF becomes PNG" in note and "slightly" in note
    names = {"a.jpg": "JPEG", "b.webp": "WEBP", "c.png": "PNG", "masked.png": "PNG", "deep/bare.jpg": "JPEG"}
    for name, form in names.items():
        assert Image.open(f"out/{name}").format == form
    assert Path("out/deep/bare.jpg").read_bytes() == Path("photos/deep/bare.jpg").read_bytes()
    tables = [Image.open(path).quantization[0] for path in ("photos/a.jpg", "out/a.jpg")]
    assert tables[0] == tables[1]
    done, photo = read_photo("out/b.webp"), read_photo("photos/b.webp")
    assert (done[:40] == photo[:40]).all() and not is_green(done).any(), "without loss"
    assert "3 given" not in said and "6 given: 4 unmasked" in said
    assert run("photos", "--output", "out", "--format", "same") == 0
    said = capsys.readouterr().out
    assert "6 finished earlier" in said and "note     1" not in said
    run("photos/a.jpg", "--output", "png")
    assert re.search(
        r"note     1 JPEG becomes PNG, about \S+ MB instead of \S+ MB; --format same", capsys.readouterr().out
    )


def test_results_are_scaled_down_and_maps_are_not(folder, capsys):
    run("photos", "--output", "out", "--max_side", "100", "--side_by_side", "--write_map", "--mark")
    said = capsys.readouterr().out
    assert "scaled down to 100 x 100" in said and read_photo("out/masked.png").shape == (100, 100, 3)
    assert read_photo("out/masked.side_by_side.png").shape == (100, 200, 3)
    assert grey("out/masked.map.png").shape == (320, 320) and report("out/masked.json")["size"] == [320, 320]
    assert read_photo("out/masked.png")[-11:, :30].max() > 230, "the visible mark is not scaled away"
    assert read_photo("out/deep/bare.png").shape == (100, 100, 3)
    assert Path("out/wall.png").read_bytes() == Path("photos/wall.png").read_bytes()


def test_ctrl_c_keeps_finished_photos_and_the_same_command_continues(folder, monkeypatch, capsys):
    real, count = photo_module.Unmasker.unmask, []

    def interrupted(self, *words, **choice):
        count.append(1)
        if len(count) == 2:
            raise KeyboardInterrupt
        return real(self, *words, **choice)

    monkeypatch.setattr(photo_module.Unmasker, "unmask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("photos", "--output", "out")
    assert len(list(Path("out").rglob("*.json"))) == 1 and list(Path("out").rglob("*.tmp")) == []
    assert "the same command continues" in capsys.readouterr().err
    run("photos", "--output", "out")
    assert "2 without" not in capsys.readouterr().out and len(list(Path("out").rglob("*.json"))) == 3


@pytest.mark.slow
def test_500_strange_files_end_no_batch_and_are_all_counted(folder, capsys):
    """All formats of Pillow, all orientations and modes, cut, damaged and renamed files, wrong headers, other files."""
    count = 500
    write_strange_photos(Path("strange"), count, seed=5)
    os.mkfifo("strange/pipe.jpg")
    os.symlink("nowhere", "strange/link.png")
    Path("strange/folder.jpg").mkdir()
    before = {path: path.read_bytes() for path in Path("strange").iterdir() if path.is_file()}
    words = [str(path) for path in sorted(Path("strange").iterdir()) if path.name != "folder.jpg"]
    assert run(*words, "--output", "out") == 0
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    # Videos are counted separately.
    given = re.findall(r"^(photos|clips) +([\d,]+) given: (.*)", said.out, re.M)
    assert sum(int(number.replace(",", "")) for _, number, _ in given) == count + 2
    for _, number, numbers in given:
        parts = [int(part.replace(",", "")) for part in re.findall(r"([\d,]*\d) [a-z]", numbers)]
        assert sum(parts) == int(number.replace(",", ""))
    rows = list(csv.reader(io.StringIO(Path("out/skipped.csv").read_text())))[1:]
    reports = [report(path) for path in Path("out").glob("*.json")]
    assert sorted([photo for photo, _ in rows] + [each.get("photo") or each["clip"] for each in reports]) == words
    assert all(0 < len(reason) < 300 and "\n" not in reason for _, reason in rows)
    reasons = dict(rows)
    assert reasons["strange/pipe.jpg"] == "not a regular file" and reasons["strange/link.png"] == "file is missing"
    assert count / 4 < len(reports) < count and sum(each["synthetic"] for each in reports) > 20
    for each in reports:
        assert all(Path("out", name).is_file() for name in each["results"])
    assert {path: path.read_bytes() for path in Path("strange").iterdir() if path.is_file()} == before
    turned = [each for each in reports if "-turned" in each.get("photo", "")]
    assert len(turned) >= 8 * 5 and all(each["synthetic"] for each in turned)


HEAVY = {"tensorflow", "keras", "pandas", "matplotlib", "yaml", "av"}


def modules_of(*words):
    """Exit code, output, and the modules that `python words…` imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    return done.returncode, done.stdout, imported


def test_nothing_heavy_is_imported(folder):
    """From the shell; the network alone is another, and what opens a .tflite file has its own tests."""
    code = """if True:
        import sys
        from rac_unet import predict
        from rac_unet.unmasking import networks
        from tests.drawn_masks import green_runner
        networks.load_runner = lambda path, threads=None: green_runner()
        sys.exit(predict.main(["photos/masked.png", "--output", "out", "--model", "green.tflite"]))"""
    code, said, imported = modules_of("-c", code)
    assert code == 0 and "1 given: 1 unmasked" in said
    assert {"cv2", "ai_edge_litert"} <= imported and not imported & HEAVY


@pytest.mark.skipif(not PUBLISHED_NETWORK.is_file(), reason="the published network is not in this checkout")
def test_the_published_network_unmasks_a_photo(folder):
    code, said, imported = modules_of("-m", "rac_unet.predict", "photos/masked.png", "--output", "out")
    assert code == 0 and "1 given: 1 unmasked" in said and not imported & HEAVY
    before, after = read_photo("photos/masked.png"), read_photo("out/masked.png")
    assert is_green(after).sum() < 0.5 * is_green(before).sum()
