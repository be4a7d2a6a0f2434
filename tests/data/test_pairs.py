"""pairs.csv: rows are written and read back, and every kind of fault is reported with its line."""

import contextlib
import subprocess
import sys
import unicodedata

import numpy as np
import pytest

from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import UserError
from rac_unet.core.files.whole import write_file
from rac_unet.data import pairs
from rac_unet.photos.png_encoding import encode_png
from tests.refusals import refused

HEADER = ",".join(pairs.COLUMNS)


@contextlib.contextmanager
def bad_rows(*named):
    """Expect a refusal of bad rows that names each of `named`."""
    with pytest.raises(UserError) as caught:
        yield caught
    assert caught.value.kind == "bad_row"
    for word in named:
        assert word in str(caught.value)


def make_set(folder, count=6, size=32, **changes):
    """A small valid data set; `changes`: row number -> fields to replace in that row."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        names = {column: f"images/{number}_{column}.png" for column in ("masked", "unmasked", "occlusion")}
        for column, name in names.items():
            shape = (size, size) if column == "occlusion" else (size, size, 3)
            write_file(folder / name, encode_png(rng.integers(0, 255, shape, np.uint8)))
        row = dict(
            key=f"k{number}",
            **names,
            emotion=EMOTIONS[number % 7],
            split=pairs.SPLITS[number % 3],
            identity=f"p{number}",
            source="here",
            mask_style="kn95",
        )
        row.update(changes.get(f"row{number}", {}))
        rows.append(pairs.Pair(**row))
    pairs.write(folder, rows)
    return rows


def test_written_pairs_are_read_back(tmp_path):
    rows = make_set(tmp_path, row2={"identity": "007", "source": "NA", "key": 'odd, "key" é'})
    for path in (tmp_path, tmp_path / "pairs.csv", str(tmp_path)):
        found = pairs.read(path)
        assert [found[index] for index in range(len(found))] == rows
    assert found.image_size == 32
    assert found.emotion_counts() == dict(zip(EMOTIONS, (1, 1, 1, 1, 1, 1, 0), strict=True))
    assert found.emotion_ids.tolist() == [0, 1, 2, 3, 4, 5]
    assert (tmp_path / "images/3_masked.png").samefile(found.paths("masked")[3])
    val = found.split("val")
    assert val.keys.tolist() == ["k1", "k4"] and val.image_size == 32 and val.fingerprint == found.fingerprint
    assert val.emotion_ids.tolist() == [1, 4]


def test_weights_and_missing_ground_truth_are_read_back(tmp_path):
    rows = make_set(tmp_path, row2={"weight": 2.5, "unmasked": "", "occlusion": "", "mask_style": "real"})
    assert pairs.read(tmp_path).weights.tolist() == [1] * 6
    pairs.write(tmp_path, rows, weighted=True)
    found = pairs.read(tmp_path)
    assert found[2] == rows[2] and found.weights.tolist() == [1, 1, 2.5, 1, 1, 1]
    assert found.has_truth.tolist() == [True, True, False, True, True, True]
    assert found.take([2, 0, 2]).keys.tolist() == ["k2", "k0", "k2"] and found.paths("unmasked")[2] == ""
    text = (tmp_path / "pairs.csv").read_text()
    for wrong in ("0", "-1", "nan", "inf", "much", ""):
        (tmp_path / "pairs.csv").write_text(text.replace("2.5", wrong))
        with bad_rows("line 4: weight"):
            pairs.read(tmp_path)


def test_the_refusal_of_an_unknown_split_lists_the_three(tmp_path):
    make_set(tmp_path)
    with refused("unknown_name", "'dev'", "train, val, test"):
        pairs.read(tmp_path).split("dev")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"emotion": "joy"}, ["line 4", "'joy'", "surprise, fear, disgust"]),
        ({"emotion": ""}, ["line 4", "unknown emotion ''"]),
        ({"split": "dev"}, ["line 4", "'dev'", "train, val, test"]),
        ({"key": "k0"}, ["line 4", "'k0'", "already used"]),
        ({"key": ""}, ["line 4", "empty key"]),
        ({"identity": "p0"}, ["line 4", "'p0'", "'test'", "'train'"]),
        ({"masked": "images/none.png"}, ["line 4", "masked 'images/none.png' is not there"]),
        ({"unmasked": "../secret.png"}, ["line 4", "leads out"]),
        ({"unmasked": "images/../../secret.png"}, ["line 4", "leads out"]),
        ({"occlusion": "/etc/passwd"}, ["line 4", "is absolute"]),
        ({"occlusion": "C:\\x.png"}, ["line 4", "is absolute"]),
        ({"occlusion": ""}, ["line 4", "occlusion names no file", "both left empty"]),
        ({"unmasked": ""}, ["line 4", "unmasked names no file"]),
        ({"masked": ""}, ["line 4", "masked '' names no file"]),
        ({"unmasked": "", "occlusion": "", "split": "train"}, ["line 4", "only be in the split test"]),
        ({"masked": "images"}, ["line 4", "masked 'images'"]),
    ],
)
def test_each_fault_is_reported(tmp_path, change, words):
    make_set(tmp_path, row2=change)
    with bad_rows(*words):
        pairs.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (encode_png(np.zeros((16, 16, 3), np.uint8)), "is 16 pixels wide, others are 32"),
        (encode_png(np.zeros((32, 16, 3), np.uint8)), "must be square"),
        (encode_png(np.zeros((32, 32, 3), np.uint8))[:-5], "cut off"),
        (b"", "is empty"),
        (b"\xff\xd8\xff\xe0 not a png, but long enough to be read", "not a PNG"),
    ],
)
def test_bad_images_are_reported(tmp_path, content, words):
    make_set(tmp_path)
    (tmp_path / "images/4_masked.png").write_bytes(content)
    with bad_rows("line 6: masked 'images/4_masked.png'", words):
        pairs.read(tmp_path)


def test_all_faults_are_reported_together_up_to_a_limit(tmp_path):
    make_set(tmp_path, row0={"emotion": "joy"}, row1={"split": "dev"}, row5={"masked": "gone.png"})
    with bad_rows("3 faults", "joy", "dev", "gone.png"):
        pairs.read(tmp_path)
    make_set(tmp_path / "many", 40, **{f"row{number}": {"emotion": "joy"} for number in range(40)})
    with bad_rows("40 faults") as error:
        pairs.read(tmp_path / "many")
    assert str(error.value).count("\n") == 21 and "... and 20 more" in str(error.value)


@pytest.mark.parametrize(
    ("content", "kind", "named"),
    [
        ("", "bad_layout", ["nothing", "key, masked"]),
        ("key,masked\na,b\n", "bad_layout", ["unmasked and occlusion and emotion", "key, masked"]),
        ("a;b\n1;2\n", "bad_layout", ["a, b", "semicolons", "key, masked"]),
        (HEADER + "\n", "empty", []),
        (HEADER + "\na,b,c,d,e,f,g,h,i,j,k,l\n", "bad_layout", []),
        (HEADER + "\na,b,c,d,e,f,g,h,i\na,b,c,d,e,f,g,h,i,j,k,l\n", "bad_layout", []),
        ("\0\xff\xfe", "unreadable", []),
    ],
)
def test_a_broken_table_is_refused(tmp_path, content, kind, named):
    (tmp_path / "pairs.csv").write_text(content)
    with refused(kind, tmp_path / "pairs.csv", *named):
        pairs.read(tmp_path)


def test_a_short_row_is_a_fault_of_its_line(tmp_path):
    (tmp_path / "pairs.csv").write_text(HEADER + "\na,b,c\n")
    with bad_rows("line 2: unknown emotion"):
        pairs.read(tmp_path)


def test_the_refusal_of_a_missing_data_set_says_what_to_do(tmp_path):
    with refused("missing", tmp_path / "pairs.csv", "data_prep"):
        pairs.read(tmp_path)


@pytest.mark.parametrize(
    ("delimiter", "encoding", "end"), [(";", "utf-8-sig", "\r\n"), ("\t", "utf-16", "\n"), (",", "cp1252", "\r\n")]
)
def test_a_table_saved_by_a_spreadsheet(tmp_path, capsys, delimiter, encoding, end):
    rows = make_set(tmp_path, row2={"identity": "Zoë"})
    text = (tmp_path / "pairs.csv").read_text().replace(",", delimiter).replace("emotion", " Emotion ", 1)
    (tmp_path / "pairs.csv").write_bytes(("sep=" + delimiter + "\n" + text).replace("\n", end).encode(encoding))
    found = pairs.read(tmp_path)
    assert [found[index] for index in range(len(found))] == rows
    assert ("Windows-1252" in capsys.readouterr().err) == (encoding == "cp1252")


def test_images_with_another_encoding_of_accents_on_disk_are_found(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "images/é.png") for form in ("NFC", "NFD"))
    make_set(tmp_path, row1={"masked": composed})
    (tmp_path / "images/1_masked.png").rename(tmp_path / decomposed)
    found = pairs.read(tmp_path)
    assert found.paths("masked")[1].endswith(decomposed)


def test_the_fingerprint_changes_with_rows_and_images(tmp_path):
    make_set(tmp_path)
    first = pairs.read(tmp_path).fingerprint
    assert pairs.read(tmp_path).fingerprint == first
    image = tmp_path / "images/0_masked.png"
    before = image.read_bytes()
    image.write_bytes(encode_png(np.zeros((32, 32, 3), np.uint8)))
    assert pairs.read(tmp_path).fingerprint != first
    image.write_bytes(before)
    assert pairs.read(tmp_path).fingerprint == first
    make_set(tmp_path, row0={"emotion": "anger"})
    assert pairs.read(tmp_path).fingerprint != first


def test_writing_is_atomic(tmp_path):
    make_set(tmp_path)
    before = (tmp_path / "pairs.csv").read_bytes()

    def breaks_off():
        yield pairs.read(tmp_path)[0]
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        pairs.write(tmp_path, breaks_off())
    assert (tmp_path / "pairs.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "pairs.csv"]


def test_splits_depend_only_on_the_name():
    people = [f"person {number}" for number in range(4000)]
    splits = pairs.assign_splits(people, seed=1)
    assert dict(zip(people[2000:], splits[2000:], strict=True)) == dict(
        zip(people[2000:], pairs.assign_splits(people[2000:], seed=1), strict=True)
    )
    assert pairs.assign_splits(["a", "b", "a"], 5)[0] == pairs.assign_splits(["a"], 5)[0]
    shares = [splits.count(name) / len(splits) for name in pairs.SPLITS]
    assert np.allclose(shares, [0.8, 0.1, 0.1], atol=0.02)
    assert splits != pairs.assign_splits(people, seed=2)


def test_neither_reading_nor_preparing_imports_tensorflow():
    code = (
        "import sys, rac_unet.data.pairs, rac_unet.pairing.preparing, rac_unet.pairing.toy_pairs, data_prep.folder;"
        "sys.exit(any(name.split('.')[0] in ('tensorflow', 'keras') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_distribution_over_emotions_is_read_back_and_checked(tmp_path):
    rows = make_set(tmp_path, row0={"emotion_shares": "fear:0.25 sadness:0.75"})
    pairs.write(tmp_path, rows, shared=True)
    found = pairs.read(tmp_path)
    assert [found[index] for index in range(len(found))] == rows
    shares = dict(zip(EMOTIONS, found.emotion_shares[0], strict=True))
    assert shares["fear"] == 0.25 and shares["sadness"] == 0.75
    np.testing.assert_array_equal(found.emotion_shares[1:], np.eye(7)[1:6])
    text = (tmp_path / "pairs.csv").read_text()
    for wrong in ("fear:0.5", "joy:1", "fear:1.5 sadness:-0.5", "fear:0.5 fear:0.5", "fear"):
        (tmp_path / "pairs.csv").write_text(text.replace("fear:0.25 sadness:0.75", wrong))
        with pytest.raises(UserError) as caught:
            pairs.read(tmp_path)
        assert "line 2" in str(caught.value) and wrong in str(caught.value)


def test_iterating_gives_the_same_pairs_as_indexing(tmp_path):
    rows = make_set(tmp_path, row0={"emotion_shares": "fear:0.4 sadness:0.6", "weight": 2.5})
    pairs.write(tmp_path, rows, weighted=True, shared=True)
    found = pairs.read(tmp_path)
    assert list(found) == [found[place] for place in range(len(found))] == rows
    assert found.has_weights and not found.take(np.arange(1, 6)).has_weights
