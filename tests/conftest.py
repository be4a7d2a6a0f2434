"""What all tests share: a cache of their own, the development photographs, a tiny data set of pairs."""

import gc
import os
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

# Without bytecode, as in many containers, every process that imports TensorFlow compiles its modules again, which takes
# longer than most tests.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# TensorFlow reads this while it is imported, which a test module may do before any fixture runs.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# The CUDA libraries read this: on a GPU tests compare figures as precisely as on a processor.
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items):
    """Files with the most slow tests come first, so that processes that share the files end at nearly one time."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_collection_finish():
    """Exclude what TensorFlow made on import from garbage collection, which tracing a network triggers often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Tests and the commands they start neither use nor fill the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("RAC_UNET_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def hasty():
    """How long a picture takes is measured a few times only; every evaluation would spend a second or two on it."""
    from rac_unet.scoring import prediction_time

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction_time, "WARM_UP", 1)
        patch.setattr(prediction_time, "REPEATS", prediction_time.FEWEST)
        yield


@pytest.fixture(scope="session")
def half_precision():
    """Skip where oneDNN's instruction set is limited, since TensorFlow then crashes in 16-bit arithmetic."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "DEFAULT"
    if limit.upper() not in ("ALL", "DEFAULT"):
        pytest.skip(f"TensorFlow crashes in 16-bit arithmetic where oneDNN is limited to {limit}")


@pytest.fixture(scope="module")
def tiny_networks():
    """Networks of a few layers in place of RAC-UNET and the compact one, in forked commands too, and of ResNet-18."""
    from rac_unet.core import registry
    from tests.tiny_networks import CLASSIFIERS, NETWORKS

    with pytest.MonkeyPatch.context() as patch:
        for name, place in NETWORKS.items():
            patch.setitem(registry.MODELS, name, replace(registry.MODELS[name], builder=place))
        for name, place in CLASSIFIERS.items():
            patch.setitem(registry.CLASSIFIERS, name, place)
        yield


@pytest.fixture
def folder_with_runs(tmp_path, monkeypatch):
    """Working folder with runs/RUN and RUN1 to RUN3, from which documented commands start: settings, empty weights."""
    from rac_unet.core.config import preset_path

    for name in ("RUN", "RUN1", "RUN2", "RUN3"):
        run = tmp_path / "runs" / name
        (run / "checkpoints").mkdir(parents=True)
        (run / "config.yaml").write_text(preset_path("rac_unet_lite").read_text(encoding="utf-8"))
        (run / "checkpoints/best.weights.h5").touch()
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def shared():
    """Folder of the development photographs (`faces/`, `real_masks/`), which never come with the repository."""
    folder = Path(os.environ.get("RAC_UNET_SHARED") or ROOT.parent / "shared") / "data"
    if not (folder / "faces/labels.csv").is_file():
        pytest.skip(f"no development photographs at {folder}; RAC_UNET_SHARED names the folder above data/")
    return folder


@pytest.fixture(scope="session")
def toy_pairs(tmp_path_factory):
    """Folder of 70 pairs of 64 px: ten toy people, each with all seven emotions, in all three splits."""
    from rac_unet.pairing.toy_pairs import write_toy_pairs

    folder = tmp_path_factory.mktemp("toy_pairs") / "pairs"
    write_toy_pairs(folder, 70, size=64, progress=False)
    return folder


@pytest.fixture
def copied_pairs(toy_pairs, tmp_path):
    """A copy of `toy_pairs` to write into."""
    return shutil.copytree(toy_pairs, tmp_path / "pairs")


@pytest.fixture(scope="session")
def random_reader(tmp_path_factory):
    """Run directory of an emotion classifier with random weights and its classes in alphabetical order."""
    import keras

    from rac_unet.core.emotions import EMOTIONS
    from rac_unet.runtime.classifier import ClassifierConfig, build_classifier, write_classifier

    # The same weights whichever tests ran before.
    keras.utils.set_random_seed(0)
    config = ClassifierConfig(tuple(sorted(EMOTIONS)), "small_reader", 2, 32, "grey")
    path = tmp_path_factory.mktemp("reader") / "reader"
    write_classifier(path, build_classifier(config), config, {})
    return path
