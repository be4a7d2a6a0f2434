"""The comparison: which systems are marked as best, what cannot be compared, and a page without external files."""

import json
import re
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

from rac_unet.compare import main
from rac_unet.core.emotions import EMOTIONS
from rac_unet.reports.comparison.details import group_table, paired_table, pairs_as_html
from rac_unet.reports.comparison.report_page import describe_training
from rac_unet.reports.comparison.systems import FACTS, make_table, read_faces, read_system, write_faces
from tests.refusals import refused

COUNT = 60


def make_folder(path, better=0.0, noise=0.5, judged=True, seed=0):
    """An evaluation folder as `evaluate` writes it: the same 60 pictures, this system `better` dB above 20."""
    rng, own = np.random.default_rng(0), np.random.default_rng([seed, 1])
    hard = rng.normal(20, 4, COUNT)
    frame = pd.DataFrame(
        {
            "key": [f"k{n}" for n in range(COUNT)],
            "emotion": [EMOTIONS[n % 7] for n in range(COUNT)],
            "identity": [f"p{n // 2}" for n in range(COUNT)],
            "mask_style": "kn95",
            "source": "here",
            "pixels": [f"{n:016x}" for n in range(COUNT)],
            "hidden": 0.35,
        }
    )
    for who, level in (("network", better), ("masked_input", -8), ("mean_face", -4), ("telea", -5)):
        values = hard + level + (own.normal(0, noise, COUNT) if who == "network" else 0)
        for figure in ("psnr_hole", "psnr_composite", "psnr_raw"):
            frame[f"{who}_{figure}"] = values
        for figure in ("ssim_composite", "ssim_raw", "ms_ssim_composite", "ms_ssim_raw"):
            frame[f"{who}_{figure}"] = values / 40
    metrics = {
        "settings": {"image_size": 16, "ms_ssim": {"window": 7, "scales": 3}},
        "faces": frame["key"].tolist()[:24],
        "cost": {
            "parameters": 1000,
            "megabytes": 0.1,
            "gflop_per_picture": 0.5,
            "device": "test",
            "milliseconds_per_picture": {"one": {"median": 2.0, "p95": 3.0}, "batch": {}},
        },
    }
    if judged:
        frame["network_reads"] = [EMOTIONS[n % 7] if n % 3 else EMOTIONS[0] for n in range(COUNT)]
        confusion = {a: {b: int(a == b) * 5 + 1 for b in EMOTIONS} for a in EMOTIONS}
        metrics["emotion"] = {"classifier": {"weights_sha256": "a"}, "network": {"confusion": confusion}}
        metrics["control"] = {"asked_read": confusion}
        frame["truth_reads"], frame["network_obeyed"] = frame["emotion"], 6 / 7
    path.mkdir(parents=True)
    frame.to_csv(path / "scores.csv", index=False)
    (path / "metrics.json").write_text(json.dumps(metrics))
    config = {"model": {"name": "rac_unet", "filters": 8, "conditioned": True}, "loss": {"terms": {"l1": 1.0}}}
    (path / "provenance.json").write_text(json.dumps({"run": path.name, "config": config}))
    history = pd.DataFrame({"images": [10, 20], "val_psnr_hole": [15.0, 17.0]})
    history.to_csv(path / "history.csv", index=False)
    write_faces(path / "faces.jpg", {name: own.random((24, 16, 16, 3)) for name in ("masked", "network", "truth")})
    return path


@pytest.fixture
def folders(tmp_path):
    """Three systems: b is truly better, c as good as b but for its noise, a is worse."""
    return [
        make_folder(tmp_path / "a", 0.0, seed=1),
        make_folder(tmp_path / "b", 1.0, seed=2),
        make_folder(tmp_path / "c", 1.0, seed=3),
    ]


def test_only_significantly_better_systems_are_marked(folders):
    table = make_table([read_system(folder) for folder in folders])
    rows = table.set_index("system")
    assert rows["psnr_hole_best"].to_dict() == {
        "a": False,
        "b": True,
        "c": True,
        "masked input": False,
        "mean training face": False,
        "Telea inpainting": False,
        "the truth": False,
    }
    scores = pd.read_csv(folders[0] / "scores.csv")
    assert rows.loc["a", "psnr_hole"] == pytest.approx(scores["network_psnr_hole"].mean())
    assert rows.loc["a", "psnr_hole_low"] < rows.loc["a", "psnr_hole"] < rows.loc["a", "psnr_hole_high"]
    # The intervals of a and b overlap; only the paired difference is significant.
    assert rows.loc["b", "psnr_hole_low"] < rows.loc["a", "psnr_hole_high"] and rows.loc["a", "psnr_hole_n"] == COUNT
    assert rows.loc["a", "reads"] == pytest.approx(100 * (scores["network_reads"] == scores["emotion"]).mean())
    assert rows.loc["the truth", "reads"] == 100 and np.isnan(rows.loc["the truth", "psnr_hole"])
    assert rows.loc["a", "obeyed"] == pytest.approx(600 / 7) and rows.loc["a", "training_pictures"] == 20
    assert rows.loc["a", "parameters"] == 1000 and rows.loc["a", "loss"] == "l1"


