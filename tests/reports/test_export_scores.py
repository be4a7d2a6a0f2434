"""The table of exports: scores as computed by hand, and exports of other networks are refused."""

import keras
import numpy as np
import pandas as pd
import pytest

from rac_unet.benchmarks.latency import FEWEST, REPEATS, is_steady, picture_milliseconds
from rac_unet.exporting.formats import FORMATS
from rac_unet.exporting.sample_pictures import read_pictures
from rac_unet.models import build
from rac_unet.pairing.opening import read_pairs
from rac_unet.reports import export_scores
from rac_unet.reports.export_scores import BUSY, exports_page, exports_table, score_exports
from rac_unet.runtime.runners import load_runner
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("tiny_networks")

FACTS = {
    "pictures": 9,
    "masked_pictures": 9,
    "split": "val",
    "image_size": 32,
    "hidden_share": 0.25,
    "threads": 2,
    "repeats": 200,
    "device": "a processor",
    "machine_gflops": {1: (80.0, 81.0), 2: (150.0, 149.0)},
    "steady": True,
}


@pytest.fixture(scope="module")
def network(tiny_networks):
    keras.utils.set_random_seed(1)
    return build("rac_unet_lite", filters=2, image_size=32)


@pytest.fixture(scope="module")
def pictures(toy_pairs):
    return read_pictures(read_pairs(toy_pairs), "val", 4, 32)


@pytest.fixture(scope="module")
def path(network, tmp_path_factory):
    """The network as a file of 16-bit weights."""
    file = tmp_path_factory.mktemp("export") / "net.tflite"
    FORMATS["litert_float16"].write(network, file)
    return file


def test_an_export_is_scored_in_a_new_process(network, pictures, path):
    own, row = score_exports(network, {"litert_float16": path}, pictures)
    assert own["format"] == "network" and row["format"] == "litert_float16"
    assert 0 < row["mean_difference"] < row["largest_difference"] < 2e-3 and row["psnr_to_network"] > 60
    # By hand: hidden pixels from the network, the others from the ground truth.
    painted = load_runner(path)(pictures["masked_image"], pictures["emotion"])["inpainted_image"]
    error = np.square((painted - pictures["unmasked_image"]) * (pictures["occlusion"] > 0)).mean(axis=(1, 2, 3))
    assert row["psnr_composite"] == pytest.approx(float((-10 * np.log10(error)).mean()), abs=1e-3)
    assert row["psnr_composite_change"] == pytest.approx(row["psnr_composite"] - own["psnr_composite"])


def test_bare_faces_have_no_composite_score(network, pictures):
    """Nothing is inpainted in them, so their score would be perfect."""
    half = {name: value.copy() for name, value in pictures.items()}
    half["occlusion"][0] = 0
    without = {name: value[1:] for name, value in half.items()}
    scores = [score_exports(network, {}, some)[0]["psnr_composite"] for some in (half, without)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)
    half["occlusion"][:] = 0
    with refused("empty", "--data"):
        score_exports(network, {}, half)


def test_an_export_of_other_weights_is_refused(network, pictures, tmp_path, monkeypatch):
    def grey(lines, batches):
        shapes = {name: (1, *tensor.shape[1:]) for name, tensor in network.output.items()}
        return [{name: np.full(shape, 0.5, np.float32) for name, shape in shapes.items()} for _ in batches]

    monkeypatch.setattr(export_scores, "run_fresh", grey)
    with refused("failed_check", tmp_path / "old.tflite", "export it again"):
        score_exports(network, {"litert_float32": tmp_path / "old.tflite"}, pictures)


def test_the_page_shows_all_measurements():
    rows = [
        {
            "format": "network",
            "megabytes": 5.9,
            "ms_one_thread": 8.25,
            "ms_one_thread_least": 7.6,
            "psnr_composite": 27.1,
        },
        {
            "format": "litert_int8",
            "megabytes": 1.46,
            "ms_one_thread": 2.0,
            "ms_one_thread_least": 1.9,
            "largest_difference": 0.0104,
            "psnr_composite": 27.0996,
            "psnr_composite_change": -0.0004,
        },
    ]
    table = exports_table(rows)
    page = exports_page(table, FACTS)
    assert page.splitlines()[0] == (
        "| format | MB | ms, 1 thread (least) | largest difference | composite PSNR dB ↑ | change dB |"
    )
    assert page.splitlines()[2] == "| network | 5.90 | 8.25 (7.60) | – | 27.10 | – |"
    assert page.splitlines()[3] == "| litert_int8 | 1.46 | 2.00 (1.90) | 0.01 | 27.10 | +0.00 |"
    assert "9 pictures of split val, 32 px, 25.0 % hidden" in page
    assert "1 thread 80 GFLOP/s before, 81 after; 2 threads 150 GFLOP/s before, 149 after" in page
    assert "of the 7 with a mask" in exports_page(table, FACTS | {"masked_pictures": 7}) and "with a mask" not in page
    assert BUSY not in page and BUSY in exports_page(table, FACTS | {"steady": False})
    assert list(pd.DataFrame(table)["format"]) == ["network", "litert_int8"] and table.columns[1] == "file"


def test_a_machine_is_busy_when_its_rate_changed():
    assert is_steady(100, 91) and is_steady(91, 100)
    assert not is_steady(100, 89) and not is_steady(89, 100)


def test_a_picture_is_timed_in_a_new_process(path, tmp_path):
    taken = picture_milliseconds(path, 1)
    assert 0 < taken["least"] <= taken["median"] and FEWEST <= taken["repeats"] <= REPEATS
    with refused("missing", tmp_path / "absent.tflite"):
        picture_milliseconds(tmp_path / "absent.tflite", 1)
