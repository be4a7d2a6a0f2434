"""Photos found for files, folders and patterns, and the paths of their results."""

import json
import os
from pathlib import PurePath

import numpy as np
import pytest

from rac_unet.photos.metadata import PhotoMetadata
from rac_unet.unmasking.inputs import list_photos
from rac_unet.unmasking.output import encode_result


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Files a/x.jpg a/x.png a/deep/x.JPG a/notes.txt a/.hidden.jpg b/x.jpg in the working folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("a/x.jpg", "a/x.png", "a/deep/x.JPG", "a/notes.txt", "a/.hidden.jpg", "b/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def places(listing):
    return {str(photo.path): str(photo.place) for photo in listing.photos}


def test_a_folder_is_mirrored(tree):
    listing = list_photos(["a"], "out")
    assert places(listing) == {"a/x.jpg": "x", "a/x.png": "x-2", "a/deep/x.JPG": "deep/x"}
    assert listing.other_files == 2 and listing.missing == []


def test_photos_of_iphones_are_listed_even_if_they_cannot_be_read(tree):
    (tree / "b/IMG_0001.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert places(list_photos(["b"], "out")) == {"b/x.jpg": "x", "b/IMG_0001.HEIC": "IMG_0001"}


def test_several_folders_keep_their_names(tree):
    assert places(list_photos(["a", "b"], "out")) == {
        "a/x.jpg": "a/x",
        "a/x.png": "a/x-2",
        "a/deep/x.JPG": "a/deep/x",
        "b/x.jpg": "b/x",
    }
    assert (
        places(list_photos([".", "b"], "out"))["b/x.jpg"] == "b/x"
        or tree.name in places(list_photos([".", "b"], "out"))["b/x.jpg"]
    )


def test_files_and_patterns(tree):
    assert places(list_photos(["a/x.jpg", "a/x.png"], "out")) == {"a/x.jpg": "x", "a/x.png": "x-2"}
    assert places(list_photos(["a/x.jpg", "b/x.jpg"], "out")) == {"a/x.jpg": "a/x", "b/x.jpg": "b/x"}
    assert places(list_photos(["**/x.jpg"], "out")) == {"a/x.jpg": "a/x", "b/x.jpg": "b/x"}
    assert places(list_photos(["a/**/x.*"], "out")) == {"a/x.jpg": "x", "a/x.png": "x-2", "a/deep/x.JPG": "deep/x"}
    assert places(list_photos(["a/*"], "out"))["a/deep/x.JPG"] == "deep/x"
    assert places(list_photos(["a/notes.txt"], "out")) == {"a/notes.txt": "notes"}, "a file given by name is taken"


def test_a_file_is_taken_once(tree):
    listing = list_photos(["a", "a/x.jpg", "./a/../a/x.jpg", "a/*.jpg"], "out")
    assert sorted(photo.path.name for photo in listing.photos) == ["x.JPG", "x.jpg", "x.png"]


def test_missing_paths_are_listed(tree):
    assert list_photos(["nowhere.jpg", "no*.jpg", "a"], "out").missing == [
        ("nowhere.jpg", "this path does not exist"),
        ("no*.jpg", "no file matches this pattern"),
    ]
    assert list_photos(["b", "nothing/"], "out").missing[0][0] == "nothing/"


def test_the_output_folder_is_never_input(tree):
    for name in ("a/out/x.png", "a/out/deep/y.png", "a/outside/z.png"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("x")
    listing = list_photos(["a"], "a/out")
    assert listing.own_files == 2
    assert set(places(listing)) == {"a/x.jpg", "a/x.png", "a/deep/x.JPG", "a/outside/z.png"}
    assert list_photos(["a/**/*.png"], "a/out").own_files == 2


def test_results_among_photos_are_recognised_by_their_mark(tree):
    (tree / "a/x.png").write_bytes(encode_result(np.zeros((2, 3, 3), np.uint8), "png", PhotoMetadata(), False))
    for given, output in ((["a"], "a"), (["a"], "."), (["a/*"], "a")):
        listing = list_photos(given, output)
        assert set(places(listing)) == (
            {"a/x.jpg", "a/deep/x.JPG", "a/notes.txt"} if "a/*" in given else {"a/x.jpg", "a/deep/x.JPG"}
        )
        assert listing.own_files == 1
    assert set(places(list_photos(["a/x.png"], "a"))) == {"a/x.png"}, "a file given by name is taken"


def test_reports_are_not_counted_as_other_files(tree):
    (tree / "a/out/deep").mkdir(parents=True)
    for name in ("a/out/x.json", "a/out/deep/y.json", "a/x.json"):
        (tree / name).write_text(json.dumps({"photo": "x.jpg", "size": [1, 1]}, indent=1))
    (tree / "a/out/mine.json").write_text("{}")
    for name in ("a/out/skipped.csv", "a/out/deep/skipped.csv"):
        (tree / name).write_text("photo,reason\n")
    # Files outside the output folder are counted, like notes.txt.
    others = list_photos(["a"], "nowhere").other_files
    assert list_photos(["a"], "a/out").other_files == others - 3


def test_folders_named_like_photos_broken_links_and_link_loops(tree):
    (tree / "b/folder.jpg").mkdir()
    (tree / "b/folder.jpg/y.png").write_text("x")
    os.symlink(tree / "gone.jpg", tree / "b/link.jpg")
    os.symlink(tree / "b", tree / "b/loop")
    assert set(places(list_photos(["b"], "out"))) == {"b/x.jpg", "b/folder.jpg/y.png", "b/link.jpg"}
    assert set(places(list_photos(["b/link.jpg"], "out"))) == {"b/link.jpg"}


def test_result_paths_are_unique_even_without_case(tree):
    (tree / "a/X.jpg").write_text("x")
    (tree / "a/x-2.jpg").write_text("x")
    found = [str(photo.place).casefold() for photo in list_photos(["a"], "out").photos]
    assert len(found) == len(set(found)) == 5
    assert all(not PurePath(place).is_absolute() and ".." not in PurePath(place).parts for place in found)


def test_a_link_to_its_own_parent_repeats_no_photo(tree):
    os.symlink(tree / "a", tree / "a/deep/up")
    os.symlink(tree / "b", tree / "a/linked")
    everything = {"a/x.jpg", "a/deep/x.JPG", "a/linked/x.jpg"}
    assert set(places(list_photos(["a/**/*.[jJ][pP][gG]"], "out"))) == everything
    listing = list_photos(["a"], "out")
    assert set(places(listing)) == everything | {"a/x.png"}
    assert "1 link to a folder above it" in listing.left_out.describe() and listing.missing == []


def test_a_folder_behind_a_dead_link_is_missing(tree):
    os.symlink(tree / "gone", tree / "b/deep")
    assert [name for name, _ in list_photos(["b"], "out").missing] == ["b/deep"]


def test_results_in_another_folder_are_not_taken_as_photos(tree):
    """Painted results have the mark, unchanged copies have a report; both are recognised in any folder."""
    for name in ("a/out1", "a/deep/out2"):
        (tree / name).mkdir(parents=True)
        (tree / name / "painted.png").write_bytes(
            encode_result(np.zeros((2, 3, 3), np.uint8), "png", PhotoMetadata(), True)
        )
        (tree / name / "copied.jpg").write_text("x")
        report = {"photo": "a/copied.jpg", "results": ["copied.jpg", "copied.map.png"]}
        (tree / name / "copied.map.png").write_text("a map that was edited, which removes the mark")
        (tree / name / "copied.json").write_text(json.dumps(report, indent=1))
        (tree / name / "added.jpg").write_text("somebody put it there")
    found = places(list_photos(["a"], "out3"))
    assert set(found) == {"a/x.jpg", "a/x.png", "a/deep/x.JPG", "a/out1/added.jpg", "a/deep/out2/added.jpg"}
    assert list_photos(["a"], "out3").own_files == 6 and list_photos(["a/**/*.png"], "out3").own_files == 4
    named = ["a/out1/painted.png", "a/out1/copied.jpg"]
    assert set(places(list_photos(named, "out3"))) == set(named), "a file given by name is taken"


def test_a_report_that_lists_other_files_does_not_count(tree):
    for content in ("{}", '{"results": ["x.jpg"]}', json.dumps({"photo": 1, "results": ["y.png"]}, indent=1)):
        (tree / "b/x.json").write_text(content)
        assert set(places(list_photos(["b"], "out"))) == {"b/x.jpg"}
