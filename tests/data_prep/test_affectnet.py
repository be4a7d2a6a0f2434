"""AffectNet's layouts become pairs with the right emotions; contempt and bad rows are counted."""

import numpy as np
import pytest

from data_prep import affectnet
from rac_unet.data import pairs
from tests.refusals import refused


def run(source, output, *more):
    arguments = ["--source", str(source), "--output", str(output), "--size", "64", "--workers", "1", *more]
    assert affectnet.main(arguments) == 0
    return pairs.read(output)


def by_number(found, base=10):
    """Photo number -> (emotion, split)."""
    frame = found.frame.astype(str)
    numbers = [int(key.split("-")[0], base) for key in found.keys]
    return dict(zip(numbers, zip(frame["emotion"], frame["split"], strict=True), strict=True))


@pytest.mark.parametrize("form", ["arrays", "tables"])
def test_emotions_are_right_and_contempt_is_counted(trees, tmp_path, form):
    make, base = (trees.affectnet_arrays, 10) if form == "arrays" else (trees.affectnet_tables, 16)
    make(tmp_path / "data/AffectNet")
    found = by_number(run(tmp_path / "data", tmp_path / "set", "--val_share", "0"), base)
    assert {n: emotion for n, (emotion, _) in found.items()} == {
        n: trees.AFFECTNET[n % 8] for n in range(16) if n % 8 != 7
    }
    assert {n for n, (_, split) in found.items() if split == "test"} == {6, 14}
    rejected = trees.reasons(tmp_path / "set")
    assert len(rejected) == 2 and all(
        reason == "contempt is not one of the seven emotions" for reason in rejected.values()
    )


