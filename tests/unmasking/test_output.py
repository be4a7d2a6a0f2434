"""The output folder: finished photos are skipped, and files not written by predict are never replaced."""

import dataclasses
import io
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from rac_unet.photos.metadata import SOURCE_TYPE, PhotoMetadata, read_metadata
from rac_unet.photos.reading import UnreadablePhoto, read_photo
from rac_unet.unmasking.inputs import list_photos
from rac_unet.unmasking.output import ResultFolder, Settings, encode_result, faces_of
from tests.refusals import refused

SETTINGS = Settings("happiness", "net@1", "png", False, False)
PICTURE = np.arange(6 * 9 * 3, dtype=np.uint8).reshape(6, 9, 3)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.jpg", "in/deep/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return list_photos(["in"], "out").photos


def plan(photos, tmp_path, settings=SETTINGS, overwrite=False, folder="out"):
    output = ResultFolder(tmp_path / folder, settings)
    return output, *output.plan(photos, overwrite)


def write(output, planned, painted=1):
    output.write(planned, {"": PICTURE}, PhotoMetadata(), painted, {"photo": str(planned.photo.path), "faces": []})


def test_results_mirror_the_photos_folders_and_a_second_call_skips_them(photos, tmp_path):
    output, todo, finished = plan(photos, tmp_path)
    assert len(todo) == 2 and finished == [] and not (tmp_path / "out").exists()
    for planned in todo:
        write(output, planned)
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")) == [
        "a.json",
        "a.png",
        "deep/b.json",
        "deep/b.png",
    ]
    assert (read_photo(tmp_path / "out/deep/b.png") == PICTURE).all()
    report = json.loads((tmp_path / "out/a.json").read_text())
    assert report["synthetic"] is True and report["results"] == ["a.png"] and report["settings"]["model"] == "net@1"
    _, todo, finished = plan(photos, tmp_path)
    assert todo == [] and len(finished) == 2
    assert len(plan(photos, tmp_path, overwrite=True)[1]) == 2


def test_a_changed_photo_or_a_missing_result_is_processed_again(photos, tmp_path):
    output, todo, _ = plan(photos, tmp_path)
    for planned in todo:
        write(output, planned)
    (tmp_path / "in/a.jpg").write_text("another photo now")
    (tmp_path / "out/deep/b.png").unlink()
    assert len(plan(photos, tmp_path)[1]) == 2


def test_a_result_without_its_report_is_processed_again(photos, tmp_path):
    output, todo, _ = plan(photos, tmp_path)
    write(output, todo[0])
    todo[0].report.unlink()
    assert len(plan(photos, tmp_path)[1]) == 2, "stopped between the two files"


def as_before(path):
    """Turn a report into one of the version before maps, chosen faces and `--max_side`."""
    report = json.loads(path.read_text())
    report["settings"] = {
        name: report["settings"][name] for name in ("emotion", "model", "format", "side_by_side", "mark")
    }
    del report["map_file"]
    report["faces"] = [{"masked": True}, {"masked": False}]
    path.write_text(json.dumps(report, indent=1))


def test_reports_of_earlier_versions_count_as_finished(photos, tmp_path):
    output, todo, _ = plan(photos, tmp_path)
    for planned in todo:
        write(output, planned)
        as_before(planned.report)
    _, todo, finished = plan(photos, tmp_path)
    assert todo == [] and [faces_of(planned) for planned in finished] == [(2, 1), (2, 1)]
    for name, value in {
        "faces": "largest",
        "box": "0,0,9,9",
        "max_side": 99,
        "write_map": True,
        "format": "same",
    }.items():
        with refused("changed", f"({name})"):
            plan(photos, tmp_path, dataclasses.replace(SETTINGS, **{name: value}))


def test_a_photo_with_another_map_is_processed_again(photos, tmp_path):
    (tmp_path / "map.png").write_text("a map")
    mapped = [dataclasses.replace(photo, map=tmp_path / "map.png") for photo in photos]
    output, todo, _ = plan(mapped, tmp_path)
    for planned in todo:
        write(output, planned)
    assert len(plan(mapped, tmp_path)[2]) == 2 and len(plan([photos[0], mapped[1]], tmp_path)[1]) == 1
    (tmp_path / "map.png").write_text("an edited map")
    assert len(plan(mapped, tmp_path)[1]) == 2


def test_other_settings_or_another_photo_are_refused(photos, tmp_path):
    output, todo, _ = plan(photos, tmp_path)
    write(output, todo[0])
    with refused("changed", "a.json", "emotion", "--overwrite"):
        plan(photos, tmp_path, Settings("anger", "net@1", "png", False, False))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.jpg").write_text("the name is the same")
    with refused("exists", "a.json", "in/a.jpg"):
        plan(list_photos(["elsewhere"], "out").photos, tmp_path)