def test_every_pair_and_every_large_group(folders):
    systems = [read_system(folder) for folder in folders]
    pairs = paired_table(systems).set_index(["first", "second", "figure"])
    hole = [pd.read_csv(folder / "scores.csv")["network_psnr_hole"] for folder in folders]
    assert pairs.loc[("a", "b", "psnr_hole"), "difference"] == pytest.approx((hole[0] - hole[1]).mean())
    assert pairs.loc[("a", "b", "psnr_hole"), "better"] == "b" and pairs.loc[("b", "c", "psnr_hole"), "better"] == ""
    assert pairs.loc[("a", "b", "reads"), "difference"] == 0
    group = {"n": 12, "network": {"psnr_hole": {"mean": 20.0, "low": 19.0, "high": 21.0}}}
    for system in systems:
        system.metrics["by_emotion"] = {"fear": group, "anger": {**group, "n": 9}}
        system.metrics["emotion"]["network"]["by_emotion"] = {"fear": {"accuracy": 0.5, "n": 12}}
    groups = group_table(systems)
    assert set(groups["group"]) == {"fear"} and groups["reads"].tolist() == [50, 50, 50]
    assert group_table(systems[:0]).empty and pairs_as_html(paired_table(systems[:1])) == ""


def test_lower_brisque_is_better(tmp_path):
    good, bad = make_folder(tmp_path / "good"), make_folder(tmp_path / "bad")
    for folder, level in ((good, 10.0), (bad, 30.0)):
        scores = pd.read_csv(folder / "scores.csv")
        scores.assign(network_brisque_composite=level, truth_brisque=5.0).to_csv(folder / "scores.csv", index=False)
    systems = [read_system(good), read_system(bad)]
    table = make_table(systems).set_index("system")
    assert table.loc["good", "brisque_composite_best"] and not table.loc["bad", "brisque_composite_best"]
    assert table.loc["the truth", "brisque_composite"] == 5
    pairs = paired_table(systems).set_index("figure")
    assert pairs.loc["brisque_composite", "better"] == "good" and "not fair" not in describe_training(
        make_table(systems)
    )


def test_unequal_training_is_reported(folders):
    pd.DataFrame({"images": [10, 40], "val_psnr_hole": [15.0, 17.0]}).to_csv(folders[1] / "history.csv", index=False)
    words = describe_training(make_table([read_system(folder) for folder in folders]))
    assert "a 20; b 40; c 20" in words and "not fair" in words and "full resolution: 8." in words
    assert "warm start" not in words


def warm_start(folder, pictures, own):
    """Change an evaluation to one after a warm start from a run with this many pictures; None if not recorded."""
    pd.DataFrame({"images": [own / 2, own], "val_psnr_hole": [15.0, 17.0]}).to_csv(folder / "history.csv", index=False)
    provenance = json.loads((folder / "provenance.json").read_text())
    provenance["config"]["training"] = {"init_from": "earlier"}
    provenance["training"] = {"begun_from": {"run": "earlier", "pictures_seen": pictures}} if pictures else {}
    (folder / "provenance.json").write_text(json.dumps(provenance))


def test_pictures_before_a_warm_start_count(folders):
    def described():
        systems = [read_system(folder) for folder in folders]
        return systems, describe_training(make_table(systems))

    warm_start(folders[0], 15, 5)
    warm_start(folders[1], 12, 8)
    systems, words = described()
    assert "warm start): a 15 + 5; b 12 + 8; c 20." in words and "not fair" not in words
    table = make_table(systems).set_index("system")
    assert table.loc[["a", "c"], "pictures_before"].tolist() == [15, 0] and table.loc["a", "training_pictures"] == 5
    warm_start(folders[1], 1_200, 20)
    words = described()[1]
    assert "b 1,200 + 20; c 20." in words and "not fair" in words
    warm_start(folders[0], None, 5)
    warm_start(folders[1], None, 5)
    words = described()[1]
    assert "a unknown + 5; b unknown + 5; c 20." in words and "not fair" in words
    folders.pop()
    words = described()[1]
    assert "warm start): unknown + 5." in words and "not fair" not in words


