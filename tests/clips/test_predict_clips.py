"""The predict command with clips among photos: what is a clip, what is skipped, what is finished."""

import builtins
import json
from fractions import Fraction
from pathlib import Path

import cv2
import pytest
from PIL import Image

av = pytest.importorskip("av", reason="clips need PyAV")

from rac_unet import predict  # noqa: E402
from rac_unet.clips import working  # noqa: E402
from rac_unet.clips.listing import list_inputs  # noqa: E402
from rac_unet.clips.settings import clip_time  # noqa: E402
from rac_unet.clips.writing import has_video_mark  # noqa: E402
from rac_unet.unmasking import networks  # noqa: E402
from tests.clips.clip_files import frame_times, inverting, packets, picture, write  # noqa: E402
from tests.drawn_masks import drawn_photo, green_runner  # noqa: E402
from tests.refusals import refused  # noqa: E402


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Working folder with inputs/{photo.png,walk.mp4,deep/walk.MOV}; clips get a box inverted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(networks, "load_runner", lambda path, threads=None: green_runner())
    monkeypatch.setattr(working, "two_passes", lambda unmasker, settings: inverting())
    Path("inputs/deep").mkdir(parents=True)
    cv2.imwrite("inputs/photo.png", drawn_photo(masked=False)[..., ::-1])
    write("inputs/walk.mp4", count=6, sound="aac")
    write("inputs/deep/walk.MOV", count=4)
    return tmp_path


def run(*words):
    return predict.main([*map(str, words), "--model", "green.tflite"])


def report(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def test_clips_among_photos(folder, capsys):
    assert run("inputs", "--output", "out") == 0
    said = capsys.readouterr().out
    assert "inputs/walk.mp4: 1 face: happiness (3 of 4 votes); 100 % of 6 frames painted" in said
    assert "clips    2 given: 2 unmasked" in said and "photos   1 given" in said
    assert packets("out/walk.mp4", "audio") == packets("inputs/walk.mp4", "audio")
    assert has_video_mark(Path("out/deep/walk.mp4")) and Path("out/photo.png").is_file()
    written = report("out/walk.json")
    assert written["results"] == ["walk.mp4", "walk.sheet.jpg"] and written["synthetic"] and written["frames"] == 6
    assert (written["size"], written["tracks"][0]["first_frame"]) == ([96, 64], 0)
    # Nothing hidden is left.
    assert not [path for path in Path("out").rglob("*") if path.name.startswith(".")]


def test_a_second_call_does_nothing_and_takes_no_result_as_input(folder, capsys):
    words = ["inputs", "--output", "inputs/out", "--side_by_side"]
    run(*words)
    before = {path: path.stat().st_mtime_ns for path in Path("inputs").rglob("*.mp4")}
    assert len(before) == 1 + 4
    capsys.readouterr()
    assert run(*words) == 0
    assert "clips    2 given: 2 finished earlier" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in Path("inputs").rglob("*.mp4")} == before
    # Also in another output folder, where its reports do not say it.
    for path in Path("inputs/out").rglob("*.json"):
        path.unlink()
    assert {clip.path.name for clip in list_inputs(["inputs"], "elsewhere", False)[1]} == {"walk.mp4", "walk.MOV"}
    assert len(list_inputs(["inputs"], "elsewhere", False)[1]) == 2


def test_other_settings_are_refused_until_everything_is_overwritten(folder):
    run("inputs/walk.mp4", "--output", "out")
    with refused("changed", "walk.json", "quality"):
        run("inputs/walk.mp4", "--output", "out", "--quality", "30")
    size = Path("out/walk.mp4").stat().st_size
    run("inputs/walk.mp4", "--output", "out", "--quality", "40", "--overwrite")
    assert Path("out/walk.mp4").stat().st_size < size


