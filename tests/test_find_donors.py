"""The find_donors command: a table of pairs, a sheet and provenance next to the pairs."""

import json

from PIL import Image

from rac_unet.data import pairs
from rac_unet.find_donors import main
from tests.refusals import refused


def test_a_table_of_donors_and_a_sheet(copied_pairs, random_reader, capsys):
    few = ["--count", "2", "--tried", "3", "--recipients", "2"]
    arguments = [str(copied_pairs), "--classifier", str(random_reader), *few]
    assert main(arguments) == 0
    before, donors = pairs.read(copied_pairs), pairs.read(copied_pairs / "donors.csv")
    assert set(donors.keys) <= set(before.keys) and len(set(donors.keys)) == len(donors) > 0
    assert set(donors.frame["split"]) == {"train"} and max(donors.emotion_counts().values()) <= 2
    assert Image.open(copied_pairs / "donors.jpg").size[0] > 100
    facts = json.loads((copied_pairs / "donors.json").read_text())
    assert facts["data_fingerprint"] == before.fingerprint and len(facts["classifiers"]) == 1
    with refused("exists", "donors.csv", "--name"):
        main(arguments)
    first = donors.keys[0]
    assert main([*arguments, "--skip", str(first), "--name", "others.csv"]) == 0
    assert first not in pairs.read(copied_pairs / "others.csv").keys
    assert "others.csv" in capsys.readouterr().out


def test_mistakes(copied_pairs, random_reader):
    with refused("usage", "--name", "a/b.csv"):
        main([str(copied_pairs), "--classifier", str(random_reader), "--name", "a/b.csv"])
    with refused("unknown_name", "--skip", "nobody"):
        main([str(copied_pairs), "--classifier", str(random_reader), "--skip", "nobody"])
    assert not (copied_pairs / "donors.csv").exists()
