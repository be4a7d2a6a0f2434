"""RAF-DB's three layouts become pairs with the right emotions; faults are counted."""

import cv2
import numpy as np
import pytest

from data_prep import rafdb
from data_prep.making.existing_masks import find_imposed_mask
from rac_unet.data import pairs
from tests.refusals import refused


def run(source, output, *more):
    arguments = ["--source", str(source), "--output", str(output), "--size", "64", "--workers", "1", *more]
    assert rafdb.main(arguments) == 0
    return pairs.read(output)


def emotions_by_number(found):
    """Return photo number -> emotion, and number -> split."""
    numbers = [int(key.split("_")[1].split("-")[0]) for key in found.keys]
    frame = found.frame.astype(str)
    return dict(zip(numbers, frame["emotion"], strict=True)), dict(zip(numbers, frame["split"], strict=True))


@pytest.fixture(scope="module")
def native(tmp_path_factory, trees):
    root = tmp_path_factory.mktemp("native")
    trees.rafdb_native(root, original=True)
    return root


@pytest.mark.parametrize("where", ["", "basic"])
def test_native_layout(trees, native, tmp_path, where, capsys):
    found = run(native / where, tmp_path / "set", "--val_share", "0.5")
    emotions, splits = emotions_by_number(found)
    assert emotions == {number: trees.RAFDB[number % 7] for number in range(14)}
    assert {number for number, split in splits.items() if split == "test"} == {6, 13}
    assert set(splits.values()) == {"train", "val", "test"}
    assert set(found.frame["source"]) == {"rafdb"} and "native layout" in capsys.readouterr().out
    # The whole aligned image is kept.
    own = cv2.resize(trees.face(0, "surprise"), (64, 64), interpolation=cv2.INTER_AREA).astype(int)
    kept = cv2.imread(found.paths("unmasked")[list(emotions).index(0)])[..., ::-1]
    assert np.abs(own - kept).mean() < 4


def test_originals_are_cropped_at_the_landmarks(trees, native, tmp_path):
    found = run(native, tmp_path / "set", "--images", "original")
    emotions, _ = emotions_by_number(found)
    assert emotions == {number: trees.RAFDB[number % 7] for number in range(14)}
    # There is another person at the right; without landmarks the face nearer to the middle would be used.
    from rac_unet.faces.align import align_face

    for row, number in enumerate(emotions):
        wanted = align_face(*trees.photo(number, emotions[number]), 64).image.astype(int)
        cut = cv2.imread(found.paths("unmasked")[row])[..., ::-1].astype(int)
        other = align_face(*trees.photo(number + 500), 64).image.astype(int)
        assert np.abs(cut - wanted).mean() < np.abs(cut - other).mean()


def test_repack_and_its_tables(trees, tmp_path):
    base = trees.rafdb_repack(tmp_path / "raf")
    (base / "train/3/train_00002_aligned.jpg").rename(base / "train/5/train_00002_aligned.jpg")
    trees.save(base / "train/8/train_00099_aligned.jpg", trees.face(99))
    trees.save(base / "train/stray.jpg", trees.face(98))
    (base / "train/1/train_00000_aligned.jpg").unlink()
    (base / "train/2/readme.txt").write_text("not an image")
    found = run(tmp_path / "raf", tmp_path / "set")
    emotions, _ = emotions_by_number(found)
    assert emotions == {n: trees.RAFDB[n % 7] for n in range(14) if n not in (0, 2)}
    rejected = trees.reasons(tmp_path / "set")
    assert "folder says sadness, train_labels.csv says disgust" in rejected["train/5/train_00002_aligned.jpg"]
    assert (
        "'8'" in rejected["train/8/train_00099_aligned.jpg"] and "1..7" in rejected["train/8/train_00099_aligned.jpg"]
    )
    assert "no numbered folder" in rejected["train/stray.jpg"]
    assert "there is no image" in rejected["train/train_00000_aligned.jpg"]
    assert len(rejected) == 4