def test_files_not_written_by_predict_are_never_replaced(photos, tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("a.png", "a.json"):
        (tmp_path / "out" / name).write_text("mine")
        for overwrite in (False, True):
            with refused("exists", tmp_path / "out" / name):
                plan(photos, tmp_path, overwrite=overwrite)
        (tmp_path / "out" / name).unlink()
    (tmp_path / "in/a.png").write_text("a photo")
    with refused("exists", tmp_path / "in/a.png", "--output"):
        plan(list_photos(["in/a.png"], "in").photos, tmp_path, folder="in", overwrite=True)


def test_another_skipped_csv_is_neither_replaced_nor_removed(photos, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/skipped.csv").write_text("path,reason\nmine\n")
    with refused("exists", tmp_path / "out/skipped.csv"):
        plan(photos, tmp_path)
    assert (tmp_path / "out/skipped.csv").read_text() == "path,reason\nmine\n"
    (tmp_path / "out/skipped.csv").write_text("photo,reason\nmine\n")
    assert len(plan(photos, tmp_path)[1]) == 2, "a list of an earlier call"


def foreign(path):
    """A picture of another program that contains this package's name in its bytes."""
    info = PngInfo()
    info.add_text("Comment", "my figure for the rac_unet paper, synthetic: face painted by rac_unet")
    Image.new("RGB", (4, 4)).save(path, pnginfo=info)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("a.png", SETTINGS),
        ("a.side_by_side.png", dataclasses.replace(SETTINGS, side_by_side=True)),
        ("a.emotions.png", dataclasses.replace(SETTINGS, emotion="all")),
    ],
)
def test_another_programs_picture_that_names_rac_unet_is_not_replaced(photos, tmp_path, name, settings):
    (tmp_path / "out").mkdir()
    before = foreign(tmp_path / "out" / name)
    for overwrite in (False, True):
        with refused("exists", tmp_path / "out" / name):
            plan(photos, tmp_path, settings, overwrite)
    assert (tmp_path / "out" / name).read_bytes() == before


def test_a_second_sheet_replaces_no_other_file(photos, tmp_path):
    output, todo, _ = plan(photos, tmp_path, dataclasses.replace(SETTINGS, emotion="all"))
    (tmp_path / "out").mkdir()
    before = foreign(tmp_path / "out/a.emotions-2.png")
    pages = {".emotions": PICTURE, ".emotions-2": PICTURE}
    with pytest.raises(UnreadablePhoto, match="a.emotions-2.png"):
        output.write(todo[0], pages, PhotoMetadata(), 1, {"photo": "a", "faces": []})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.emotions-2.png"]
    assert (tmp_path / "out/a.emotions-2.png").read_bytes() == before


def test_an_unchanged_copy_without_its_report_is_processed_again(photos, tmp_path):
    """It has no mark; stopping between writing the two files leaves it so."""
    (tmp_path / "out").mkdir()
    shutil.copy("in/a.jpg", tmp_path / "out/a.png")
    assert len(plan(photos, tmp_path)[1]) == 2
    (tmp_path / "out/a.png").write_text("in/a.jpG")
    with refused("exists", tmp_path / "out/a.png"):
        plan(photos, tmp_path)


def test_bytes_are_written_unchanged(photos, tmp_path):
    output, todo, _ = plan(photos, tmp_path)
    output.write(todo[0], {"": b"a file"}, PhotoMetadata(), 0, {"photo": "a", "faces": []})
    assert (tmp_path / "out/a.png").read_bytes() == b"a file"


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_every_format_has_the_mark_only_if_something_was_painted(kind):
    synthetic, unchanged = (encode_result(PICTURE, kind, PhotoMetadata(), painted) for painted in (True, False))
    xmp = [read_metadata(Image.open(io.BytesIO(content))).xmp for content in (synthetic, unchanged)]
    assert SOURCE_TYPE.encode() in xmp[0] and b"synthetic: face painted by rac_unet" in synthetic
    assert SOURCE_TYPE.encode() not in xmp[1] and b"synthetic" not in unchanged and b"no face painted" in unchanged


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_transparency_is_kept_if_the_format_supports_it(kind):
    alpha = np.arange(54, dtype=np.uint8).reshape(6, 9, 1) * 4
    content = encode_result(np.concatenate([PICTURE, alpha], axis=2), kind, PhotoMetadata(), False)
    assert (np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))[..., 3:] == alpha).all()


@pytest.mark.parametrize(("kind", "side"), [("webp", 16_384), ("jpeg", 65_501)])
def test_a_picture_too_large_for_its_format(kind, side):
    with pytest.raises(UnreadablePhoto, match="--format png"):
        encode_result(np.zeros((1, side, 3), np.uint8), kind, PhotoMetadata(), False)


def test_skipped_photos_are_listed_and_an_old_list_is_removed(tmp_path):
    output = ResultFolder(tmp_path / "out", SETTINGS)
    assert output.write_skipped([]) is None
    rows = [("a, b.jpg", "file is empty"), (os.fsdecode(b"\xff.jpg"), "file is missing")]
    path = output.write_skipped(rows)
    assert path.read_bytes() == b'photo,reason\n"a, b.jpg",file is empty\n\xff.jpg,file is missing\n'
    output.write_skipped([])
    assert not path.exists()