def test_the_report(folders, tmp_path, capsys):
    output = tmp_path / "results/mine"
    warm_start(folders[2], 15, 5)
    assert main([str(folders[0]), f"{folders[1]}=ours", str(folders[2]), "--output", str(output)]) == 0
    said, text = capsys.readouterr().out, (output / "table.md").read_text()
    assert "| ours | **" in text and "| a | " in text and "↑" in text and text in said
    files = {"table.csv", "table.md", "differences.csv", "provenance.json", "index.html"}
    assert {path.name for path in output.iterdir()} == files
    assert set(json.loads((output / "provenance.json").read_text())) == {"a", "ours", "c"}
    page = (output / "index.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", page) and "http" not in page
    images = re.findall(r"<img [^>]*>", page)
    # Four plots, two matrices a system, and six faces with five pictures each.
    assert len(images) == 4 + 2 * 3 + 6 * 5 and all(re.search(r'alt="[^"]+"', image) for image in images)
    for fact in FACTS:
        assert (f"<th>{fact.name.replace('_', ' ')}</th>" in page) == bool(fact.form), fact.name
        assert (f"against {fact.axis};" in page) == bool(fact.axis), fact.name
    assert (
        "<td>1,000</td>" in page and "<td>3.0 ms (p95)</td>" in page and "<td>–</td>" not in page.split("Cost</h2>")[1]
    )
    columns = pd.read_csv(output / "table.csv").columns[2:]
    assert list(columns[: len(FACTS)]) == [fact.name for fact in FACTS]
    assert "<td>15 + 5</td>" in page and "<td>20</td>" in page
    assert "higher is better" in page and "mean training face" in page and "<strong>" in page


def judge_again(folder, share, guides=None):
    """Add a second judge and distances of lower faces to an evaluation."""

    def change(metrics):
        reads = {"accuracy": {"mean": share}, "mean_class_accuracy": share / 2}
        judge = {"name": "second", "weights_sha256": "s", **({"guides": guides} if guides else {})}
        control = {"obeyed": {"mean": share / 4}, "by_asked": dict.fromkeys(EMOTIONS, share / 8)}
        second = {"emotion": {"classifier": judge, "truth": reads, "network": reads}, "control": control}
        metrics["other_judges"] = [second]
        asked = {name: {"distance": 30 * share, "ratio": 1.25} for name in EMOTIONS}
        metrics["plausibility"] = {
            "n": COUNT,
            "floor": 11.0,
            "right_label": 24 * share,
            "by_asked": asked,
            "mean": 30 * share,
        }

    spoil(folder, change)


def test_every_judge_and_every_request_has_its_row(folders, tmp_path):
    guide = {
        "name": "guide",
        "weights_sha256": "g",
        "data": "shared",
        "photographs_in_common": 12,
        "photographs": 40,
        "started_from": False,
    }
    judge_again(folders[0], 0.8, [guide])
    judge_again(folders[1], 0.4)
    table = make_table([read_system(folder) for folder in folders]).set_index("system")
    assert table.loc[["a", "b"], "lower_face_distance"].tolist() == pytest.approx([19.2, 9.6])
    assert table.loc[["a", "b"], "lower_face_distance_asked"].tolist() == pytest.approx([24, 12])
    assert np.isnan(table.loc["c", "lower_face_distance"]) and table.loc["the truth", "lower_face_distance"] == 11
    # One number for all pictures has no paired difference, so no system is marked.
    assert not table["lower_face_distance_best"].any() and not table["lower_face_distance_asked_best"].any()
    assert compare(folders, tmp_path) == 0
    text, page = ((tmp_path / "out" / name).read_text() for name in ("table.md", "index.html"))
    assert "lower-face distance % ↓" in text and "| a | second (!) | 80.0 | 40.0 | 80.0 | 40.0 | 20.0 | 10.0 |" in text
    assert "| b | second | 40.0 |" in text and "12 of the judge's 40" in text
    assert "| a | 11.0 | 19.2 | 24.0 (1.25) |" in text
    for words in ("second (!)", "<td>24.0 (1.25)</td>", "12 of the judge&#x27;s 40"):
        assert words in page


def test_one_independent_judge_needs_no_table_of_judges(folders, tmp_path):
    assert compare(folders, tmp_path) == 0
    text, page = ((tmp_path / "out" / name).read_text() for name in ("table.md", "index.html"))
    assert "Judges" not in text + page and "lower-face" not in text + page


