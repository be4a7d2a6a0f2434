"""`check` finds each planted fault, passes a sound set, and its quarantine loses nothing."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest

from data_prep import check
from data_prep.checks.near_duplicates import find_duplicates, picture_hash, same_photograph
from rac_unet.core.files.output_folder import JOURNAL_FILE
from rac_unet.data import pairs
from rac_unet.photos.png_encoding import encode_png
from tests.refusals import refused


def run(folder, *more):
    """Run the command; return its exit code and check.json."""
    code = check.main([str(folder), "--workers", "1", *more])
    return code, json.loads((folder / "check/check.json").read_text())


@pytest.fixture
def sound(toy_pairs, tmp_path):
    """A copy of the toy set to be changed, with the source of photographs."""
    folder = tmp_path / "set"
    shutil.copytree(toy_pairs, folder)
    text = (folder / "pairs.csv").read_text()
    (folder / "pairs.csv").write_text(text.replace("toy-natural", "album"))
    return folder


def rows(folder, split):
    return [pair for pair in pairs.read(folder) if pair.split == split]


def change(folder, pair, **cells):
    """Change cells of a pair's row."""
    table = (folder / "pairs.csv").read_text().splitlines()
    line = next(number for number, row in enumerate(table) if row.startswith(f"{pair.key},"))
    old = table[line].split(",")
    table[line] = ",".join(str(cells.get(name, old[place])) for place, name in enumerate(table[0].split(",")))
    (folder / "pairs.csv").write_text("\n".join(table) + "\n")


def test_a_sound_set_passes(sound, capsys):
    code, report = run(sound)
    assert code == 0 and report["sound"] and report["faults"] == report["leaks"] == []
    said = capsys.readouterr().out
    assert "no faults found" in said and str(sound / "check/index.html") in said
    frame = pairs.read(sound).frame
    for (emotion, split), count in frame.groupby(["emotion", "split"], observed=True).size().items():
        assert report["emotion_by_split"][emotion][split] == count
    assert report["pairs"] == report["pictures"] == 70 and report["identities"] == 10
    assert 0.2 < report["hidden_share"]["mean"] < 0.5
    # Running it again changes neither the result nor the set.
    assert run(sound) == (code, report) and len(pairs.read(sound)) == 70


def spoil_cut(folder, pair):
    path = folder / pair.masked
    path.write_bytes(path.read_bytes()[:-30])
    return "cut off"


def spoil_bit(folder, pair):
    path = folder / pair.unmasked
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))
    return "checksum"


def spoil_missing(folder, pair):
    (folder / pair.occlusion).unlink()
    return "is not there"


def spoil_size(folder, pair):
    (folder / pair.masked).write_bytes(encode_png(np.zeros((32, 32, 3), np.uint8)))
    return "32 pixels wide"


def spoil_channels(folder, pair):
    (folder / pair.occlusion).write_bytes(encode_png(np.full((64, 64, 3), 255, np.uint8)))
    return "has 3 channels"


def spoil_blank(folder, pair):
    (folder / pair.unmasked).write_bytes(encode_png(np.full((64, 64, 3), 90, np.uint8)))
    return "is blank"


def spoil_outside(folder, pair):
    image, occlusion = cv2.imread(str(folder / pair.masked)), cv2.imread(str(folder / pair.occlusion), 0)
    y, x = np.argwhere(occlusion == 0)[0]
    image[y, x] ^= 1
    cv2.imwrite(str(folder / pair.masked), image)
    return "differs from unmasked in 1 pixels"


def spoil_nothing_hidden(folder, pair):
    shutil.copy(folder / pair.unmasked, folder / pair.masked)
    (folder / pair.occlusion).write_bytes(encode_png(np.zeros((64, 64), np.uint8)))
    return "hides 0.0 %"


def spoil_emotion(folder, pair):
    change(folder, pair, emotion="joy")
    return "unknown emotion 'joy'"


def spoil_split(folder, pair):
    change(folder, pair, split="dev")
    return "unknown split 'dev'"


def spoil_truth(folder, pair):
    change(folder, pair, unmasked="")
    return "unmasked names no file"


def spoil_path(folder, pair):
    change(folder, pair, masked="../x.png")
    return "leads out"


def spoil_key(folder, pair):
    change(folder, pair, key="toy0-000000-surprise")
    return "already used"


SPOIL = [value for name, value in list(globals().items()) if name.startswith("spoil_")]


