"""The table of metrics: a new row is enough for all files, tables and reports."""

import numpy as np
import pandas as pd
import pytest

from rac_unet.reports import tables
from rac_unet.reports.comparison import details, report_page, systems
from rac_unet.reports.comparison.systems import System
from rac_unet.scoring import evaluation, metric_table
from rac_unet.scoring.metric_table import BY_NAME, COMPOSITE, METRICS, GroundTruth, Metric, score_images, score_truth

COUNT = 12


@pytest.fixture
def redness(monkeypatch):
    """Add a row: the redness of composites and of the ground truth, in %."""
    row = Metric(
        "red",
        "redness",
        lambda view: view.image[..., 0].mean(axis=(1, 2)),
        COMPOSITE,
        unit="%",
        scale=100,
        higher=False,
        digits=1,
        truth_name="red",
        setting=("red", lambda *_: "mean red"),
    )
    monkeypatch.setitem(BY_NAME, "red", row)
    for module in (metric_table, evaluation, tables, systems, details, report_page):
        for name in {"METRICS", "COMPARED"} & set(vars(module)):
            monkeypatch.setattr(module, name, (*getattr(module, name), row))
    return row


def made_system(name, red):
    """Return an evaluation of grey images whose lower half is inpainted with this red."""
    truth = np.full((COUNT, 32, 32, 3), 0.5, np.float32)
    truth += np.random.default_rng(0).normal(0, 0.05, truth.shape).astype(np.float32)
    occlusion = np.zeros((COUNT, 32, 32, 1))
    occlusion[:, 16:] = 1
    painted = truth.copy()
    painted[..., 0] = red + 0.01 * np.arange(COUNT)[:, None, None]
    ground, columns = GroundTruth(truth, occlusion), {"hidden": 0.5}
    for who in evaluation.SYSTEMS:
        found = score_images(ground, painted if who == "network" else truth)
        columns |= {BY_NAME[key].column(who): values for key, values in found.items()}
    columns |= score_truth(ground, ["always"])
    rows = {
        "key": [f"k{n}" for n in range(COUNT)],
        "emotion": "fear",
        "identity": [f"p{n}" for n in range(COUNT)],
        "mask_style": "kn95",
        "source": "here",
    }
    scores = pd.DataFrame({**rows, **columns})
    return System(name, None, scores, evaluation.summarise_scores(scores, 32), {"run": name}, pd.DataFrame())


def test_a_new_row_is_in_scores_tables_and_comparison(redness):
    pale, red = made_system("pale", 0.5), made_system("red", 0.8)
    assert pale.metrics["overall"]["network"]["red"]["mean"] == pytest.approx(0.5 + 0.055 / 2, abs=1e-2)
    assert pale.metrics["overall"]["truth_red"]["mean"] == pytest.approx(0.5, abs=1e-2)
    settings = pale.metrics["settings"]
    assert settings["red"] == "mean red" and "lower for red" in settings["better"]
    printed = tables.score_table(pale.metrics)
    assert "redness % ↓" in printed and "redness % of the truth: 50." in printed
    table = systems.make_table([pale, red])
    assert table.set_index("system")["red_best"].to_dict()["pale"] and "redness % ↓" in report_page.markdown_table(
        table
    )
    differences = details.paired_table([pale, red]).set_index("figure")
    assert differences.loc["red", "better"] == "pale" and differences.loc["red", "difference"] < -10
    assert "redness % ↓" in details.pairs_as_html(details.paired_table([pale, red]))


def test_metrics_that_are_not_available_are_not_computed():
    truth = np.full((1, 32, 32, 3), 0.5, np.float32)
    found = set(score_images(GroundTruth(truth, np.ones((1, 32, 32, 1))), truth))
    assert found == {metric.name for metric in METRICS if metric.measure and metric.needs == metric_table.ALWAYS}
    with_map = score_images(GroundTruth(truth, np.ones((1, 32, 32, 1))), truth, predicted_map=np.ones((1, 32, 32, 1)))
    assert set(with_map) - found == {"map_iou", "map_claims"}


def test_emotion_accuracy_counts_readings_that_equal_the_label():
    scores = pd.DataFrame({"emotion": ["fear", "anger"], "network_reads": ["fear", "fear"], "network_obeyed": [0.5, 1]})
    assert BY_NAME["reads"].values(scores).tolist() == [100, 0]
    assert BY_NAME["obeyed"].values(scores).tolist() == [50, 100]
    assert BY_NAME["obeyed"].values(scores, "truth") is None
    found = {"plausibility": {"right_label": 20.0, "floor": None}}
    assert BY_NAME["lower_face_distance"].set_value(found) == 20
    assert BY_NAME["lower_face_distance_asked"].set_value(found) is None
    assert BY_NAME["lower_face_distance"].set_value({}, "truth") is None
