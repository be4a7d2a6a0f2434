"""The benchmark command runs and its figures are consistent; speed itself is not tested."""

import inspect
import json
from dataclasses import fields

import numpy as np
import pytest

from rac_unet.benchmark import main
from rac_unet.benchmarks import overfit
from rac_unet.benchmarks.table import BENCHMARKS, DEFAULT, Options
from rac_unet.core.registry import resolve
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("tiny_networks")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_takes_options_that_exist_and_gets_all_it_requires(name):
    takes = set(BENCHMARKS[name].takes)
    parameters = inspect.signature(resolve(BENCHMARKS[name].function)).parameters
    required = {key for key, parameter in parameters.items() if parameter.default is parameter.empty}
    assert required <= takes <= set(parameters) and takes <= {field.name for field in fields(Options)}


def test_help_names_every_benchmark_and_what_it_measures(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, benchmark in BENCHMARKS.items():
        assert f"{name}: {benchmark.measures}" in text
    assert f"default: {','.join(DEFAULT)}" in text and "used by predict" in text


def test_results_are_printed_written_and_consistent(tmp_path, toy_pairs, capsys):
    output = tmp_path / "benchmark.json"
    small = ["--filters", "2", "--image_size", "32", "--batch_size", "2", "--repeats", "2", "--data", str(toy_pairs)]
    assert main(["--parts", "loss,inference,training", "--output", str(output), *small]) == 0
    report = json.loads(output.read_text())
    assert list(report["results"]) == ["loss", "inference", "training"]
    assert report["matrix_multiply_gflops"]["before"] > 0 and report["provenance"]["device"]
    loss = report["results"]["loss"]
    ours, direct = (loss[f"{name}_milliseconds_per_picture"] for name in ("ms_ssim_l1", "direct_form"))
    assert loss["direct_form_over_ms_ssim_l1"] == pytest.approx(direct / ours, rel=1e-6)
    inference, training = report["results"]["inference"], report["results"]["training"]
    assert training["gflops"] == pytest.approx(
        3 * inference["gflop_per_picture"] * training["pictures_per_second"], rel=1e-6
    )
    assert "share of matrix multiply rate" in capsys.readouterr().out


def test_overfitting_is_reported_for_every_network_and_is_not_a_default(tmp_path, capsys, monkeypatch):
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
    assert "ra unet psnr" in capsys.readouterr().out and "overfit" not in DEFAULT


def test_mistakes(tmp_path):
    with refused("unknown_name", "--parts", "'speed'", *BENCHMARKS):
        main(["--parts", "speed"])
    with refused("usage", "--photos", "--labels"):
        main(["--photos", str(tmp_path)])
    with refused("bad_value", "--repeats", "0"):
        main(["--repeats", "0"])
