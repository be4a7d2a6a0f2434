"""The benchmark command runs and its figures hang together; how fast it is, is not a test."""

import json

import numpy as np
import pytest

from rac_unet.benchmark import DEFAULT_PARTS, PARTS, main
from rac_unet.benchmarks import overfit
from tests.refusals import refused


def test_measures_writes_and_relates(tmp_path, toy_pairs, capsys):
    output = tmp_path / "benchmark.json"
    small = ["--filters", "2", "--image_size", "32", "--batch_size", "2", "--repeats", "2", "--data", str(toy_pairs)]
    assert main(["--parts", "loss,inference,training", "--output", str(output), *small]) == 0
    report = json.loads(output.read_text())
    assert report["matrix_multiply_gflops"]["before"] > 0 and report["provenance"]["device"]
    loss = report["results"]["loss"]
    ours, direct = (loss[f"{name}_milliseconds_per_picture"] for name in ("ms_ssim_l1", "direct_form"))
    assert loss["direct_form_over_ms_ssim_l1"] == pytest.approx(direct / ours, rel=1e-6)
    inference, training = report["results"]["inference"], report["results"]["training"]
    assert training["gflops"] == pytest.approx(
        3 * inference["gflop_per_picture"] * training["pictures_per_second"], rel=1e-6
    )
    assert "share of matrix multiply rate" in capsys.readouterr().out


def test_overfitting_is_reported_for_every_network_and_is_no_default(tmp_path, capsys, monkeypatch):
    seen = []

    def overfit_two(model, inputs, truth, steps, seed):
        seen.append((model.name, model.conditioned, model.filters, truth.shape, steps))
        return np.array([30.0 + len(seen), 28.0])

    monkeypatch.setattr(overfit, "overfit", overfit_two)
    output = tmp_path / "benchmark.json"
    assert main(["--parts", "overfit", "--output", str(output)]) == 0
    result = json.loads(output.read_text())["results"]["overfit"]
    assert result["rac_unet_psnr"] == 29.5 and result["rac_unet_psnr_of_the_worst_picture"] == 28
    assert {"rac_unet_unlabelled_psnr", "ra_unet_psnr", "a_unet_psnr"} <= set(result)
    assert {(*network[:2],) for network in seen} >= {("rac_unet", True), ("rac_unet", False), ("ra_unet", False)}
    assert {network[2:] for network in seen} == {(8, (8, 64, 64, 3), 500)}
    assert "ra unet psnr" in capsys.readouterr().out and "overfit" not in DEFAULT_PARTS


def test_mistakes(tmp_path):
    with refused("unknown_name", "--parts", "'speed'", *PARTS):
        main(["--parts", "speed"])
    with refused("usage", "--photos", "--labels"):
        main(["--photos", str(tmp_path)])
    with refused("bad_value", "--repeats", "0"):
        main(["--repeats", "0"])
