"""The command that measures unmasked clips."""

import csv
import json

import pytest

from rac_unet import benchmark_clips
from tests.refusals import refused


@pytest.mark.slow
def test_three_methods_are_compared(tmp_path, capsys, monkeypatch):
    from rac_unet.benchmarks.clips import made_clips

    drawn = made_clips.drawn_still
    monkeypatch.setattr(made_clips, "drawn_still", lambda: drawn(side=200))
    assert benchmark_clips.main(["--output", str(tmp_path), "--frames", "6", "--parts", "steadiness"]) == 0
    with (tmp_path / "steadiness.csv").open() as file:
        rows = list(csv.DictReader(file))
    talking = {row["method"]: row for row in rows if "talking" in row["clip"]}
    assert list(talking) == ["source", "truth", "frame by frame", "one-euro filter", "two passes"]
    two, single = talking["two passes"], talking["frame by frame"]
    assert float(two["flicker"]) < float(talking["one-euro filter"]["flicker"])
    assert (float(two["unpainted"]), float(two["emotion_changes"])) == (0, 0)
    assert float(two["flicker_to_source"]) < 1.2 and float(two["sharpness_to_single_frame"]) > 0.8
    assert float(two["psnr"]) > float(talking["source"]["psnr"]) and float(single["sharpness_to_single_frame"]) == 1
    assert (tmp_path / "strip.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert json.loads((tmp_path / "provenance_steadiness.json").read_text())["model"] == "rac_unet_lite.tflite"
    assert "two passes" in capsys.readouterr().out


def test_an_unknown_part_is_refused(tmp_path):
    with refused("unknown_name", "tempo", "steadiness"):
        benchmark_clips.main(["--output", str(tmp_path), "--parts", "tempo"])
    assert list(tmp_path.iterdir()) == []