def test_each_planted_fault_is_found_and_quarantined(sound, capsys):
    train = rows(sound, "train")
    words = {pair.key: spoil(sound, pair) for pair, spoil in zip(train[2::3], SPOIL, strict=False)}
    assert len(words) == len(SPOIL) == 13
    before = {path.name for path in sound.rglob("*.png")}
    code, report = run(sound)
    assert code == 1 and not report["sound"]
    messages = [fault["message"] for fault in report["faults"]]
    said, page = capsys.readouterr().out, (sound / "check/index.html").read_text().replace("&#x27;", "'")
    for word in words.values():
        assert any(word in message for message in messages), word
        assert word in said and word in page, word
    # The person with the unknown split is also in two splits, and the blank picture also differs from its masked one.
    assert len(messages) == len(words) + 2
    code, report = run(sound, "--fix")
    assert code == 0 and report["sound"] and "moved 13 rows and" in capsys.readouterr().out
    assert not words.keys() & set(pairs.read(sound).keys) and len(pairs.read(sound)) == 57
    # No file and no row is lost.
    assert {path.name for path in sound.rglob("*.png")} == before
    gone = (sound / "quarantine/pairs.csv").read_text().splitlines()
    assert gone[0].endswith(",reason") and len(gone) == 14


DISGUISES = (
    lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1),
    lambda image: np.ascontiguousarray(image[:, ::-1]),
    lambda image: cv2.add(image, (20, 20, 20, 0)),
    lambda image: cv2.resize(image[1:-1, 1:-1], (64, 64), interpolation=cv2.INTER_AREA),
)


def test_a_photograph_in_two_splits_is_found_and_removed_from_training(sound):
    pairs_of = list(zip(rows(sound, "train")[4:8], rows(sound, "test")[:4], strict=True))
    for disguise, (copy, original) in zip(DISGUISES, pairs_of, strict=True):
        image = disguise(cv2.imread(str(sound / original.unmasked)))
        hidden = cv2.imread(str(sound / copy.occlusion), 0) > 0
        cv2.imwrite(str(sound / copy.unmasked), image)
        cv2.imwrite(str(sound / copy.masked), np.where(hidden[..., None], 40, image))
    code, report = run(sound)
    leaks = [set(leak["keys"]) for leak in report["leaks"]]
    assert code == 1 and all({copy.key, original.key} in leaks for copy, original in pairs_of)
    assert "The same photograph in two splits" in (sound / "check/index.html").read_text()
    assert run(sound, "--fix")[0] == 0
    keys = set(pairs.read(sound).keys)
    assert all(original.key in keys and copy.key not in keys for copy, original in pairs_of)


def test_an_identity_in_two_splits_is_found_and_kept_in_test(sound):
    one, other = rows(sound, "train")[0], rows(sound, "test")[0]
    change(sound, other, identity=one.identity)
    code, report = run(sound)
    assert code == 1 and report["faults"][0]["kind"] == "identity"
    code, report = run(sound, "--fix")
    assert code == 0 and other.key in set(pairs.read(sound).keys)
    assert one.identity not in {pair.identity for pair in rows(sound, "train")}


def test_twins_in_one_split_are_reported_and_are_not_faults(sound, capsys):
    first = rows(sound, "train")[0]
    second = next(p for p in rows(sound, "train") if p.identity != first.identity and p.emotion != first.emotion)
    for column in pairs.IMAGE_COLUMNS:
        shutil.copy(sound / getattr(first, column), sound / getattr(second, column))
    code, report = run(sound)
    assert code == 0 and "of them with two emotions" in capsys.readouterr().out
    assert {first.key, second.key} in [set(twin["keys"]) for twin in report["same_photograph_in_one_split"]]


def test_many_copies_of_one_picture_are_removed_in_one_fix(sound):
    kept = rows(sound, "test")[3]
    copies = [*rows(sound, "train")[:12], *rows(sound, "val")[:3]]
    for copy in copies:
        for column in pairs.IMAGE_COLUMNS:
            shutil.copy(sound / getattr(kept, column), sound / getattr(copy, column))
    code, report = run(sound)
    assert code == 1 and len(report["leaks"]) == len(copies)
    assert run(sound, "--fix")[0] == 0
    keys = set(pairs.read(sound).keys)
    assert kept.key in keys and not keys & {copy.key for copy in copies}


def test_all_pairs_that_share_a_faulty_file_are_removed(sound):
    first, second = rows(sound, "train")[:2]
    change(sound, second, unmasked=first.unmasked, masked=first.masked, occlusion=first.occlusion)
    spoil_bit(sound, first)
    assert run(sound, "--fix")[0] == 0
    assert not {first.key, second.key} & set(pairs.read(sound).keys)


