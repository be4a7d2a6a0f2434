"""The benchmark command runs and its figures hang together; how fast it is, is not a test."""

import json

import pytest

from rac_unet.benchmark import main
from rac_unet.errors import UserError


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


def test_mistakes(tmp_path):
    with pytest.raises(UserError, match="unknown part 'speed'"):
        main(["--parts", "speed"])
    with pytest.raises(UserError, match="go together"):
        main(["--photos", str(tmp_path)])
