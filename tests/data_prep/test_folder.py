"""A folder of labelled photos becomes a data set of pairs; faults are reported before or with it."""

import csv
import errno
import io
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep import folder
from data_prep.sources.labels import read_labels
from rac_unet.core.errors import UserError
from rac_unet.core.files import whole
from rac_unet.core.files.output_folder import OutputFolder
from rac_unet.data import pairs
from rac_unet.synthesis.toys.face import draw_face
from tests.refusals import refused

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("RAC_UNET_SHARED", ROOT.parent / "shared")) / "data"


def photo(identity=0, seed=0, size=160, border=40):
    """(H, W, 3) RGB: a drawn face with a margin, which the face detector finds."""
    image = draw_face(identity, "neutral", seed, size).image
    return cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE)


def encoded(image, extension=".jpg"):
    return cv2.imencode(extension, np.ascontiguousarray(image[..., ::-1]))[1].tobytes()


def write_labels(path, rows, header="path,emotion"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def run(photos, labels, output, *more):
    return folder.main(
        ["--photos", str(photos), "--labels", str(labels), "--output", str(output), "--workers", "1", *more]
    )


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def tree(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in Path(path).rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twelve plain photos in two subfolders."""
    root = tmp_path_factory.mktemp("photos")
    for number in range(12):
        path = root / ("a" if number % 2 else "b") / f"face {number}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(photo(number, number)))
    return root


@pytest.fixture(scope="module")
def labels(photos):
    rows = [f"{'a' if n % 2 else 'b'}/face {n}.jpg,{'Happy' if n % 3 else 'anger'},p{n // 2}" for n in range(12)]
    return write_labels(photos / "labels.csv", rows, "path,emotion,identity")


@pytest.fixture(scope="module")
def prepared(photos, labels, tmp_path_factory):
    output = tmp_path_factory.mktemp("prepared") / "set"
    assert run(photos, labels, output, "--variants", "2", "--size", "96") == 0
    return output


def test_photos_become_pairs(prepared):
    found = pairs.read(prepared)
    assert len(found) == 24 and found.image_size == 96
    assert found.emotion_counts()["happiness"] == 16 and found.emotion_counts()["anger"] == 8
    assert found.frame["unmasked"].nunique() == 12 and found.frame["masked"].nunique() == 24
    assert set(found.frame["identity"]) == {f"p{n}" for n in range(6)}
    assert table(prepared / "skipped.csv") == [] and found.frame["mask_style"].nunique() > 2
    for index in range(0, 24, 5):
        masked, unmasked = (cv2.imread(found.paths(column)[index]) for column in ("masked", "unmasked"))
        seen = cv2.imread(found.paths("occlusion")[index], cv2.IMREAD_UNCHANGED) == 0
        assert (masked[seen] == unmasked[seen]).all() and 0.3 < seen.mean() < 0.9


def test_two_workers_and_other_chunks_give_the_same_bytes(photos, labels, prepared, tmp_path):
    run(photos, labels, tmp_path / "set", "--variants", "2", "--size", "96", "--workers", "2")
    assert tree(tmp_path / "set") == tree(prepared)


def test_the_report_summarises_the_set(photos, labels, tmp_path, capsys):
    run(photos, labels, tmp_path / "set", "--source", "mine", "--styles", "kn95,bandana")
    said = capsys.readouterr().out
    assert "train" in said and "happiness" in said and "% of the pixels" in said and "photos a second" in said
    assert str(tmp_path / "set/pairs.csv") in said
    frame = pairs.read(tmp_path / "set").frame
    assert set(frame["source"]) == {"mine"} and set(frame["mask_style"]) <= {"kn95", "bandana"}


def test_odd_photos_are_handled_and_bad_ones_skipped_with_a_reason(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    image = photo()
    jpeg = encoded(image)
    pil = pytest.importorskip("PIL.Image")

    def saved(kind, picture=None, mode="RGB", **options):
        stream = io.BytesIO()
        pil.fromarray(image if picture is None else picture).convert(mode).save(stream, kind, **options)
        return stream.getvalue()

    exif = pil.Exif()
    exif[0x0112] = 6
    good = {
        "cmyk.jpg": saved("JPEG", mode="CMYK"),
        "grey.png": saved("PNG", mode="L"),
        "rgba.png": saved("PNG", mode="RGBA"),
        "palette.png": saved("PNG", mode="P"),
        "animated.gif": saved("GIF", save_all=True, append_images=[pil.new("RGB", (240, 240))]),
        "deep.png": encoded(image.astype(np.uint16) * 257, ".png"),
        "turned.jpg": saved("JPEG", np.rot90(image), exif=exif),
        "large.jpg": encoded(cv2.resize(image, (5000, 5000))),
        "two.jpg": encoded(
            np.hstack([photo(3, border=20), photo(1, size=180, border=30)[20:-20], photo(2, border=20)])
        ),
    }
    bad = {
        "cut.jpg": (jpeg[: len(jpeg) // 2], "cut off"),
        "empty.jpg": (b"", "empty"),
        "text.jpg": (b"this is not a picture", "not an image"),
        "blank.png": (encoded(np.full((200, 200, 3), 120, np.uint8), ".png"), "no face"),
        "thin.png": (encoded(np.full((1, 3000, 3), 120, np.uint8), ".png"), "no face"),
        "dot.png": (encoded(np.full((1, 1, 3), 120, np.uint8), ".png"), "no face"),
        "tiny.png": (
            encoded(cv2.resize(image, (24, 24), interpolation=cv2.INTER_AREA), ".png"),
            "pixels wide|no face",
        ),
        "missing.jpg": (None, "missing"),
    }
    for name, content in [*good.items(), *((name, content) for name, (content, _) in bad.items())]:
        if content is not None:
            (root / name).write_bytes(content)
    labels = write_labels(tmp_path / "labels.csv", [f"{name},neutral" for name in [*good, *bad]])
    assert run(root, labels, tmp_path / "set") == 0

    skipped = {row["path"]: row["reason"] for row in table(tmp_path / "set/skipped.csv")}
    assert set(skipped) == set(bad)
    for name, (_, words) in bad.items():
        assert any(word in skipped[name] for word in words.split("|")), (name, skipped[name])
    found = pairs.read(tmp_path / "set")
    assert len(found) == len(good)
    notes = table(tmp_path / "set/notes.csv")
    assert [row["path"] for row in notes] == ["two.jpg"] and "3 faces" in notes[0]["note"]
    crops = dict(zip(good, (cv2.imread(path) for path in found.paths("unmasked")), strict=True))
    for name in ("rgba.png", "deep.png", "turned.jpg", "large.jpg"):
        assert np.abs(crops[name].astype(int) - crops["rgba.png"]).mean() < 12, name


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        ("path,emotion", "x.jpg,joy", ["line 3", "'joy'", "surprise, fear, disgust"]),
        ("path,emotion", "x.jpg,3", ["line 3", "'3'"]),
        ("path,emotion", "../x.jpg,fear", ["line 3", "leads out"]),
        ("path,emotion", "..\\x.jpg,fear", ["line 3", "leads out"]),
        ("path,emotion", "/etc/x.jpg,fear", ["line 3", "absolute"]),
        ("path,emotion", ",fear", ["line 3", "names no file"]),
        ("path,emotion", "a.jpg,fear", ["line 3", "already on line 2"]),
        ("path,emotion", "./a.jpg,fear", ["line 3", "already on line 2"]),
        ("path,emotion,split", "x.jpg,fear,dev", ["line 3", "'dev'", "train, val, test"]),
        ("path,emotion,split,identity", "x.jpg,fear,val,p", ["line 3", "identity 'p'", "'train' on line 2"]),
    ],
)
def test_label_faults_are_reported_before_any_work(photos, tmp_path, header, row, words):
    labels = write_labels(tmp_path / "labels.csv", ["a.jpg,anger,train,p", row], header)
    with pytest.raises(UserError) as error:
        run(photos, labels, tmp_path / "set")
    assert error.value.kind == "bad_row"
    for word in words:
        assert word in str(error.value)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("kind", "header", "named"),
    [
        ("bad_layout", "path,feeling", ["path, feeling", "emotion"]),
        ("bad_layout", "", ["path and emotion", "a.jpg"]),
        ("ambiguous", "path,label,class", ["'label'", "'class'"]),
    ],
)
def test_the_refusal_of_a_header_shows_its_columns(photos, tmp_path, kind, header, named):
    labels = write_labels(tmp_path / "labels.csv", ["a.jpg,anger,fear"], header)
    with refused(kind, labels, *named):
        run(photos, labels, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_all_bad_rows_are_listed_at_once():
    content = b"path,emotion\na.jpg,joy\nb.jpg,anger\nb.jpg,anger\n/c.jpg,fear\n"
    with pytest.raises(UserError) as error:
        read_labels("labels.csv", content, 0)
    assert [f"line {n}:" in str(error.value) for n in (2, 3, 4, 5)] == [True, False, True, True]


def test_photos_without_an_emotion(tmp_path):
    content = b"path,emotion\na.jpg,fear\nb.jpg,\n"
    with pytest.raises(UserError) as caught:
        read_labels("labels.csv", content, 0)
    assert caught.value.kind == "bad_row" and "line 3: unknown emotion ''" in str(caught.value)
    photos = read_labels("labels.csv", content, 0, unlabelled="neutral").photos
    assert [photo.emotion for photo in photos] == ["fear", "neutral"]


def test_label_files_as_spreadsheets_write_them():
    content = '\ufeffPath, Emotion ,age\r\n"x, y\\a.jpg", Happy,3\r\n\r\nb.jpg,NEUTRAL\r\n'.encode()
    first, second = read_labels("labels.csv", content, 0).photos
    assert (first.path, first.emotion) == ("x, y/a.jpg", "happiness")
    assert (second.path, second.emotion) == ("b.jpg", "neutral")


@pytest.mark.parametrize(
    ("encoding", "delimiter", "end"),
    [("utf-8-sig", ";", "\r\n"), ("utf-16", "\t", "\n"), ("cp1252", ",", "\r"), ("utf-8", "|", "\n")],
)
def test_label_files_in_any_encoding_and_separator(encoding, delimiter, end):
    text = "path,Emotion ,identity\n é.jpg , Happy,Zoë\n".replace(",", delimiter).replace("\n", end)
    source = read_labels("labels.csv", text.encode(encoding), 0)
    (photo,) = source.photos
    assert (photo.path, photo.emotion, photo.identity) == ("é.jpg", "happiness", "Zoë")
    assert any("Windows-1252" in remark for remark in source.remarks) == (encoding == "cp1252")


def test_numbers_for_emotions_need_a_numbering():
    content = b"path,emotion\na.jpg,0\nb.jpg,7\nc.jpg,3\n"
    with refused("ambiguous", "labels.csv", "0 (1 x)", "--numbering affectnet"):
        read_labels("labels.csv", content, 0)
    photos = read_labels("labels.csv", content.replace(b"7", b"6"), 0, numbering="fer2013").photos
    assert [photo.emotion for photo in photos] == ["anger", "neutral", "happiness"]
    with pytest.raises(UserError, match="line 3: .*'3'") as error:
        read_labels("labels.csv", b"path,emotion\na.jpg,fear\nc.jpg,3\n", 0)
    assert error.value.kind == "bad_row"


def test_names_with_accents_are_found_in_any_unicode_form(tmp_path, trees):
    composed, decomposed = (unicodedata.normalize(form, "é/ü.jpg") for form in ("NFC", "NFD"))
    trees.save(tmp_path / "photos" / decomposed, None, b"x")
    labels = write_labels(tmp_path / "labels.csv", [f"{composed},fear"])
    options = folder._parser().parse_args(
        ["--photos", str(tmp_path / "photos"), "--labels", str(labels), "--output", str(tmp_path / "set")]
    )
    source = folder._read_source(tmp_path / "photos", options)
    assert [photo.path for photo in source.photos] == [decomposed] and source.rejected == []
    assert source.photos[0].key == read_labels("l", labels.read_bytes(), 0).photos[0].key


def test_without_identity_each_photo_is_an_identity_and_splits_are_by_identity():
    alone = read_labels("l", b"path,emotion\na.jpg,fear\nb/a.jpg,fear\n", 0).photos
    assert len({photo.identity for photo in alone}) == 2 and len({photo.key for photo in alone}) == 2
    rows = "".join(f"{n}.jpg,fear,p{n % 40}\n" for n in range(200))
    people = read_labels("l", b"path,emotion,identity\n" + rows.encode(), 3).photos
    assert len({(photo.identity, photo.split) for photo in people}) == 40
    assert {photo.split for photo in people} == set(pairs.SPLITS)
    partly = read_labels("l", b"path,emotion,identity,split\na,fear,p,test\nb,fear,p,\n", 0).photos
    assert [photo.split for photo in partly] == ["test", "test"]


def test_missing_or_empty_inputs(photos, labels, tmp_path):
    (tmp_path / "empty").mkdir()
    for wrong, kind in (
        (tmp_path / "none", "missing"),
        (tmp_path / "empty", "empty"),
        (labels, "wrong_type"),
    ):
        with refused(kind, "--photos", wrong):
            run(wrong, labels, tmp_path / "set")
    with refused("missing", "--labels", tmp_path / "none.csv"):
        run(photos, tmp_path / "none.csv", tmp_path / "set")
    with refused("empty", tmp_path / "l.csv"):
        run(photos, write_labels(tmp_path / "l.csv", []), tmp_path / "set")
    with refused("empty", "1 x file is missing", "skipped.csv"):
        run(photos, write_labels(tmp_path / "l.csv", ["gone.jpg,fear"]), tmp_path / "set")
    assert not (tmp_path / "set/pairs.csv").exists()


def test_an_output_with_other_content_is_refused(photos, labels, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with refused("exists", "precious.txt"):
        run(photos, labels, tmp_path)
    with refused("wrong_type", tmp_path / "precious.txt"):
        run(photos, labels, tmp_path / "precious.txt")
    assert sorted(os.listdir(tmp_path)) == ["precious.txt"]


def test_an_output_in_use_is_refused_unless_its_owner_is_dead(photos, labels, tmp_path):
    output = tmp_path / "set"
    with (
        OutputFolder(output, {"a": 1}, "pairs.csv"),
        refused("exists", output, os.getpid()),
    ):
        OutputFolder(output, {"a": 1}, "pairs.csv").__enter__()
    assert not (output / ".lock").exists()
    (output / ".lock").write_text("1\n")  # as left by a killed owner
    with OutputFolder(output, {"a": 1}, "pairs.csv"):
        pass


def test_other_labels_or_settings_are_refused_with_the_difference(photos, labels, prepared, tmp_path):
    other = write_labels(tmp_path / "l.csv", ["a/face 1.jpg,fear"])
    with refused("changed", "source_sha256", "variants: 2 there, 1 now"):
        run(photos, other, prepared, "--size", "96")


def test_a_full_disk_stops_the_run_which_can_be_continued(photos, labels, prepared, tmp_path, monkeypatch):
    output = tmp_path / "set"
    written = []

    class FullDisk(io.FileIO):
        def write(self, content):
            written.append(content)
            if len(written) > 50:
                super().write(content[:10])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(content)

    with monkeypatch.context() as patch:
        patch.setattr(whole, "open", lambda path, mode: FullDisk(path, mode), raising=False)
        with refused("unwritable", output, "8 of 12 photos"):
            run(photos, labels, output, "--variants", "2", "--size", "96")
    assert not [path for path in output.rglob("*") if path.suffix == ".tmp" or path.name == ".unfinished"]
    assert all(path.read_bytes().endswith(b"IEND\xaeB`\x82") for path in output.rglob("*.png"))
    run(photos, labels, output, "--variants", "2", "--size", "96")
    assert tree(output) == tree(prepared)


def test_help_is_fast_and_bad_numbers_are_explained():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "data_prep.folder", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "default: 128" in done.stdout and "--variants" in done.stdout
    assert not [name for name in ("numpy", "cv2", "pandas") if f" {name}\n" in done.stderr]
    done = subprocess.run(
        [sys.executable, "-m", "data_prep.folder", "--variants", "0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "1 or more" in done.stderr


def test_real_photos(tmp_path):
    if not (SHARED / "faces/labels.csv").exists():
        pytest.skip("the shared development photos are not here")
    rows = (SHARED / "faces/labels.csv").read_text().splitlines()
    labels = write_labels(tmp_path / "l.csv", rows[1:9], rows[0])
    run(SHARED / "faces", labels, tmp_path / "set")
    assert len(pairs.read(tmp_path / "set")) == 8