def test_inputs_and_files_of_others_are_never_replaced(folder):
    kept = Path("inputs/walk.mp4").read_bytes()
    with refused("exists", "inputs/walk.mp4", "--output"):
        run("inputs/walk.mp4", "--output", "inputs")
    Path("out").mkdir()
    for name in ("walk.mp4", "walk.json", "walk.sheet.jpg", "walk.side_by_side.mp4"):
        Path("out", name).write_bytes(b"mine")
        with refused("exists", name):
            run("inputs/walk.mp4", "--output", "out", "--side_by_side")
        assert Path("out", name).read_bytes() == b"mine"
        Path("out", name).unlink()
    assert Path("inputs/walk.mp4").read_bytes() == kept and not list(Path("out").iterdir())


def test_a_clip_that_cannot_be_read_does_not_stop_the_others(folder, capsys):
    Path("inputs/bad.mkv").write_bytes(b"not a clip")
    assert run("inputs", "--output", "out") == 0
    assert "clips    3 given: 2 unmasked, 1 skipped, see out/skipped.csv" in capsys.readouterr().out
    rows = Path("out/skipped.csv").read_text()
    assert "inputs/bad.mkv" in rows and "file is not a video" in rows
    with refused("unreadable", "bad.mkv"):
        run("inputs/bad.mkv", "--output", "alone")


def test_lossless_start_end_and_marks(folder):
    run("inputs", "--output", "out", "--format", "lossless", "--start", "0.04", "--end", "0:00.16", "--no_mark")
    assert [float(time) for time in frame_times("out/walk.mkv")] == [0, 0.04, 0.08]
    assert report("out/walk.json")["settings"]["mark"] is False
    # Photos are PNGs then.
    assert Path("out/photo.png").is_file() and report("out/photo.json")["settings"]["format"] == "png"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["inputs", "--start", "2", "--end", "1:30", "--end", "1.5"], "--end 1.5"),
        (["inputs/photo.png", "--start", "2"], "--start"),
        (["inputs", "--emotion", "all"], "walk"),
        (["inputs", "--start", "soon"], "soon"),
        (["inputs", "--quality", "99"], "99"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(folder, words, named):
    with refused("usage", named):
        run(*words, "--output", "out")
    assert not Path("out").exists()


def test_times():
    assert [clip_time(text) for text in ("90", "1:30.5", "0:01:30")] == [90, Fraction("90.5"), 90]
    for text in ("", "-1", "1:2:3:4", "1:", "a", "1e5"):
        with pytest.raises(Exception, match="not a time"):
            clip_time(text)


def test_animations_are_clips_when_asked(folder):
    pictures = [Image.fromarray(picture(index)) for index in range(3)]
    pictures[0].save("inputs/moving.gif", save_all=True, append_images=pictures[1:], duration=100)
    pictures[0].save("inputs/still.gif")
    assert {clip.path.name for clip in list_inputs(["inputs"], "out", False)[1]} == {"walk.MOV", "walk.mp4"}
    found = list_inputs(["inputs"], "out", True)[1]
    assert {clip.path.name for clip in found} == {"walk.MOV", "moving.gif", "walk.mp4"}
    run("inputs/moving.gif", "--output", "out", "--animations")
    assert len(frame_times("out/moving.mp4")) == 3


def test_a_video_is_known_by_its_content_too(folder):
    Path("inputs/walk.mp4").rename("inputs/clip")
    assert [clip.path.name for clip in list_inputs(["inputs/clip"], "out", False)[1]] == ["clip"]
    # A photo stays a photo, whatever its name.
    Path("inputs/photo.png").rename("inputs/photo.mp4")
    listing, clips = list_inputs(["inputs/photo.mp4"], "out", False)
    assert clips == [] and len(listing.photos) == 1


def test_without_pyav_one_line_says_what_to_install(folder, monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == "av":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    for words in (["inputs/walk.mp4"], ["inputs/deep"], ["inputs/photo.png", "inputs/walk.mp4"]):
        with refused("missing_extra", "walk", "pip install 'rac_unet[video]'"):
            run(*words, "--output", "out")
    assert not Path("out").exists()
    # Clips in a folder do not keep its photos from being unmasked.
    assert run("inputs", "--output", "out") == 0
    rows = Path("out/skipped.csv").read_text()
    assert "walk.mp4,clips need PyAV" in rows and Path("out/photo.png").is_file()