def test_sorted_folders_keep_their_masks(trees, tmp_path):
    root, hidden = trees.rafdb_sorted(tmp_path / "raf")
    (root / "train/masked/0/7.jpg").unlink()
    (root / "train/unmasked/1/8.jpg").unlink()
    trees.save(root / "train/masked/2/2.png", trees.face(2))
    trees.save(root / "train/masked/3/3.jpg", trees.face(3, size=90))
    trees.save(root / "train/masked/4/4.jpg", trees.face(77, size=128))
    found = run(root, tmp_path / "set", "--size", "128")
    numbers = [int(key.split("-")[0]) for key in found.keys]
    emotions = found.frame["emotion"].astype(str)
    assert dict(zip(numbers, emotions, strict=True)) == {
        n: trees.RAFDB[n % 7] for n in range(14) if n not in (2, 3, 4, 7, 8)
    }
    rejected = trees.reasons(tmp_path / "set")
    assert "no masked image" in rejected["train/unmasked/0/7.jpg"]
    assert "no unmasked image" in rejected["train/masked/1/8.jpg"]
    assert "different endings" in rejected["train/masked/2/2.png"] and "train/masked/2/2.jpg" in rejected
    assert "90 x 90" in rejected["train/unmasked/3/3.jpg"] and "not one face" in rejected["train/unmasked/4/4.jpg"]
    columns = [found.paths(column) for column in pairs.IMAGE_COLUMNS]
    for number, masked, unmasked, occlusion in zip(numbers, *columns, strict=True):
        masked, unmasked = cv2.imread(masked), cv2.imread(unmasked)
        seen = cv2.imread(occlusion, cv2.IMREAD_UNCHANGED) == 0
        assert (masked[seen] == unmasked[seen]).all()
        solid = hidden[number] > 200
        assert (solid & seen).sum() < 0.03 * solid.sum() and (~seen).mean() < (hidden[number] > 0).mean() + 0.1


def test_compression_alone_is_not_a_mask(
    trees,
):
    image = trees.face(5, size=128)
    again = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)
    assert (find_imposed_mask(image, again) > 0).mean() < 0.03


