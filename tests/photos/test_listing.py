"""Listing photos: every real file once, links followed without endless loops, files left out counted by reason."""

import os
import unicodedata

import pytest

from rac_unet.photos import listing
from rac_unet.photos.listing import DEAD_LINK, LEADS_OUT, LeftOut, find_name, find_photos, match_pattern


@pytest.fixture
def tree(tmp_path):
    for name in ("photos/happy/a.jpg", "photos/happy/b.PNG", "photos/notes.txt", "away/deep/c.heic", "away/d.avif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def paths(root, left_out=None, **options):
    return [photo.path for photo in find_photos(root, left_out or LeftOut(), **options)]


def test_links_to_folders_are_followed_once(tree):
    os.symlink(tree / "away", tree / "photos/angry")
    os.symlink(tree / "photos", tree / "photos/happy/up")
    os.symlink(tree / "gone", tree / "photos/sad")
    os.symlink(tree / "away/d.avif", tree / "photos/happy/d.avif")
    left_out = LeftOut()
    assert paths(tree / "photos", left_out) == ["angry/deep/c.heic", "happy/a.jpg", "happy/b.PNG", "happy/d.avif"]
    assert left_out.missing == [("sad", DEAD_LINK)]
    assert dict(left_out.repeated)["happy/up"] == "is a link to a folder above it"
    assert left_out.passed == {".txt": 1}
    assert all(word in left_out.describe() for word in ("1 .txt", "1 link to a folder above it"))


def test_links_out_of_the_folder_are_reported_when_not_followed(tree):
    os.symlink(tree / "away", tree / "photos/angry")
    left_out = LeftOut()
    assert paths(tree / "photos", left_out, outside=False) == ["happy/a.jpg", "happy/b.PNG"]
    assert left_out.missing == [("angry", LEADS_OUT)]


def test_folders_that_link_to_each_other_are_listed_once(tree):
    for one, other in (("photos", "away"), ("away", "photos")):
        os.symlink(tree / other, tree / one / "other")
    found = find_photos(tree / "photos", LeftOut())
    assert sorted(os.path.basename(photo.path) for photo in found) == ["a.jpg", "b.PNG", "c.heic", "d.avif"]
    assert len({photo.real for photo in found}) == 4


def test_the_preferred_name_of_a_file_with_two_names_is_listed(tree):
    os.symlink(tree / "photos/happy", tree / "photos/all")
    assert paths(tree / "photos") == ["happy/a.jpg", "happy/b.PNG"]
    first = find_photos(tree / "photos", LeftOut(), prefer=lambda path: path.startswith("all/"))[0]
    assert (first.path, first.others) == ("all/a.jpg", ("happy/a.jpg",))


def test_folders_that_cannot_be_opened_are_reported(tree, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("happy"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(listing.os, "scandir", refuse)
    left_out = LeftOut()
    assert paths(tree / "photos", left_out) == []
    paths(tree / "photos/happy", left_out)
    reason = "folder cannot be opened: Permission denied"
    assert left_out.missing == [("happy", reason), (".", reason)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("photos/**/*.jpg", ["happy/a.jpg"]),
        ("photos/**", ["happy/a.jpg", "happy/b.PNG", "notes.txt"]),
        ("photos/**/*", ["happy/a.jpg", "happy/b.PNG", "notes.txt"]),
        ("photos/h*/**/?.PNG", ["b.PNG"]),
        ("photos/*.txt", ["notes.txt"]),
        ("photos/**/hap*", ["happy"]),
        ("**/d.*", ["away/d.avif"]),
        ("photos/**/*.gif", []),
        ("nowhere/**/*.gif", []),
    ],
)
def test_patterns_end_at_cyclic_links(tree, monkeypatch, pattern, found):
    monkeypatch.chdir(tree)
    os.symlink(tree / "photos", tree / "photos/happy/up")
    _, matches = match_pattern(pattern, LeftOut())
    fixed = "photos/happy" if pattern == "photos/h*/**/?.PNG" else None
    assert [below.removeprefix("happy/") if fixed else below for _, below in matches] == found
    assert all(os.path.exists(path) for path, _ in matches)


def test_names_are_found_with_other_accent_encodings_and_blanks(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "é/naïve.jpg") for form in ("NFC", "NFD"))
    (tmp_path / decomposed).parent.mkdir()
    (tmp_path / decomposed).write_text("x")
    assert find_name(tmp_path, composed) == decomposed == find_name(tmp_path, decomposed)
    assert find_name(tmp_path, composed.replace("naïve.jpg", "other.jpg")) is None
    (tmp_path / "blank .jpg ").write_text("x")
    assert find_name(tmp_path, "blank .jpg") == "blank .jpg "
