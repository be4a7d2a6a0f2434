"""The folder of results: what is finished stays, what is somebody else's is never touched."""

import json
import os

import numpy as np
import pytest

from rac_unet.errors import UserError
from rac_unet.faces.photo_files import UnreadablePhoto, read_photo
from rac_unet.faces.photo_metadata import SOURCE_TYPE, PhotoMetadata, read_metadata
from rac_unet.inference.photo_inputs import list_photos
from rac_unet.inference.photo_output import OutputFolder, Settings, encode_result

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
    output = OutputFolder(tmp_path / folder, settings)
    return output, *output.plan(photos, overwrite)


def write(output, planned, painted=1):
    output.write(planned, {"": PICTURE}, PhotoMetadata(), painted, {"photo": str(planned.photo.path), "faces": []})


def test_results_lie_where_the_photos_did_and_a_second_run_has_nothing_to_do(photos, tmp_path):
    output, todo, finished = plan(photos, tmp_path)
    assert len(todo) == 2 and finished == [] and not (tmp_path / "out").exists()
    for planned in todo:
        write(output, planned)
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")) == [
        "a.json", "a.png", "deep/b.json", "deep/b.png",
    ]  # fmt: skip
    assert (read_photo(tmp_path / "out/deep/b.png") == PICTURE).all()
    report = json.loads((tmp_path / "out/a.json").read_text())
    assert report["synthetic"] is True and report["results"] == ["a.png"] and report["settings"]["model"] == "net@1"
    _, todo, finished = plan(photos, tmp_path)
    assert todo == [] and len(finished) == 2
    assert len(plan(photos, tmp_path, overwrite=True)[1]) == 2


def test_a_photo_that_changed_or_whose_result_is_gone_is_done_again(photos, tmp_path):
    output, todo, _ = plan(photos, tmp_path)
    for planned in todo:
        write(output, planned)
    (tmp_path / "in/a.jpg").write_text("another photo now")
    (tmp_path / "out/deep/b.png").unlink()
    assert len(plan(photos, tmp_path)[1]) == 2


def test_a_result_without_its_report_is_made_again(photos, tmp_path):
    output, todo, _ = plan(photos, tmp_path)
    write(output, todo[0])
    todo[0].report.unlink()
    assert len(plan(photos, tmp_path)[1]) == 2, "stopped between the two files"


def test_other_settings_or_another_photo_are_refused(photos, tmp_path):
    output, todo, _ = plan(photos, tmp_path)
    write(output, todo[0])
    with pytest.raises(UserError, match=r"a.json was made with other settings \(emotion\).*--overwrite"):
        plan(photos, tmp_path, Settings("anger", "net@1", "png", False, False))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.jpg").write_text("the name is the same")
    with pytest.raises(UserError, match="belongs to another photo"):
        plan(list_photos(["elsewhere"], "out").photos, tmp_path)


def test_files_of_others_are_never_replaced(photos, tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("a.png", "a.json"):
        (tmp_path / "out" / name).write_text("mine")
        for overwrite in (False, True):
            with pytest.raises(UserError, match=f"{name} is there already and was not written by predict"):
                plan(photos, tmp_path, overwrite=overwrite)
        (tmp_path / "out" / name).unlink()
    (tmp_path / "in/a.png").write_text("a photo")
    with pytest.raises(UserError, match="would replace a photo that was given"):
        plan(list_photos(["in/a.png"], "in").photos, tmp_path, folder="in", overwrite=True)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_the_mark_is_in_every_format_and_only_where_something_was_painted(kind):
    synthetic, unchanged = (encode_result(PICTURE, kind, PhotoMetadata(), painted) for painted in (True, False))
    assert SOURCE_TYPE.encode() in read_metadata(synthetic).xmp and b"synthetic: face painted by rac_unet" in synthetic
    assert read_metadata(unchanged).xmp == b"" and b"synthetic" not in unchanged


@pytest.mark.parametrize(("kind", "side"), [("webp", 16_384), ("jpeg", 65_501)])
def test_a_picture_too_large_for_its_format(kind, side):
    with pytest.raises(UnreadablePhoto, match="--format png"):
        encode_result(np.zeros((1, side, 3), np.uint8), kind, PhotoMetadata(), False)


def test_skipped_photos_are_listed_and_the_list_goes_with_them(tmp_path):
    output = OutputFolder(tmp_path / "out", SETTINGS)
    assert output.write_skipped([]) is None
    rows = [("a, b.jpg", "file is empty"), (os.fsdecode(b"\xff.jpg"), "file is missing")]
    path = output.write_skipped(rows)
    assert path.read_bytes() == b'photo,reason\n"a, b.jpg",file is empty\n\xff.jpg,file is missing\n'
    output.write_skipped([])
    assert not path.exists()