def test_faults_of_the_label_list_are_counted(trees, tmp_path):
    base = trees.rafdb_native(tmp_path / "raf")
    listing = base / "EmoLabel/list_patition_label.txt"
    lines = listing.read_text().splitlines()
    lines[0] = "train_00000.jpg 8"
    lines[1] = "train_00001.jpg"
    lines += ["train_00003.jpg 4", "train_00004.jpg 1", "train_00777.jpg 2", "", "train_00005.jpg six"]
    listing.write_text("\n".join(lines))
    trees.save(base / "Image/aligned/train_00888_aligned.jpg", trees.face(8))
    trees.save(base / "Image/aligned/other_00001_aligned.jpg", trees.face(9))
    trees.save(base / "Image/aligned/train_00007_aligned.png", trees.face(7))
    (base / "Image/aligned/train_00008_aligned.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    emotions, _ = emotions_by_number(run(tmp_path / "raf", tmp_path / "set"))
    assert emotions == {n: trees.RAFDB[n % 7] for n in (2, 3, 6, 9, 10, 11, 12, 13)}
    rejected = trees.reasons(tmp_path / "set")
    for name, words in {
        "train_00000": "line 1: label '8' is not",
        "list_patition_label.txt line 2": "not a file name and a label",
        "list_patition_label.txt line 15": "repeats line 4",
        "train_00004": "lines 5 and 16 label it differently",
        "train_00777": "there is no image",
        "train_00005": "line 19: unknown emotion 'six'",
        "Image/aligned/train_00888_aligned.jpg": "no line of",
        "Image/aligned/train_00001_aligned.jpg": "no line of",
        "Image/aligned/train_00007_aligned.png": "different endings",
        "Image/aligned/train_00008_aligned.jpg": "",
    }.items():
        assert words in rejected[name], name


def test_the_refusal_of_an_unknown_layout_shows_the_known_ones(trees, tmp_path):
    trees.save(tmp_path / "raf/pictures/x.jpg", trees.face(1))
    with refused("bad_layout", "pictures", "list_patition_label.txt", "train/1", "train/masked/0"):
        run(tmp_path / "raf", tmp_path / "set")
    trees.save(tmp_path / "raf/pictures/happy/x.jpg", trees.face(1))
    with refused("bad_layout", "data_prep.folder --photos"):
        run(tmp_path / "raf", tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_two_layouts_in_one_folder_are_reported(trees, native, tmp_path, capsys):
    trees.rafdb_repack(tmp_path / "raf", 7)
    trees.rafdb_native(tmp_path / "raf", 7)
    assert len(run(tmp_path / "raf", tmp_path / "set")) == 7
    said = capsys.readouterr().out
    assert "native layout" in said and "note: repack layout in" in said
    run(tmp_path / "raf", tmp_path / "set2", "--layout", "repack")
    assert "repacked" in capsys.readouterr().out


def test_missing_images_and_contradictory_options(trees, native, tmp_path):
    base = trees.rafdb_native(tmp_path / "raf", 3)
    (base / "Image/original").mkdir()
    with refused("empty", base / "Image/original", "--images aligned"):
        run(tmp_path / "raf", tmp_path / "set", "--images", "original")
    with refused("usage", "--framing own"):
        run(native, tmp_path / "set", "--images", "original", "--framing", "own")
    with refused("missing", "--source", tmp_path / "none"):
        run(tmp_path / "none", tmp_path / "set")


def renumber(base, change):
    """Change the labels in the native list."""
    listing = base / "EmoLabel/list_patition_label.txt"
    rows = [line.split() for line in listing.read_text().splitlines()]
    listing.write_text("".join(f"{name} {change(int(label))}\n" for name, label in rows))
    return listing


def labelled(source):
    return {photo.key.split("-")[0]: photo.emotion for photo in source.photos}


def test_a_list_numbered_from_zero(trees, tmp_path):
    from data_prep.sources.rafdb_layouts import read_native

    base = trees.rafdb_native(tmp_path / "raf")
    expected = labelled(read_native(base, "aligned"))
    renumber(base, lambda label: label - 1)
    source = read_native(base, "aligned")
    assert labelled(source) == expected and source.rejected == []
    assert any("0 surprise" in remark and "--numbering" in remark for remark in source.remarks)
    assert labelled(read_native(base, "aligned", "alphabetical"))["train_00000_aligned"] == "anger"


def test_an_ambiguous_list_is_refused(trees, tmp_path):
    from data_prep.sources.rafdb_layouts import read_native

    base = trees.rafdb_native(tmp_path / "raf", 6)
    listing = base / "EmoLabel/list_patition_label.txt"
    with refused("ambiguous", listing, "1 (1 x)", "6 (1 x)", "--numbering rafdb", "--numbering zero_based"):
        read_native(base, "aligned")
    assert set(labelled(read_native(base, "aligned", "rafdb")).values()) == set(trees.RAFDB[:6])
    renumber(base, lambda label: {1: 0, 2: 7}.get(label, label))
    with refused("ambiguous", listing, "0 (1 x)", "7 (1 x)"):
        read_native(base, "aligned")


@pytest.mark.parametrize(
    ("change", "encoding"),
    [
        (lambda text: text.replace(" ", ","), "utf-8-sig"),
        (lambda text: text.replace(" ", " \t ").replace("\n", "\r\n"), "utf-16"),
        (lambda text: text.replace("\n", "\r"), "utf-8"),
    ],
)
def test_the_list_in_other_formats(trees, tmp_path, change, encoding):
    from data_prep.sources.rafdb_layouts import read_native

    base = trees.rafdb_native(tmp_path / "raf", 7)
    listing = base / "EmoLabel/list_patition_label.txt"
    listing.write_bytes(change(listing.read_text()).encode(encoding))
    source = read_native(base, "aligned")
    assert list(labelled(source).values()).count("neutral") == 1 and len(source.photos) == 7 and not source.rejected


def folders_from_zero(root, trees):
    for number in range(7):
        trees.save(root / f"{'test' if number == 6 else 'train'}/{number}/{number}.jpg", None, b"x")
    return root


def test_folders_numbered_from_zero_need_a_numbering(trees, tmp_path):
    from data_prep.sources.rafdb_layouts import find_layout, read_repack

    root = folders_from_zero(tmp_path / "raf", trees)
    assert find_layout(root)[:2] == ("repack", root)
    with refused("ambiguous", root, "--numbering zero_based", "--numbering fer2013", "--numbering alphabetical"):
        read_repack(root)
    source = read_repack(root, "zero_based")
    assert [photo.emotion for photo in source.photos] == list(trees.RAFDB)


def test_sorted_folders_numbered_from_one(trees, tmp_path):
    from data_prep.sources.rafdb_layouts import read_sorted

    for number in range(1, 8):
        for side in ("masked", "unmasked"):
            trees.save(tmp_path / f"train/{side}/{number}/{number}.jpg", None, b"x")
    assert [photo.emotion for photo in read_sorted(tmp_path).photos] == list(trees.RAFDB)


@pytest.mark.parametrize(("shift", "numbering"), [(0, None), (1, None), (1, "rafdb")])
def test_the_repacks_tables_are_read_by_header_with_their_own_numbering(trees, tmp_path, shift, numbering):
    from data_prep.sources.rafdb_layouts import read_repack

    for number in range(1, 8):
        trees.save(tmp_path / f"train/{number}/{number}.jpg", None, b"x")
    rows = "".join(f"{number};{number - shift};train/{number}.jpg\r\n" for number in range(1, 8))
    (tmp_path / "train_labels.csv").write_text("\ufeff;Label;Image\r\n" + rows, encoding="utf-8")
    source = read_repack(tmp_path, numbering)
    assert [photo.emotion for photo in source.photos] == list(trees.RAFDB) and source.rejected == []
    (tmp_path / "train_labels.csv").write_text("a,b\n1,2\n")
    with refused("bad_layout", "train_labels.csv", "a, b", "image", "label"):
        read_repack(tmp_path)


def test_a_missing_class_folder_is_reported(trees, tmp_path):
    from data_prep.sources.rafdb_layouts import read_repack

    for number in range(1, 7):
        trees.save(tmp_path / f"train/{number}/{number}.jpg", None, b"x")
    (tmp_path / "train/7").symlink_to(tmp_path / "gone")
    source = read_repack(tmp_path, "rafdb")
    source.account()
    assert any(str(tmp_path / "train/7") in remark for remark in source.remarks)
    assert str(tmp_path / "train/7") in dict(source.rejected)
