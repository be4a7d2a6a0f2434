"""Which map belongs to which photo, and which listed files are maps."""

from pathlib import Path, PurePath

import pytest
from PIL import Image

from rac_unet.unmasking.choice.map_files import match_maps
from rac_unet.unmasking.inputs import PhotoFile
from tests.refusals import refused


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def touch(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def photos(*names, top="photos"):
    return [PhotoFile(Path(name), PurePath(name).relative_to(top).with_suffix("")) for name in names]


def matched(given, listed):
    found, out = match_maps(Path(given), listed)
    return {str(photo.path): photo.map and str(photo.map) for photo in found}, out


def test_maps_have_the_photos_names():
    touch("photos/a.jpg", "photos/deep/b.jpg", "photos/deep/c.png", "photos/d.jpg", "maps/d.txt", "maps/e.png")
    touch("maps/a.png", "maps/a.map.png", "maps/deep/b.bmp", "maps/b.png", "maps/c.PNG")
    listed = photos("photos/a.jpg", "photos/deep/b.jpg", "photos/deep/c.png", "photos/d.jpg")
    assert matched("maps", listed) == (
        {
            "photos/a.jpg": "maps/a.map.png",
            "photos/deep/b.jpg": "maps/deep/b.bmp",
            "photos/deep/c.png": "maps/c.PNG",
            "photos/d.jpg": None,
        },
        0,
    )


def test_maps_next_to_the_photos_are_no_photos():
    touch("photos/a.jpg", "photos/a.png", "photos/a.map.png", "photos/b.jpg")
    listed = photos("photos/a.jpg", "photos/a.png", "photos/a.map.png", "photos/b.jpg")
    listed[1] = PhotoFile(listed[1].path, PurePath("a-2"))
    assert matched("photos", listed) == (
        {"photos/a.jpg": "photos/a.map.png", "photos/a.png": "photos/a.map.png", "photos/b.jpg": None},
        1,
    )


def test_a_folder_of_maps_among_the_photos():
    touch("photos/a.jpg", "photos/maps/a.png", "photos/maps/other.png")
    listed = photos("photos/a.jpg", "photos/maps/a.png", "photos/maps/other.png")
    assert matched("photos/maps", listed) == ({"photos/a.jpg": "photos/maps/a.png"}, 2)


def test_one_map_for_all():
    touch("photos/a.jpg", "photos/b.jpg")
    Image.new("L", (4, 4)).save("photos/map.png")
    listed = photos("photos/a.jpg", "photos/b.jpg", "photos/map.png")
    assert matched("photos/map.png", listed) == (dict.fromkeys(["photos/a.jpg", "photos/b.jpg"], "photos/map.png"), 1)


def test_wrong_folders_and_files_are_refused():
    touch("photos/a.jpg", "maps/b.png", "two/a.png", "two/a.bmp", "bad.png")
    (listed,) = [photos("photos/a.jpg")]
    for given, kind, named in (
        ("gone", "missing", "gone"),
        ("maps", "missing", "a.png"),
        ("photos", "missing", "photos"),
        ("two", "ambiguous", "a.bmp"),
        ("bad.png", "unreadable", "bad.png"),
    ):
        with refused(kind, "--map", given, named):
            match_maps(Path(given), listed)
