"""Other inputs of `data_prep.folder`: named folders, real masks, bad rows, hostile files, links."""

import os
import zlib

import pytest

from data_prep import folder
from rac_unet.core.errors import UserError
from rac_unet.data import pairs
from tests.refusals import refused


def run(output, *arguments):
    assert folder.main([*map(str, arguments), "--output", str(output), "--size", "64", "--workers", "1"]) == 0
    return pairs.read(output)


@pytest.fixture(scope="module")
def photos(trees, tmp_path_factory):
    """Six photos, a.jpg to f.jpg, and labels.csv for the first four."""
    root = tmp_path_factory.mktemp("photos")
    for number, name in enumerate("abcdef"):
        trees.save(root / f"{name}.jpg", trees.photo(number)[0])
    rows = ["a.jpg,anger,p", "b.jpg,fear,p", "c.jpg,neutral,q", "d.jpg,Happy,r"]
    (root / "labels.csv").write_text("\n".join(["path,emotion,identity", *rows]) + "\n")
    return root


def test_images_without_a_label_are_counted(photos, trees, tmp_path, capsys):
    assert len(run(tmp_path / "set", "--photos", photos, "--labels", photos / "labels.csv")) == 4
    assert trees.reasons(tmp_path / "set") == dict.fromkeys(("e.jpg", "f.jpg"), "has no label: no row names it")
    assert "skipped 2 photos: 2 x has no label" in capsys.readouterr().out


def test_folders_named_after_emotions(photos, trees, tmp_path):
    root = tmp_path / "photos"
    for place in ("train/Happy/a", "train/sub/angry/b", "test/fear/c", "other/d", "fear/angry/e", "train/test/fear/f"):
        (root / f"{place}.jpg").parent.mkdir(parents=True, exist_ok=True)
        (root / f"{place}.jpg").write_bytes((photos / f"{place[-1]}.jpg").read_bytes())
    (root / ".hidden").mkdir()
    (root / ".hidden/x.jpg").write_bytes(b"")
    found = run(root / "out", "--photos", root, "--val_share", "0")
    frame = found.frame.astype(str)
    assert list(zip(frame["emotion"], frame["split"], strict=True)) == [
        ("fear", "test"),
        ("happiness", "train"),
        ("anger", "train"),
    ]
    rejected = trees.reasons(root / "out")
    assert "name none" in rejected["other/d.jpg"] and "anger and fear" in rejected["fear/angry/e.jpg"]
    assert "two splits" in rejected["train/test/fear/f.jpg"] and len(rejected) == 3


def test_photos_of_real_masks(photos, tmp_path):
    labels = ("--photos", photos, "--labels", photos / "labels.csv", "--already_masked")
    found = run(tmp_path / "set", *labels)
    assert len(found) == 4 and not found.has_truth.any() and found.image_size == 64
    assert set(found.frame["split"]) == {"test"} and set(found.frame["mask_style"]) == {pairs.REAL_MASK}
    assert found.paths("unmasked") == [""] * 4 and all(map(os.path.isfile, found.paths("masked")))
    assert sorted(found.frame["emotion"].astype(str)) == ["anger", "fear", "happiness", "neutral"]
    with refused("usage", "--already_masked", "--variants"):
        run(tmp_path / "set2", *labels, "--variants", "2")


