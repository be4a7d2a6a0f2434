"""The table of exports: it has the measured values, and missing exports are reported."""

import json

import keras
import pandas as pd
import pytest

from rac_unet import exports_table
from rac_unet.benchmarks import latency
from rac_unet.core.config import DataConfig, ModelConfig, RunConfig
from rac_unet.core.errors import UserError
from rac_unet.core.rundir import create
from rac_unet.exporting.formats import FORMATS
from rac_unet.models import build_configured
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.fixture(scope="module")
def run(tmp_path_factory, toy_pairs):
    model = ModelConfig(name="rac_unet_lite", filters=2, image_size=32)
    run = create(
        tmp_path_factory.mktemp("runs"), "tiny", RunConfig(model=model, data=DataConfig(path=str(toy_pairs))), {}
    )
    keras.utils.set_random_seed(1)
    network = build_configured(model)
    run.best_weights.parent.mkdir()
    network.save_weights(run.best_weights)
    run.export().mkdir()
    FORMATS["litert_float16"].write(network, run.export() / "rac_unet_lite_float16.tflite")
    return run


def test_the_table_is_written_and_printed(run, monkeypatch, capsys):
    """The timing is replaced; tests/reports/test_export_scores.py tests it."""
    monkeypatch.setattr(latency, "machine_rate", lambda threads: 100.0 * threads)
    timed = []

    def measured(path, threads):
        timed.append((path, threads))
        return {"median": 3.0 / threads, "least": 2.0 / threads, "repeats": 200}

    monkeypatch.setattr(latency, "picture_milliseconds", measured)
    monkeypatch.setattr("rac_unet.runtime.interface.available_cores", lambda: 4)
    assert exports_table.main([str(run.path), "--pictures", "3"]) == 0
    printed = capsys.readouterr().out
    file = run.export() / "rac_unet_lite_float16.tflite"
    assert timed == [(path, threads) for path in (run.path, file) for threads in (1, 4)]
    table = pd.read_csv(run.export() / "exports.csv", index_col="format")
    assert list(table.index) == ["network", "litert_float16"]
    assert list(table["file"]) == ["best.weights.h5", file.name]
    assert table.loc["litert_float16", "megabytes"] == pytest.approx(file.stat().st_size / 1e6, rel=1e-5)
    assert list(table["ms_one_thread"]) == [3, 3] and list(table["ms_all_threads_least"]) == [0.5, 0.5]
    assert table.loc["litert_float16", "psnr_to_network"] > 60 and pd.isna(table.loc["network", "psnr_to_network"])
    page = (run.export() / "exports.md").read_text()
    assert page in printed and "| ms, 4 threads (least) |" in page and "3 pictures of split val" in page
    facts = json.loads((run.export() / "exports.json").read_text())
    assert facts["pictures"] == 3 and facts["split"] == "val" and facts["steady"]
    assert facts["machine_gflops"] == {"1": [100, 100], "4": [400, 400]} and facts["runtimes"]["ai-edge-litert"]
    assert str(run.path) not in json.dumps(facts)
    assert facts["command"] == f"python -m rac_unet.exports_table {run.path.name} --pictures 3"
    assert "missing  onnx (rac_unet_lite.onnx)" in printed


def test_missing_exports_are_refused(run, tmp_path):
    empty = create(tmp_path, "empty", run.config(), {})
    for argv, named in (([empty.path], "best weights"), ([tmp_path / "absent"], "absent")):
        with pytest.raises(UserError, match=named):
            exports_table.main([str(arg) for arg in argv])
    with refused("missing", run.export(), "onnx", f"python -m rac_unet.export {run.path} --format onnx"):
        exports_table.main([str(run.path), "--format", "onnx"])
    with refused("usage", "--pictures", "0"):
        exports_table.main([str(run.path), "--pictures", "0"])
    empty.best_weights.parent.mkdir()
    empty.best_weights.touch()
    with refused("empty", empty.export(), f"python -m rac_unet.export {empty.path} --format all"):
        exports_table.main([str(empty.path)])