@pytest.mark.parametrize("tested", [False, True])
def test_numbered_folders(trees, tmp_path, tested):
    names = ["train", "val"] + ["test"] * tested
    for number in range(24):
        split = names[number // 8 % len(names)]
        trees.save(tmp_path / f"a/{split}/{number % 8}/{number}.jpg", trees.photo(number)[0])
    found = by_number(run(tmp_path / "a", tmp_path / "set", "--val_share", "0"))
    assert {n: emotion for n, (emotion, _) in found.items()} == {
        n: trees.AFFECTNET[n % 8] for n in range(24) if n % 8 != 7
    }
    assert found[8][1] == ("val" if tested else "test") and found[0][1] == "train"
    assert len(trees.reasons(tmp_path / "set")) == 3


def test_given_landmarks_select_the_face(trees, tmp_path):
    from rac_unet.faces.align import align_face

    root = trees.affectnet_arrays(tmp_path / "a", 3)
    for number in range(3):
        image, _ = trees.photo(number, trees.AFFECTNET[number])
        other, points = trees.photo(number + 300)
        trees.save(root / f"train_set/images/{number}.jpg", np.hstack([image, other]))
        points = points + [image.shape[1], 0]
        np.save(root / f"train_set/annotations/{number}_lnd.npy", points.ravel())
    found = run(root, tmp_path / "set", "--val_share", "0")
    import cv2

    for row, number in enumerate(by_number(found)):
        cut = cv2.imread(found.paths("unmasked")[row])[..., ::-1].astype(int)
        wanted, other = (
            align_face(*trees.photo(who, emotion), 64).image.astype(int)
            for who, emotion in ((number + 300, "neutral"), (number, trees.AFFECTNET[number]))
        )
        assert np.abs(cut - wanted).mean() < np.abs(cut - other).mean()


def test_bad_arrays_are_counted(trees, tmp_path):
    root = trees.affectnet_arrays(tmp_path / "a")
    notes = root / "train_set/annotations"
    (notes / "0_exp.npy").unlink()
    (notes / "1_exp.npy").write_bytes(b"\x93NUMPY cut")
    np.save(notes / "2_exp.npy", np.array({"a": 1}, object), allow_pickle=True)
    np.save(notes / "3_exp.npy", np.array("11"))
    np.save(notes / "4_exp.npy", np.array([1, 2]))
    np.save(notes / "99_exp.npy", np.array("1"))
    np.save(notes / "5_lnd.npy", np.full(136, -1e9))
    (notes / "8_lnd.npy").unlink()
    np.save(notes / "9_exp.npy", np.float32(1))
    trees.save(root / "train_set/images/10.png", trees.face(1))
    found = by_number(run(root, tmp_path / "set"))
    assert set(found) == {5, 6, 8, 9, 11, 12, 13, 14} and found[9][0] == "happiness"
    rejected = trees.reasons(tmp_path / "set")
    for name, words in {
        "train_set/images/0.jpg": "no 0_exp.npy",
        "train_set/images/1.jpg": "cannot be read as an array",
        "train_set/images/2.jpg": "cannot be read as an array",
        "train_set/images/3.jpg": "label '11' is not",
        "train_set/images/4.jpg": "holds 2 values",
        "train_set/annotations/99_exp.npy": "not there",
        "train_set/images/10.png": "different endings",
        "train_set/images/10.jpg": "different endings",
    }.items():
        assert words in rejected[name], name
    notes = {row["path"]: row["note"] for row in trees.table(tmp_path / "set/notes.csv")}
    assert "detector was used" in notes["train_set/images/5.jpg"]


def test_bad_lines_are_counted(trees, tmp_path):
    root = trees.affectnet_tables(tmp_path / "a")
    lines = (root / "training.csv").read_text().splitlines()
    lines += [lines[1], "short,line", "../out.jpg" + lines[2][lines[2].index(",") :], "0/gone.jpg,0,0,9,9,,1,0,0"]
    lines[3] = lines[3].replace(lines[3].split(",")[5], "12;no;numbers")
    (root / "training.csv").write_text("\n".join(lines))
    trees.save(root / "Manually_Annotated/Manually_Annotated_Images/1/extra.jpg", trees.face(1))
    found = by_number(run(root, tmp_path / "set"), 16)
    assert set(found) == {n for n in range(16) if n % 8 != 7}
    rejected = trees.reasons(tmp_path / "set")
    for name, words in {
        "training.csv line 16": "as training.csv line 2 did",
        "training.csv line 17": "2 cells",
        "training.csv line 18": "leads out",
        "0/gone.jpg": "there is no image",
        "Manually_Annotated/Manually_Annotated_Images/1/extra.jpg": "no line names it",
    }.items():
        assert words in rejected[name], name


def test_the_cap_is_random_reproducible_and_counted(trees, tmp_path):
    root = trees.affectnet_arrays(tmp_path / "a", 40)
    first = by_number(run(root, tmp_path / "one", "--max_per_emotion", "2", "--val_share", "0"))
    kept = [emotion for emotion, split in first.values() if split == "train"]
    assert max(kept.count(emotion) for emotion in trees.AFFECTNET) == 2
    over = [reason for reason in trees.reasons(tmp_path / "one").values() if "over the cap of 2" in reason]
    assert len(over) == 6 * 3
    assert by_number(run(root, tmp_path / "two", "--max_per_emotion", "2", "--val_share", "0")) == first


def test_a_missing_part_is_noted_and_a_missing_layout_is_refused(trees, tmp_path, capsys):
    root = trees.affectnet_arrays(tmp_path / "a", 6)
    run(root, tmp_path / "set")
    assert "there is no val_set/images" in capsys.readouterr().out
    (tmp_path / "b/pictures").mkdir(parents=True)
    with refused("bad_layout", "pictures", "train_set/images/N.jpg", "training.csv"):
        run(tmp_path / "b", tmp_path / "set2")
    (tmp_path / "b/pictures/sad").mkdir()
    with refused("bad_layout", "data_prep.folder --photos"):
        run(tmp_path / "b", tmp_path / "set2")


HEADER = ["subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression"]


def write_table(root, header, change=lambda cells, number: cells, count=9, delimiter=","):
    """training.csv of empty images; `change` reorders a row's native cells."""
    lines = [delimiter.join(header)] * bool(header)
    (root / "images").mkdir(parents=True)
    for number in range(count):
        (root / f"images/{number}.jpg").write_bytes(b"x")
        cells = [f"{number}.jpg", "1", "2", "30", "40", ";".join(["5.5"] * 136), str(number % 8)]
        lines.append(delimiter.join(change(cells, number)))
    (root / "training.csv").write_text("\n".join(lines) + "\n")
    return root


def read(root, *more):
    from data_prep.sources.affectnet_layouts import read_tables

    source = read_tables(root, *more)
    return {int(photo.path.split("/")[-1].split(".")[0]): photo.emotion for photo in source.photos}, source


@pytest.mark.parametrize(
    ("header", "change"),
    [
        (HEADER, lambda cells, number: cells),
        ([], lambda cells, number: cells),
        ([*HEADER[:5], "expression", "gender", "valence"], lambda cells, number: [*cells[:5], cells[6], "1", "0.5"]),
        (["", *HEADER], lambda cells, number: [str(number), *cells]),
        (
            ["Unnamed: 0", "pth", "label", "relFCs"],
            lambda cells, number: [str(number), cells[0], f"{cells[6]}.0", "0.9"],
        ),
        (["file", "label"], lambda cells, number: [cells[0], AFFECTNET[int(cells[6])].title()]),
    ],
)
def test_tables_are_read_by_their_header(trees, tmp_path, header, change):
    found, source = read(write_table(tmp_path / "a", header, change))
    assert found == {number: trees.AFFECTNET[number % 8] for number in range(9) if number != 7}
    ((_, reason),) = source.rejected
    assert "contempt" in reason.lower()


AFFECTNET = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")


@pytest.mark.parametrize(
    ("header", "change", "named"),
    [
        (["name", "gender"], lambda cells, number: [cells[0], "1"], ["name, gender", "expression"]),
        ([], lambda cells, number: [str(number), *cells], ["0.jpg", "subDirectory_filePath", "expression"]),
        ([], lambda cells, number: [*cells[:5], cells[6], "1", "0.5"], ["expression"]),
    ],
)
def test_a_header_without_a_needed_column_is_refused(tmp_path, header, change, named):
    with refused("bad_layout", "training.csv", *named):
        read(write_table(tmp_path / "a", header, change))


def test_two_columns_that_could_be_the_emotion_are_refused(tmp_path):
    with refused("ambiguous", "training.csv", "label", "class"):
        read(write_table(tmp_path / "a", ["image", "label", "class"], lambda cells, number: [cells[0], "1", "2"]))


@pytest.mark.parametrize("count_from", [1, 2])
def test_shifted_labels_are_refused(tmp_path, count_from):
    root = write_table(
        tmp_path / "a", HEADER, lambda cells, number: [*cells[:6], str(int(cells[6]) + count_from)], count=7
    )
    with refused("ambiguous", root, "--numbering affectnet", f"{count_from} (1 x)"):
        read(root)
    assert read(root, "affectnet")[0][0] == AFFECTNET_NAMES[count_from]


AFFECTNET_NAMES = ("neutral", "happiness", "sadness")


def test_landmarks_are_found_in_any_column(tmp_path):
    from data_prep.sources.affectnet_layouts import TableLoader

    root = write_table(
        tmp_path / "a",
        [HEADER[6], HEADER[0], *HEADER[1:6]],
        lambda cells, number: [cells[6], *cells[:6]],
        delimiter="|",
    )
    _, source = read(root)
    loader = TableLoader(str(root))
    object.__setattr__(loader, "read", lambda path: path)
    loaded = loader(source.photos[3])
    assert loaded.image == "images/3.jpg" and loaded.points.shape == (68, 2)


@pytest.mark.parametrize("missing", [0, 1])
def test_folders_without_the_first_number_are_refused(tmp_path, trees, missing):
    from data_prep.sources.affectnet_layouts import read_folders

    for number in range(8):
        if number != missing:
            trees.save(tmp_path / f"train/{number}/{number}.jpg", None, b"x")
    if missing == 0:
        with refused("ambiguous", tmp_path, "1 (1 x)", "--numbering affectnet", "--numbering rafdb"):
            read_folders(tmp_path)
    else:
        assert read_folders(tmp_path).photos[0].emotion == "neutral"