def test_bad_rows_can_be_skipped(photos, trees, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("path,emotion\na.jpg,anger\nb.jpg,joy\na.jpg,fear\n../x.jpg,fear\nc.jpg,fear\n")
    with pytest.raises(UserError, match="(?s)3 bad rows.*--skip_bad_rows") as error:
        run(tmp_path / "set", "--photos", photos, "--labels", labels)
    assert error.value.kind == "bad_row"
    found = run(tmp_path / "set", "--photos", photos, "--labels", labels, "--skip_bad_rows")
    assert [key[0] for key in found.keys] == ["a", "c"]
    rejected = trees.reasons(tmp_path / "set")
    assert "line 3: unknown emotion 'joy'" in rejected["b.jpg"] and "line 4:" in rejected["a.jpg"]
    assert "leads out" in rejected["line 5"] and {"d.jpg", "e.jpg", "f.jpg"} < rejected.keys()


def test_hostile_files_are_counted_and_end_nothing(photos, trees, tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    jpeg = (photos / "a.jpg").read_bytes()
    (tmp_path / "secret.jpg").write_bytes(jpeg)
    header, pixels = b"IHDR" + (60000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0", b"IDAT" + b"\0" * 40
    chunks = (
        (len(part) - 4).to_bytes(4, "big") + part + zlib.crc32(part).to_bytes(4, "big") for part in (header, pixels)
    )
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    contents = {
        "good.jpg": jpeg,
        "same.jpg": jpeg,
        "same.png": trees.cv2.imencode(".png", trees.photo(3)[0])[1].tobytes(),
    }
    hostile = {
        "cut.jpg": jpeg[:900],
        "bomb.png": bomb,
        "empty.jpg": b"",
        "text.jpg": b"hello",
        "noise.jpg": os.urandom(99),
    }
    for name, content in {**contents, **hostile}.items():
        (root / name).write_bytes(content)
    os.symlink(tmp_path / "secret.jpg", root / "link.jpg")
    os.symlink(root / "good.jpg", root / "inside.jpg")
    os.symlink(root / "nowhere", root / "broken.jpg")
    os.mkfifo(root / "pipe.jpg")
    (root / "folder.jpg").mkdir()
    (root / os.fsdecode(b"not text \xff.jpg")).write_bytes(jpeg)
    names = [*contents, *hostile, "link.jpg", "inside.jpg", "broken.jpg", "pipe.jpg", "folder.jpg"]
    (root / "labels.csv").write_text("path,emotion\n" + "".join(f"{name},fear\n" for name in names))
    arguments = ("--photos", root, "--labels", root / "labels.csv")
    found = run(tmp_path / "set", *arguments)
    assert sorted(key.rpartition("-")[0].rpartition("-")[0] for key in found.keys) == ["good", "inside", "same", "same"]
    rejected = trees.reasons(tmp_path / "set")
    assert set(rejected) == {*hostile, "link.jpg", "broken.jpg", "pipe.jpg", "folder.jpg", "not text \\udcff.jpg"}
    assert (
        "outside the folder" in rejected["link.jpg"]
        and "megapixels" in rejected["bomb.png"]
        and "cut off" in rejected["cut.jpg"]
    )
    assert (
        rejected["pipe.jpg"] == rejected["folder.jpg"] == "not a regular file"
        and rejected["broken.jpg"] == "file is missing"
    )
    assert len(run(tmp_path / "linked", *arguments, "--follow_links")) == 5


def test_masks_by_file_or_by_options(photos, tmp_path):
    masks = tmp_path / "masks.yaml"
    masks.write_text("variants: 2\ntrain: [kn95]\ntest: [bandana]\n")
    labels = ("--photos", photos, "--labels", photos / "labels.csv")
    frame = run(tmp_path / "set", *labels, "--masks", masks).frame.astype(str)
    styles = {"train": "kn95", "val": "kn95", "test": "bandana"}
    assert len(frame) == 8 and (frame["mask_style"] == frame["split"].map(styles)).all()
    with refused("usage", "--masks", "--styles"):
        run(tmp_path / "set2", *labels, "--masks", masks, "--styles", "kn95")
    with refused("unknown_name", "'x'"):
        run(tmp_path / "set2", *labels, "--held_out", "x")


def read(root, *more, **options):
    from data_prep.sources.named_folders import read_named_folders

    source = read_named_folders(root, 0, *more, **options)
    source.account()
    return source


def test_a_linked_class_folder_is_read_or_reported(trees, tmp_path):
    for name in ("photos/happy/a.jpg", "photos/data/sad_ones/b.jpg", "away/c.jpg"):
        trees.save(tmp_path / name, None, b"x")
    (tmp_path / "photos/sad").symlink_to(tmp_path / "photos/data/sad_ones")
    (tmp_path / "photos/angry").symlink_to(tmp_path / "away")
    (tmp_path / "photos/fear").symlink_to(tmp_path / "gone")
    source = read(tmp_path / "photos")
    assert {photo.path: photo.emotion for photo in source.photos} == {
        "happy/a.jpg": "happiness",
        "sad/b.jpg": "sadness",
    }
    rejected = dict(source.rejected)
    assert "--follow_links" in rejected["angry"] and "fear" in rejected
    assert all(any(remark.startswith(name) for remark in source.remarks) for name in ("angry", "fear"))
    assert [photo.emotion for photo in read(tmp_path / "photos", follow_links=True).photos] == [
        "anger",
        "happiness",
        "sadness",
    ]


def test_a_file_that_links_give_two_emotions_is_counted(trees, tmp_path):
    trees.save(tmp_path / "happy/a.jpg", None, b"x")
    trees.save(tmp_path / "fear/b.jpg", None, b"x")
    (tmp_path / "sad").symlink_to(tmp_path / "happy")
    source = read(tmp_path)
    assert [photo.path for photo in source.photos] == ["fear/b.jpg"]
    assert "sadness" in dict(source.rejected)["happy/a.jpg"]


def test_phone_photos_are_listed_and_what_is_left_out_is_counted(trees, tmp_path):
    for name in ("happy/a.HEIC", "happy/b.avif", "happy/c.txt", "happy/.d.jpg", ".thumbs/happy/e.jpg", "x.csv"):
        trees.save(tmp_path / name, None, b"x")
    source = read(tmp_path)
    assert [photo.path for photo in source.photos] == ["happy/a.HEIC", "happy/b.avif"]
    assert any(all(kind in remark for kind in ("2 hidden", "1 .txt", "1 .csv")) for remark in source.remarks)


def test_numbered_folders_need_a_numbering(trees, tmp_path):
    for number in range(7):
        trees.save(tmp_path / f"{number}/{number}.jpg", None, b"x")
    with refused("ambiguous", tmp_path, "0 (1 x)", "--numbering zero_based", "--numbering affectnet"):
        read(tmp_path)
    assert [photo.emotion for photo in read(tmp_path, numbering="affectnet").photos] == list(trees.AFFECTNET[:7])
    with refused("bad_layout", "2019"):
        (tmp_path / "0").rename(tmp_path / "2019")
        for number in range(1, 7):
            (tmp_path / f"{number}/{number}.jpg").unlink()
        read(tmp_path)


def test_the_refusal_of_folders_without_emotions_lists_them(trees, tmp_path):
    trees.save(tmp_path / "joy/a.jpg", None, b"x")
    trees.save(tmp_path / "joy/b.txt", None, b"x")
    with refused("bad_layout", tmp_path, "1 photo", "1 .txt", "happiness"):
        read(tmp_path)
    (tmp_path / "joy/a.jpg").unlink()
    with refused("empty", tmp_path, "1 .txt"):
        read(tmp_path)