def test_a_killed_fix_is_completed_by_the_next(sound, monkeypatch):
    from data_prep.checks import quarantine

    pair = rows(sound, "train")[9]
    spoil_bit(sound, pair)
    with monkeypatch.context() as patch:
        patch.setattr(quarantine, "_move_files", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(sound, "--fix")
    assert (sound / pair.unmasked).exists() and pair.key not in set(pairs.read(sound).keys)
    assert run(sound, "--fix")[0] == 0
    assert not (sound / pair.unmasked).exists() and (sound / "quarantine" / pair.unmasked).exists()
    assert len((sound / "quarantine/pairs.csv").read_text().splitlines()) == 2


def test_weights_and_other_columns_are_kept(sound):
    table = (sound / "pairs.csv").read_text().splitlines()
    (sound / "pairs.csv").write_text("\n".join([f"{table[0]},weight,age", *(f"{row},1.50,7" for row in table[1:])]))
    spoil_bit(sound, rows(sound, "train")[3])
    assert run(sound, "--fix")[0] == 0
    left = (sound / "pairs.csv").read_text().splitlines()
    assert left[0].endswith("weight,age") and len(left) == 70 and all(row.endswith("1.50,7") for row in left[1:])
    assert "Shares of the emotions in an epoch" in (sound / "check/index.html").read_text()


def test_the_page_is_self_contained_and_describes_its_pictures(sound):
    run(sound)
    page = (sound / "check/index.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    # The text of an encoded picture can contain any word.
    assert "http" not in re.sub(r'"data:[^"]*"', "", page).replace("http-equiv", "")
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) > 25 and all(re.search(r'alt="[^"]{10,}"', image) for image in images)
    assert 'name="viewport"' in page and page.count("<h2>") >= 10


def test_sets_that_cannot_be_checked_or_fixed(sound, tmp_path, capsys):
    with refused("missing", tmp_path / "none"):
        check.main([str(tmp_path / "none")])
    (sound / JOURNAL_FILE).write_text("")
    with refused("usage", sound):
        check.main([str(sound), "--fix"])
    (sound / JOURNAL_FILE).unlink()
    assert run(sound, "--fix")[0] == 0 and "nothing to move" in capsys.readouterr().out
    assert not (sound / "quarantine").exists()
    text = (sound / "pairs.csv").read_text()
    for emotion in ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"):
        text = text.replace(f",{emotion},", ",joy,")
    (sound / "pairs.csv").write_text(text)
    with refused("empty", sound / "pairs.csv"):
        check.main([str(sound), "--fix", "--workers", "1"])
    assert (sound / "pairs.csv").read_text() == text and not (sound / "quarantine").exists()


def test_the_faults_of_a_read_only_set_are_reported(sound, tmp_path, capsys, monkeypatch):
    pair = rows(sound, "train")[3]
    spoil_emotion(sound, pair)
    (sound / "check").write_text("in the way")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert check.main([str(sound), "--workers", "1"]) == 1
    said = capsys.readouterr().out
    assert "unknown emotion 'joy'" in said and str(sound / "check") in said
    written = tmp_path / "here/check-set"
    assert str(written / "check.json") in said and len(json.loads((written / "check.json").read_text())["faults"]) == 1
    # If nothing can be written, the faults are printed, and the requested folder is named.
    with refused("unwritable", sound / "check", "--output"):
        check.main([str(sound), "--workers", "1", "--output", str(sound / "check")])
    assert "unknown emotion 'joy'" in capsys.readouterr().out
    (sound / "quarantine").write_text("in the way")
    with refused("unwritable", sound, "--fix"):
        check.main([str(sound), "--workers", "1", "--fix"])
    assert "unknown emotion 'joy'" in capsys.readouterr().out


def test_a_set_saved_by_a_spreadsheet_is_checked_and_fixed(sound):
    pair = rows(sound, "train")[3]
    spoil_emotion(sound, pair)
    text = (sound / "pairs.csv").read_text().replace(",", ";").replace("\n", "\r\n")
    (sound / "pairs.csv").write_bytes(text.encode("utf-16"))
    assert check.main([str(sound), "--workers", "1", "--fix"]) == 0
    assert pair.key not in set(pairs.read(sound).keys) and len(pairs.read(sound)) == 69
    gone = (sound / "quarantine/pairs.csv").read_text()
    assert pair.key in gone and (sound / "quarantine" / pair.masked).exists()


def test_strays_and_drawn_faces(toy_pairs, tmp_path, capsys):
    shutil.copytree(toy_pairs, tmp_path / "set")
    stray = tmp_path / "set/images/train/stray.png"
    stray.write_bytes(encode_png(np.zeros((64, 64), np.uint8)))
    assert run(tmp_path / "set")[0] == 0
    assert "1 images are not used by any row, such as 'images/train/stray.png'" in capsys.readouterr().out


def test_real_photographs_of_different_people_are_not_duplicates(shared):
    files = sorted((shared / "faces/images").rglob("*_0001.jpg"))[::60]
    images = [cv2.imread(str(file))[62:-62, 62:-62] for file in files]
    changed = [cv2.resize(image[2:, 2:], image.shape[1::-1]) for image in images]
    hashes = np.stack([picture_hash(image) for image in images + changed])
    both = images + changed

    def confirm(i, j, mirrored):
        return same_photograph(both[i][:, ::-1] if mirrored else both[i], both[j])

    found = {each[:2] for each in find_duplicates(hashes, confirm)}
    assert found <= {(n, n + len(images)) for n in range(len(images))} and len(found) > 0.9 * len(images)
