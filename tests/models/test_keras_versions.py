"""Weights load in another version of Keras and back; `make kaggle` makes an environment with Kaggle's and runs this."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from rac_unet.core.registry import MODELS
from rac_unet.core.rundir import open_weights
from rac_unet.exporting.tensorflow_writing import write_keras
from rac_unet.runtime.published import PUBLISHED_WEIGHTS
from rac_unet.runtime.run_weights import load_network

ROOT = Path(__file__).resolve().parents[2]
# Run by both Pythons: `save` writes weights and the image they paint, `load` reads them and paints the same image.
SCRIPT = """
import json, sys
import numpy as np
from rac_unet.core.registry import MODELS
from rac_unet.models import build
what, folder, name = sys.argv[1:]
model = build(name, filters=4, image_size=32, conditioned=MODELS[name].takes_label)
rng = np.random.default_rng(0)
if what == "save":
    # Batch-norm statistics too, which a fresh network would leave at 0 and 1.
    model.set_weights([rng.uniform(0.1, 0.3, w.shape).astype(np.float32) for w in model.get_weights()])
    model.save_weights(f"{folder}/{name}.weights.h5")
else:
    model.load_weights(f"{folder}/{name}.weights.h5")
inputs = {"masked_image": np.linspace(0, 1, 2 * 32 * 32 * 3, dtype=np.float32).reshape(2, 32, 32, 3)}
if "emotion" in model.input:
    inputs["emotion"] = np.eye(7, dtype=np.float32)[:2]
np.save(f"{folder}/{name}-{what}.npy", model(inputs, training=False)["inpainted_image"].numpy())
import keras
print(json.dumps({"keras": keras.__version__}))
"""


# Run by the other Python, where nothing of rac_unet can be imported.
PLAIN = """
import sys
sys.modules["rac_unet"] = None
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1], compile=False)
inputs = dict(np.load(sys.argv[2]))
np.savez(sys.argv[3], **{name: value.numpy() for name, value in model(inputs, training=False).items()})
print(keras.__version__)
"""


@pytest.fixture
def other():
    if not (python := os.environ.get("RAC_UNET_OTHER_PYTHON")):
        pytest.skip("RAC_UNET_OTHER_PYTHON names no Python with another Keras; `make kaggle` makes one")
    return python


@pytest.mark.slow
def test_a_keras_file_of_the_published_network_loads_in_the_other_keras_without_rac_unet(other, tmp_path):
    model = load_network(open_weights(PUBLISHED_WEIGHTS))
    write_keras(model, tmp_path / "net.keras")
    rng = np.random.default_rng(0)
    inputs = {"masked_image": rng.random((2, 128, 128, 3), np.float32), "emotion": np.eye(7, dtype=np.float32)[:2]}
    np.savez(tmp_path / "in.npz", **inputs)
    files = [str(tmp_path / name) for name in ("net.keras", "in.npz", "out.npz")]
    done = subprocess.run([str(ROOT / other), "-c", PLAIN, *files], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] != keras.__version__, "both Pythons have the same Keras"
    received = np.load(tmp_path / "out.npz")
    for name, value in model(inputs, training=False).items():
        np.testing.assert_allclose(received[name], value, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS))
def test_weights_load_both_ways(name, other, tmp_path):
    def run(python, what):
        # Not resolved: Python finds its virtual environment from the link's own path.
        command = [str(ROOT / python), "-c", SCRIPT, what, str(tmp_path), name]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.strip().splitlines()[-1])["keras"], np.load(tmp_path / f"{name}-{what}.npy")

    for first, second in ((sys.executable, other), (other, sys.executable)):
        (one, saved), (two, loaded) = run(first, "save"), run(second, "load")
        assert one != two, "both Pythons have the same Keras"
        np.testing.assert_allclose(loaded, saved, atol=1e-5 * np.abs(saved).max())
