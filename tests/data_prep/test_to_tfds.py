"""A set converted to TFRecord shards is the same for tensorflow-datasets and, bit for bit, for training."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from data_prep import check, merge, to_tfds  # noqa: E402
from rac_unet.data import pairs  # noqa: E402
from rac_unet.data.pictures import Pictures  # noqa: E402
from rac_unet.data.pipeline import make_scoring_dataset, make_training_dataset  # noqa: E402
from rac_unet.data.records import NAME  # noqa: E402
from rac_unet.pairing.opening import read_pairs  # noqa: E402
from tests.refusals import refused  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def folder(toy_pairs, tmp_path_factory):
    """The toy set with weights, and three of its test pairs as if they were real masks."""
    root = tmp_path_factory.mktemp("both") / "set"
    shutil.copytree(toy_pairs, root)
    rows = list(pairs.read(root))
    tested = [row for row in rows if row.split == "test"][:3]
    real = [replace(row, key=f"real {row.key}", unmasked="", occlusion="", mask_style="real") for row in tested]
    weighted = [replace(row, weight=2.0 if row.emotion == "fear" else 0.75) for row in rows if row.split == "train"]
    # Not in the order of the splits, as in a merged set.
    weighted[0] = replace(weighted[0], emotion_shares=f"{weighted[0].emotion}:1")
    pairs.write(root, [*real, *(row for row in rows if row.split != "train"), *weighted], weighted=True, shared=True)
    return root


@pytest.fixture(scope="module")
def converted(folder):
    output = folder.with_name("set-tfds")
    assert to_tfds.main([str(folder), "--shards", "3"]) == 0
    return output


def test_tensorflow_datasets_reads_it(folder, converted):
    builder = tfds.builder_from_directory(converted / NAME / "1.0.0")
    original = pairs.read(folder)
    assert builder.info.splits["train"].num_examples == len(original.split("train"))
    assert len(builder.info.splits["train"].filenames) == 3 and "mask" in builder.info.description
    names = builder.info.features["emotion"].names
    for split in pairs.SPLITS:
        part = original.split(split)
        found = list(builder.as_dataset(split=split).as_numpy_iterator())
        assert [each["key"].decode() for each in found] == part.keys.tolist()
        for row, each in zip(part, found, strict=True):
            assert names[each["emotion"]] == row.emotion and each["identity"].decode() == row.identity
            assert each["weight"] == row.weight and bool(each["has_truth"]) == bool(row.unmasked)
            assert (each["masked_image"] == cv2.imread(str(folder / row.masked))[..., ::-1]).all()
            if row.unmasked:
                assert (each["unmasked_image"] == cv2.imread(str(folder / row.unmasked))[..., ::-1]).all()
                assert (each["occlusion"][..., 0] == cv2.imread(str(folder / row.occlusion), 0)).all()
            else:
                assert not each["unmasked_image"].any() and not each["occlusion"].any()


@pytest.mark.parametrize("below", ["", NAME, f"{NAME}/1.0.0"])
def test_it_is_read_as_the_same_pairs(folder, converted, below):
    found, original = read_pairs(converted / below), read_pairs(folder)
    assert found.records is not None and original.records is None
    assert (len(found), found.image_size) == (len(original), original.image_size)
    for split in pairs.SPLITS:
        assert list(found.split(split)) == list(original.split(split))


@pytest.mark.parametrize("cache", ["off", "memory", "disk"])
def test_training_gets_the_same_bits(folder, converted, cache):
    batches = []
    for path in (folder, converted):
        train = read_pairs(path).split("train")
        dataset = make_training_dataset(train, Pictures(train, 32, cache), 4, seed=3, epochs=2, shard=(1, 2))
        batches.append([tensor.numpy() for batch in dataset.take(15) for part in batch for tensor in part.values()])
    assert len(batches[0]) == 75 and all((a == b).all() for a, b in zip(*batches, strict=True))


def test_pictures_without_ground_truth_are_black(folder, converted):
    for path in (folder, converted):
        test = read_pairs(path).split("test")
        inputs, targets = next(iter(make_scoring_dataset(test, Pictures(test, 64), len(test))))
        dark = (targets["unmasked_image"].numpy() == 0).all((1, 2, 3)) & (targets["occlusion"].numpy() == 0).all(
            (1, 2, 3)
        )
        assert (dark == ~test.has_truth).all() and dark.sum() == 3 and inputs["masked_image"].numpy()[dark].std() > 0.05


def test_the_bytes_are_reproducible_and_a_finished_set_is_kept(folder, converted, tmp_path, capsys):
    assert to_tfds.main([str(folder), "--shards", "3", "--output", str(tmp_path / "again")]) == 0
    assert tree(tmp_path / "again") == tree(converted)
    capsys.readouterr()
    assert to_tfds.main([str(folder), "--shards", "3", "--output", str(tmp_path / "again")]) == 0
    assert "already finished" in capsys.readouterr().out
    with refused("changed", "shards: 3 there, 2 now"):
        to_tfds.main([str(folder), "--shards", "2", "--output", str(tmp_path / "again")])


def test_a_set_larger_than_memory_keeps_its_order(folder, converted, tmp_path, monkeypatch):
    monkeypatch.setattr(to_tfds, "_BUFFER_BYTES", 50_000)
    assert to_tfds.main([str(folder), "--shards", "3", "--output", str(tmp_path / "t")]) == 0
    assert tree(tmp_path / "t") == tree(converted)


def test_an_interrupted_conversion_leaves_no_finished_set(folder, converted, tmp_path, monkeypatch):
    from rac_unet.core import progress

    def stop(self, count=1):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(progress.Progress, "advance", stop)
        with pytest.raises(KeyboardInterrupt):
            to_tfds.main([str(folder), "--shards", "3", "--output", str(tmp_path / "t")])
    with refused("missing", tmp_path / "t"):
        read_pairs(tmp_path / "t")
    assert to_tfds.main([str(folder), "--shards", "3", "--output", str(tmp_path / "t")]) == 0
    assert tree(tmp_path / "t") == tree(converted)


def spoil_shard_lost(folder):
    next(folder.glob("*train*00001-of-00003")).unlink()
    return "missing", folder, "split train", "1 of 3"


def spoil_shard_cut(folder):
    path = next(folder.glob("*train*00002-of-00003"))
    path.write_bytes(path.read_bytes()[:-9])
    return "unreadable", path


def spoil_table_lost(folder):
    (folder / "pairs.csv").unlink()
    return "missing", folder, "pairs.csv"


def spoil_table_short(folder):
    lines = (folder / "pairs.csv").read_text().splitlines()
    (folder / "pairs.csv").write_text("\n".join(lines[:1] + lines[2:]))
    return "mismatch", folder, "split train", "pairs.csv", "56", "55"


def spoil_labels(folder):
    labels = (folder / "emotion.labels.txt").read_text().split()
    (folder / "emotion.labels.txt").write_text("\n".join(sorted(labels)))
    return "mismatch", folder, "anger, disgust"


def spoil_features(folder):
    (folder / "features.json").write_text('{"featuresDict": {"features": {"image": {}}}}')
    return "bad_layout", folder


@pytest.mark.parametrize("spoil", [value for name, value in list(globals().items()) if name.startswith("spoil_")])
def test_an_incomplete_set_is_refused(converted, tmp_path, spoil):
    shutil.copytree(converted, tmp_path / "t")
    expected = spoil(tmp_path / "t" / NAME / "1.0.0")
    with refused(*expected):
        read_pairs(tmp_path / "t")


def test_a_converted_set_and_several_in_one_folder(converted, tmp_path):
    for command in (to_tfds, check):
        with refused("wrong_type", converted / NAME / "1.0.0"):
            command.main([str(converted)])
    with refused("wrong_type", converted / NAME / "1.0.0"):
        merge.main([str(converted), "--output", str(tmp_path / "m")])
    for version in ("1.0.0", "2.0.0"):
        shutil.copytree(converted / NAME / "1.0.0", tmp_path / NAME / version)
    with refused("ambiguous", "1.0.0", "2.0.0"):
        read_pairs(tmp_path)


def test_the_command_prints_little_and_writes_the_same_in_another_process(folder, converted, tmp_path):
    (tmp_path / "tensorflow_datasets.py").write_text("raise ImportError('not here')\n")
    command = [sys.executable, "-m", "data_prep.to_tfds", str(folder), "--output", str(tmp_path / "t"), "--shards", "3"]
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "pip install 'rac_unet[tfds]'" in done.stderr
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("\n") == 3, done.stdout
    assert "73 pairs in 9 files" in done.stdout and len(done.stderr.splitlines()) == 1, done.stderr
    assert tree(tmp_path / "t") == tree(converted)


def test_incompatible_packages_are_refused(monkeypatch):
    """tensorflow-datasets can be imported with parts missing, which fail only when they are used."""

    class Refusing:
        def find_spec(self, name, *_):
            if name == "tensorflow_datasets.core.dataset_builder":
                # Not an ImportError: protobuf raises this for code generated for a later version.
                raise Exception("gencode 6.31.1 runtime 5.29.6")

    monkeypatch.delitem(sys.modules, "tensorflow_datasets.core.dataset_builder", raising=False)
    monkeypatch.delattr("tensorflow_datasets.core.dataset_builder", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    with refused("missing_extra", "gencode 6.31.1 runtime 5.29.6", "rac_unet[tfds]"):
        to_tfds._import_tfds()