def test_faces_are_read_back(tmp_path):
    rng = np.random.default_rng(0)
    smooth = {
        n: np.stack([cv2.resize(rng.random((4, 4, 3)), (32, 32)) for _ in range(5)])
        for n in ("masked", "network", "truth")
    }
    write_faces(tmp_path / "faces.jpg", smooth)
    found = read_faces(tmp_path / "faces.jpg")
    for name, images in smooth.items():
        assert found[name].shape == images.shape and np.abs(found[name] / 255 - images).mean() < 0.05
    assert read_faces(tmp_path / "none.jpg") == {}


def spoil(folder, change):
    metrics = json.loads((folder / "metrics.json").read_text())
    change(metrics)
    (folder / "metrics.json").write_text(json.dumps(metrics))


def compare(folders, tmp_path, *more):
    return main([*map(str, folders), *more, "--output", str(tmp_path / "out")])


def test_what_cannot_be_compared_is_refused(folders, tmp_path):
    def refuse(kind, *named, others=folders[1:2]):
        with refused(kind, *named):
            compare([folders[0], *others], tmp_path)
        assert not (tmp_path / "out").exists()

    scores = pd.read_csv(folders[1] / "scores.csv")
    scores[1:].to_csv(folders[1] / "scores.csv", index=False)
    refuse("mismatch", *folders[:2], "1 and 0 pictures", "'k0'")
    scores[::-1].to_csv(folders[1] / "scores.csv", index=False)
    refuse("mismatch", *folders[:2], "order")
    scores.to_csv(folders[1] / "scores.csv", index=False)
    spoil(folders[1], lambda metrics: metrics["settings"].update(image_size=32))
    refuse("mismatch", *folders[:2], "sizes", "16 and 32")
    spoil(folders[1], lambda metrics: metrics["settings"].update(image_size=16))
    spoil(folders[1], lambda metrics: metrics["emotion"]["classifier"].update(weights_sha256="b"))
    refuse("mismatch", *folders[:2], "classifiers")
    refuse("missing", tmp_path, "scores.csv", "rac_unet.evaluate", others=[tmp_path])
    refuse("ambiguous", "'a'", others=folders[:1])
    (folders[2] / "metrics.json").write_text("{")
    refuse("unreadable", folders[2], others=folders[2:])
    shutil.copy(folders[1] / "provenance.json", folders[2] / "metrics.json")
    refuse("unreadable", folders[2], others=folders[2:])
    scores.drop(columns="network_psnr_hole").to_csv(folders[1] / "scores.csv", index=False)
    refuse("unsupported", folders[1], "network_psnr_hole")
    scores.assign(hidden=np.where(scores.index < 3, 0, 0.35)).to_csv(folders[1] / "scores.csv", index=False)
    refuse("unsupported", folders[1], "3 faces without a mask")


@pytest.mark.parametrize(
    "change", [{"pixels": "0"}, {"mask_style": "valve"}, {"hidden": 0.3501}, {"emotion": "fear"}, {"identity": "p1"}]
)
def test_different_pictures_with_the_same_keys_are_refused(folders, tmp_path, change):
    """The same photographs with other masks, another seed or other labels."""
    scores = pd.read_csv(folders[1] / "scores.csv")
    scores.loc[5, list(change)] = list(change.values())
    scores.to_csv(folders[1] / "scores.csv", index=False)
    with refused("mismatch", *folders[:2], "1 of 60", "'k5'"):
        compare(folders[:2], tmp_path)
    assert not (tmp_path / "out").exists()


def test_old_evaluations_are_compared_with_a_note_on_what_cannot_be_verified(folders, tmp_path, capsys):
    def note_of(*fingerprints):
        for folder, fingerprint in zip(folders[:2], fingerprints, strict=True):
            path = folder / "provenance.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"data_fingerprint": fingerprint}))
        assert compare(folders[:2], tmp_path) == 0
        said, page = capsys.readouterr().out, (tmp_path / "out/index.html").read_text()
        assert ("cannot be verified" in said) == ("cannot be verified" in page)
        return "cannot be verified" in said

    # With hashes of all pictures, fingerprints of the data sets do not matter.
    assert not note_of("one", "another")
    scores = pd.read_csv(folders[1] / "scores.csv")
    scores.drop(columns="pixels").to_csv(folders[1] / "scores.csv", index=False)
    assert note_of("one", "another") and note_of(None, None) and not note_of("one", "one")


def test_another_evaluation_of_the_run_is_named(folders, tmp_path):
    (tmp_path / "run/eval").mkdir(parents=True)
    (tmp_path / "run/config.yaml").touch()
    shutil.copytree(folders[0], tmp_path / "run/eval/test-mine")
    with refused("missing", tmp_path / "run", tmp_path / "run/eval/test-mine"):
        compare([tmp_path / "run"], tmp_path)
