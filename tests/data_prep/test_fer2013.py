"""FER-2013 as a table or in folders becomes pairs with its official splits."""

import json

import pytest

from data_prep import fer2013
from rac_unet.data import pairs
from tests.refusals import refused


def run(source, output, *more):
    arguments = ["--source", str(source), "--output", str(output), "--size", "64", "--workers", "1", *more]
    assert fer2013.main(arguments) == 0
    return pairs.read(output)


@pytest.mark.parametrize("header", ["emotion,pixels,Usage", "emotion, Usage, pixels"])
def test_table(trees, tmp_path, header, capsys):
    path = trees.fer2013_table(tmp_path / "fer/fer2013.csv", header=header)
    found = run(path.parent, tmp_path / "set")
    lines = [int(key.split("-")[1]) - 2 for key in found.keys]
    frame = found.frame.astype(str)
    assert dict(zip(lines, frame["emotion"], strict=True)) == {n: trees.FER2013[n % 7] for n in range(14)}
    splits = dict(zip(lines, frame["split"], strict=True))
    assert {n for n, split in splits.items() if split == "val"} == {4, 9}
    assert {n for n, split in splits.items() if split == "test"} == {6, 13}
    assert "48 x 48 pixels and grey" in capsys.readouterr().out and set(frame["source"]) == {"fer2013"}


def test_hash_ranges_are_disjoint_and_keep_the_splits(trees, tmp_path):
    path = trees.fer2013_table(tmp_path / "fer2013.csv")
    whole, low, high = (
        dict(zip((found := run(path, tmp_path / name, *more)).keys, found.frame["split"], strict=True))
        for name, more in (("whole", ()), ("low", ("--hash_range", "0,0.5")), ("high", ("--hash_range", "0.5,1")))
    )
    assert low and high and not low.keys() & high.keys()
    assert low | high == whole
    settings = [json.loads((tmp_path / name / "prep.json").read_text()) for name in ("whole", "high")]
    assert "hash_range" not in str(settings[0]) and "hash_range': [0.5, 1.0]" in str(settings[1])
    for text in ("0.5", "0.6,0.5", "0.5,0.5", "-0.1,1", "0,1.1", "nan,1", "a,b"):
        with refused("usage", "--hash_range", text):
            run(path, tmp_path / "none", f"--hash_range={text}")
    with refused("empty", "--hash_range", "0,1e-12"):
        run(path, tmp_path / "none", "--hash_range", "0,1e-12")
    assert not (tmp_path / "none").exists()


def test_bad_lines_are_counted(trees, tmp_path):
    path = trees.fer2013_table(tmp_path / "fer2013.csv", 8)
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace("0,", "7,", 1)
    lines[2] = lines[2].rsplit(" ", 1)[0] + ",Training"
    lines[3] = lines[3].replace("Training", "Holiday")
    lines[4] = lines[4] + ",more"
    lines[5] = ",".join([lines[5].split(",")[0], " ".join(["300"] * 2304), "Training"])
    path.write_text("\n".join(lines) + "\n\n")
    assert len(run(path, tmp_path / "set")) == 3
    rejected = trees.reasons(tmp_path / "set")
    for line, words in {2: "label '7'", 3: "2303 grey", 4: "'Holiday'", 5: "4 cells", 6: "beyond 0..255"}.items():
        assert words in rejected[f"line {line}"]


def test_folders(trees, tmp_path):
    names = {"angry": "anger", "happy": "happiness", "neutral": "neutral"}
    for number, name in enumerate([*names, *names]):
        split = "test" if number > 3 else "train"
        trees.save(tmp_path / f"fer/{split}/{name}/im{number}.png", trees.face(number, names[name], 96))
    trees.save(tmp_path / "fer/train/contempt/im9.png", trees.face(9))
    found = run(tmp_path / "fer", tmp_path / "set")
    assert sorted(found.frame["emotion"].astype(str)) == sorted([*names.values()] * 2)
    assert (found.frame["split"] == "test").sum() == 2
    assert "must name one emotion" in trees.reasons(tmp_path / "set")["train/contempt/im9.png"]


def test_wrong_inputs(trees, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with refused("bad_layout", tmp_path / "x.csv", "a, b", "emotion", "pixels", "Usage"):
        run(tmp_path / "x.csv", tmp_path / "set")
    with refused("missing", tmp_path / "none.csv"):
        run(tmp_path / "none.csv", tmp_path / "set")
    trees.save(tmp_path / "f/joy/x.png", trees.face(1))
    with refused("bad_layout", tmp_path / "f", "1 photo", "happiness", "fer2013.csv"):
        run(tmp_path / "f", tmp_path / "set")


def test_tables_in_other_formats_give_the_same_pixels(trees, tmp_path):
    from data_prep.sources.fer2013_table import PixelTableLoader, read_table

    path = trees.fer2013_table(tmp_path / "a.csv", 7)
    emotions = [photo.emotion for photo in read_table(path).photos]
    image = PixelTableLoader(str(path))(read_table(path).photos[3]).image
    other = tmp_path / "b.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()]
    text = "\r\n".join(f'{row[2]};{number};"{row[1]}";{row[0]}' for number, row in enumerate(rows))
    other.write_bytes(text.replace("0;", ";", 1).encode("utf-16"))
    source = read_table(other)
    assert [photo.emotion for photo in source.photos] == emotions
    assert (PixelTableLoader(str(other))(source.photos[3]).image == image).all()


def test_labels_counted_from_one_are_refused(trees, tmp_path):
    from data_prep.sources.fer2013_table import read_table

    path = trees.fer2013_table(tmp_path / "a.csv", 7)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(f"{int(line[0]) + 1}{line[1:]}" for line in lines[1:])]))
    with refused("ambiguous", path, "7 (1 x)", "--numbering"):
        read_table(path)


def test_numbered_folders_need_a_numbering(trees, tmp_path):
    from data_prep.sources.named_folders import read_named_folders

    for number in range(7):
        trees.save(tmp_path / f"train/{number}/{number}.png", None, b"x")
    known = {"candidates": ("fer2013", "alphabetical")}
    with refused("ambiguous", tmp_path, "--numbering fer2013", "--numbering alphabetical"):
        read_named_folders(tmp_path, 0, **known)
    source = read_named_folders(tmp_path, 0, numbering="fer2013", **known)
    assert [photo.emotion for photo in source.photos] == list(trees.FER2013)
