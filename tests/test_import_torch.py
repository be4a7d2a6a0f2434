"""The import command: it writes a usable run, and leaves nothing after an error."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from rac_unet import evaluate, export, train
from rac_unet.core.emotions import EMOTIONS
from rac_unet.core.errors import run_command
from rac_unet.core.rundir import open_run
from rac_unet.import_torch import RESULTS_FIRES, main
from rac_unet.models.importing.torch_names import TORCH_MODELS
from rac_unet.objectives.features import load_extractor
from rac_unet.runtime.classifier import load_classifier, read_classifier
from rac_unet.runtime.runners import load_runner
from tests.refusals import refused

ROOT = Path(__file__).resolve().parents[1]
TITLES = {kind.name: kind for kind in TORCH_MODELS}


def drawn(kind, model, seed=0):
    """Random entries for all names of a kind, in PyTorch's shapes of the layers of `model`."""
    rng, entries = np.random.default_rng(seed), {}
    for part in TITLES[kind].parts:
        for name, weight in zip(part.names, model.get_layer(part.layers[0]).weights, strict=True):
            shape = tuple(weight.shape)
            if name.endswith("weight") and len(shape) == 4:
                shape = (shape[3], shape[2], *shape[:2])
            elif name.endswith("weight") and len(shape) == 2 and part.rows is None:
                shape = shape[::-1]
            value = rng.uniform(0.5, 1.5, shape) if name.endswith("var") else 0.2 * rng.normal(size=shape)
            entries[name] = value.astype(np.float32)
        if len(part.entries) > 2:
            entries[f"{part.module}.num_batches_tracked"] = np.int64(9)
    return entries


def rac_unet_entries(conditioned=True):
    from rac_unet.models import build

    name = "rac_unet" if conditioned else "rac_unet_unlabelled"
    return drawn(name, build("rac_unet", filters=2, image_size=32, conditioned=conditioned))


@pytest.fixture(scope="module")
def entries():
    return rac_unet_entries()


@pytest.fixture
def checkpoint(entries, tmp_path):
    np.savez(tmp_path / "net.npz", **{f"module.{name}": value for name, value in entries.items()})
    return tmp_path / "net.npz"


@pytest.fixture(scope="module")
def imported(entries, tmp_path_factory):
    """An imported run, 64 px, and the printed output."""
    folder = tmp_path_factory.mktemp("imported")
    np.savez(folder / "net.npz", **entries)
    main([str(folder / "net.npz"), "--output", str(folder / "run"), "--image_size", "64"])
    return folder / "run"


def test_an_imported_run_records_its_source(checkpoint, entries, tmp_path, capsys):
    assert main([str(checkpoint), "--output", str(tmp_path / "runs/net")]) == 0
    printed = capsys.readouterr().out
    run = open_run(tmp_path / "runs/net")
    learned = sum(v.size for n, v in entries.items() if not n.endswith(("mean", "var", "tracked")))
    assert f"{learned:,} trained parameters" in printed and "the original's RAC-UNET, " in printed
    assert "copied   contract3.batchnorm2 to down3_bn2 and down3_bn3" in printed
    assert "removed the prefix 'module.'" in printed and "dropped  37 entries num_batches_tracked" in printed
    assert f"python -m rac_unet.evaluate {run.path} --data PAIRS" in printed
    model = run.config().model
    assert (model.name, model.filters, model.image_size, model.conditioned) == ("rac_unet", 2, 128, True)
    source = run.provenance()["imported"]
    assert source["file"] == "net.npz" and source["model"] == "the original's RAC-UNET"
    assert source["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert run.best_weights.read_bytes() == run.last_weights.read_bytes()
    assert sorted(path.name for path in run.path.iterdir()) == ["checkpoints", "config.yaml", "provenance.json"]
    assert [path.name for path in run.path.parent.iterdir()] == ["net"]


def test_its_network_runs_and_depends_on_the_label(imported):
    runner = load_runner(imported)
    assert runner.conditioned and runner.image_size == 64
    picture = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    one, other = (runner(picture, np.eye(7)[[k, k]])["inpainted_image"] for k in (0, 4))
    assert np.isfinite(one).all() and np.abs(one - other).max() > 1e-3


def test_unlabelled(tmp_path, capsys):
    np.savez(tmp_path / "net.npz", **rac_unet_entries(conditioned=False))
    main([str(tmp_path / "net.npz"), "--output", str(tmp_path / "run"), "--image_size", "32"])
    assert "RAC-UNET without a label" in capsys.readouterr().out
    assert not load_runner(tmp_path / "run").conditioned


@pytest.mark.slow
def test_evaluate_asks_for_data_and_takes_it(imported, toy_pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("rac_unet.evaluate.import_tensorflow", lambda: pytest.fail("should have been refused before"))
    with refused("usage", imported, "--data"):
        evaluate.main([str(imported)])
    monkeypatch.undo()
    folder = tmp_path / "scores"
    folder.mkdir()
    (folder / "history.csv").write_text("of another run")
    assert evaluate.main([str(imported), "--data", str(toy_pairs), "--output", str(folder)]) == 0
    assert json.loads((folder / "metrics.json").read_text())["overall"]["n"] == 7
    recorded = json.loads((folder / "provenance.json").read_text())
    # Nothing is reported about a training that is not known.
    assert set(recorded["config"]) == {"model"} and recorded["training"]["imported"]["file"] == "net.npz"
    assert not (folder / "history.csv").exists()


def test_the_data_set_is_recorded(checkpoint, toy_pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(toy_pairs.parent)
    main([str(checkpoint), "--output", str(tmp_path / "run"), "--data", toy_pairs.name])
    assert open_run(tmp_path / "run").config().data.path == str(toy_pairs)
    assert "--data PAIRS" not in capsys.readouterr().out


@pytest.mark.slow
def test_export_takes_an_imported_run(imported, tmp_path, monkeypatch):
    def run_here(lines, batches):
        # As printed, but not in a new process, which tests/test_export.py already tests.
        received = []
        for batch in batches:
            names = dict(batch)
            exec("\n".join(lines), names)
            received.append({name: value.numpy() for name, value in names["outputs"].items()})
        return received

    monkeypatch.setattr("rac_unet.exporting.write_and_verify.run_fresh", run_here)
    path = tmp_path / "net.keras"
    assert export.main([str(imported), "--format", "keras", "--output", str(path)]) == 0
    picture, label = np.random.default_rng(1).random((1, 64, 64, 3), np.float32), np.eye(7, dtype=np.float32)[[2]]
    ours = load_runner(imported)(picture, label)["inpainted_image"]
    np.testing.assert_allclose(load_runner(path)(picture, label)["inpainted_image"], ours, atol=1e-4)


def test_it_cannot_be_resumed(imported):
    before = (imported / "checkpoints/best.weights.h5").read_bytes()
    with refused("wrong_type", imported):
        train.main(["--resume", str(imported)])
    assert (imported / "checkpoints/best.weights.h5").read_bytes() == before


@pytest.fixture(scope="module")
def resnet():
    from rac_unet.models.classifiers.resnet18 import build_resnet18

    return build_resnet18(image_size=32, filters=2)


def test_the_originals_classifier(resnet, tmp_path, capsys):
    entries = drawn("classifier", resnet)
    # It always returns its third class, which is fear in alphabetical order.
    entries["classifier.weight"][:] = 0
    entries["classifier.bias"][:] = [0, 0, 9, 0, 0, 0, 0]
    np.savez(tmp_path / "judge.npz", **{f"module.{name}": value for name, value in entries.items()})
    main([str(tmp_path / "judge.npz"), "--output", str(tmp_path / "judge"), "--image_size", "48"])
    assert "classes  anger, disgust, fear, happiness, neutral, sadness, surprise" in capsys.readouterr().out
    classifier = load_classifier(tmp_path / "judge")
    assert classifier.image_size == 48
    judged = classifier.probabilities(np.zeros((1, 48, 48, 3), np.float32))
    assert EMOTIONS[judged[0].argmax()] == "fear"

    for command in (evaluate.main, lambda argv: export.main([*argv, "--format", "keras"]), load_runner_of):
        with refused("wrong_type", tmp_path / "judge"):
            command([str(tmp_path / "judge")])


def load_runner_of(argv):
    load_runner(argv[0])


def test_imagenet_weights_cannot_classify_emotions_yet(resnet, tmp_path, capsys):
    entries = drawn("resnet18", resnet) | {"fc.weight": np.zeros((10, 16), np.float32), "fc.bias": np.zeros(10)}
    np.savez(tmp_path / "start.npz", **entries)
    for name in ("a", "b"):
        main([str(tmp_path / "start.npz"), "--output", str(tmp_path / name), "--image_size", "32"])
    printed = capsys.readouterr().out
    assert "dropped  fc.weight, fc.bias" in printed and "new and untrained" in printed
    with refused("wrong_type", tmp_path / "a", "untrained"):
        load_classifier(tmp_path / "a")
    (a, config), (b, _) = (read_classifier(tmp_path / name) for name in ("a", "b"))
    assert config.preprocessing == "torchvision" and config.head == "untrained"
    kernel = a.get_layer("stem_conv").get_weights()[0]
    np.testing.assert_array_equal(kernel.transpose(3, 2, 0, 1), entries["conv1.weight"])
    # The same file gives the same run, including its new head.
    np.testing.assert_array_equal(a.get_layer("logits").get_weights()[0], b.get_layer("logits").get_weights()[0])


@pytest.mark.slow
def test_vgg_becomes_a_keras_file(tmp_path, capsys):
    from rac_unet.models.vgg import build_vgg_features

    model = build_vgg_features("vgg16", "torchvision")
    entries = drawn("vgg16", model) | {"features.24.weight": np.zeros((2, 2, 3, 3)), "classifier.6.bias": np.zeros(5)}
    np.savez(tmp_path / "vgg16.npz", **entries)
    path = tmp_path / "vgg16.keras"
    assert main([str(tmp_path / "vgg16.npz"), "--output", str(path)]) == 0
    assert "dropped  features.24.weight, classifier.6.bias" in capsys.readouterr().out
    loaded = keras.saving.load_model(path, compile=False)
    assert list(loaded.output) == ["relu1_2", "relu2_2", "relu3_3", "relu4_3"]
    kernel = loaded.get_layer("block3_conv2").get_weights()[0]
    np.testing.assert_array_equal(kernel.transpose(3, 2, 0, 1), entries["features.12.weight"])
    for words, argv in (
        ("--image_size", ["--output", tmp_path / "b.keras", "--image_size", "64"]),
        ("FILE.keras", ["--output", tmp_path / "b"]),
    ):
        with refused("usage", tmp_path / "vgg16.npz", words):
            main([str(arg) for arg in (tmp_path / "vgg16.npz", *argv)])


@pytest.fixture(scope="module")
def squeezenet():
    from rac_unet.models.squeezenet import build_squeezenet_features

    return build_squeezenet_features("torchvision")


def write_old_keras(file, entries):
    """Write entries in the layout of Keras before version 3: a group for each layer, TensorFlow's order of axes."""
    with h5py.File(file, "w") as root:
        layers = list(dict.fromkeys(name.rsplit(".", 1)[0] for name in entries))
        root.attrs["layer_names"] = [layer.encode() for layer in ("input_1", *layers)]
        root.create_group("input_1").attrs["weight_names"] = np.zeros(0)
        for layer in layers:
            group = root.create_group(layer)
            names = [f"{layer}_W:0", f"{layer}_b:0"]
            group.attrs["weight_names"] = [name.encode() for name in names]
            group[names[0]] = entries[f"{layer}.weight"].transpose(2, 3, 1, 0)
            group[names[1]] = entries[f"{layer}.bias"]


def convolved(image, entries, module, padding=0, stride=1):
    """Return the ReLU of PyTorch's convolution of one image (H, W, C), computed with NumPy in float64."""
    kernel, bias = entries[f"{module}.weight"].astype(np.float64), entries[f"{module}.bias"]
    image = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape[2:], axis=(0, 1))[::stride, ::stride]
    return np.maximum(np.einsum("hwcyx,ocyx->hwo", windows, kernel) + bias, 0)


def pooled(image):
    return np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(0, 1))[::2, ::2].max((3, 4))


def squeezenet_maps(image, entries, first, fire):
    """Return SqueezeNet 1.1's five maps of a normalised image; `fire(number)` names the parts of a fire module."""
    x = convolved(image, entries, first, stride=2)
    maps, x = [x], pooled(x)
    for number in range(2, 10):
        squeeze, one, three = fire(number)
        x = convolved(x, entries, squeeze)
        x = np.concatenate([convolved(x, entries, one), convolved(x, entries, three, padding=1)], -1)
        maps += [x] if number in (3, 5, 7, 9) else []
        x = pooled(x) if number in (3, 5) else x
    return maps


@pytest.mark.parametrize("kind", ["squeezenet11", "squeezenet11_keras"])
def test_squeezenet_becomes_a_feature_extractor(squeezenet, kind, tmp_path, capsys):
    entries, picture = drawn(kind, squeezenet), np.random.default_rng(1).random((64, 64, 3), np.float32)
    if kind == "squeezenet11":
        np.savez(tmp_path / "net.npz", **entries, **{"classifier.1.bias": np.zeros(5)})
        source, places = tmp_path / "net.npz", (3, 4, 6, 7, 9, 10, 11, 12)
        names = [[f"features.{place}.{part}" for part in ("squeeze", "expand1x1", "expand3x3")] for place in places]
        image = (picture - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    else:
        source = tmp_path / "net.h5"
        write_old_keras(source, entries)
        names = [[f"fire{n}/{part}" for part in ("squeeze1x1", "expand1x1", "expand3x3")] for n in range(2, 10)]
        image = 255.0 * picture[..., ::-1] - [103.939, 116.779, 123.68]
    assert main([str(source), "--output", str(tmp_path / "maps.keras")]) == 0
    first = "features.0" if kind == "squeezenet11" else "conv1"
    expected = squeezenet_maps(image, entries, first, lambda number: names[number - 2])
    extractor = load_extractor(str(tmp_path / "maps.keras"), image_size=64)
    for ours, theirs in zip(extractor.maps(picture[None]), expected, strict=True):
        np.testing.assert_allclose(ours[0], theirs, atol=1e-4 * np.abs(theirs).max())
    # Random weights are not those behind the figures in results/.
    assert "other weights" in capsys.readouterr().out


def test_the_feature_extractor_of_the_results_is_made_from_its_source(tmp_path, capsys):
    """The source is computed back from the development file, whose first convolution includes the normalisation."""
    file = Path(os.environ.get("RAC_UNET_SHARED") or ROOT.parent / "shared") / "weights/squeezenet11_features.keras"
    if not file.is_file():
        pytest.skip(f"no {file}; RAC_UNET_SHARED names the folder above weights/")
    made_by = json.loads(zipfile.ZipFile(file).read("metadata.json"))["keras_version"]
    if [int(n) for n in made_by.split(".")[:2]] > [int(n) for n in keras.__version__.split(".")[:2]]:
        pytest.skip(f"{file.name} was made by Keras {made_by}, which Keras {keras.__version__} cannot read")
    theirs, entries = keras.saving.load_model(file, compile=False), {}
    for part in TITLES["squeezenet11_keras"].parts:
        kernel, bias = (value.astype(np.float64) for value in theirs.get_layer(part.layers[0]).get_weights())
        if part.module == "conv1":
            kernel = kernel[:, :, ::-1] / 255
            bias += (kernel * np.array([103.939, 116.779, 123.68])[:, None]).sum((0, 1, 2))
        entries |= {f"{part.module}.weight": kernel.transpose(3, 2, 0, 1), f"{part.module}.bias": bias}
    write_old_keras(tmp_path / "source.h5", {name: value.astype(np.float32) for name, value in entries.items()})
    assert main([str(tmp_path / "source.h5"), "--output", str(tmp_path / "maps.keras")]) == 0
    assert RESULTS_FIRES in (said := capsys.readouterr().out) and "other weights" not in said
    picture = np.random.default_rng(1).random((2, 128, 128, 3), np.float32)
    ours = load_extractor(str(tmp_path / "maps.keras"), image_size=128).maps(picture)
    for mine, its in zip(ours, theirs(picture), strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-5 * np.abs(its).max())


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda file, _: file.write_bytes(file.read_bytes()[:5000]), "unreadable"),
        (lambda file, all: write_old_keras(file, {n: v for n, v in all.items() if "conv1." in n}), "unsupported"),
        # Theano's order of axes.
        (lambda file, all: write_old_keras(file, {n: v.T for n, v in all.items()}), "mismatch"),
    ],
    ids=["truncated", "another network", "other axes"],
)
def test_an_h5_file_of_something_else_is_refused(squeezenet, tmp_path, damage, kind):
    file = tmp_path / "net.h5"
    entries = drawn("squeezenet11_keras", squeezenet)
    write_old_keras(file, entries)
    damage(file, entries)
    with refused(kind, file):
        main([str(file), "--output", str(tmp_path / "maps.keras")])
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_is_overwritten(checkpoint, imported, tmp_path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "empty").mkdir()
    for path in (imported, tmp_path / "file", tmp_path / "empty"):
        with refused("exists", path):
            main([str(checkpoint), "--output", str(path)])
    assert (tmp_path / "file").read_text() == "kept" and not any((tmp_path / "empty").iterdir())


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ([], ("usage", "--output")),
        (["--output", "{tmp}/x", "--image_size", "100"], ("bad_value", "net.npz", "model.image_size", "100")),
        (["--output", "{tmp}/x", "--image_size", "0"], ("bad_value", "model.image_size")),
        (["--output", "{tmp}/x.keras"], ("usage", "net.npz", "--output", "x.keras")),
        (["--output", "{tmp}/net.npz/x"], ("wrong_type", "net.npz")),
        (["--output", "{tmp}/x", "--data", "{tmp}"], ("missing", "{tmp}")),
    ],
)
def test_mistakes_leave_nothing(checkpoint, tmp_path, options, refusal):
    with refused(*(word.format(tmp=tmp_path) for word in refusal)):
        main([str(checkpoint), *(option.format(tmp=tmp_path) for option in options)])
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_faults_of_the_checkpoint_leave_nothing(entries, tmp_path, capsys):
    broken = dict(entries)
    del broken["bridge.weight"]
    broken["downfeature.bias"] = np.full(3, np.inf, np.float32)
    broken["contract1.conv2.weight"] = broken["contract1.conv2.weight"][:, :, :2]
    np.savez(tmp_path / "net.npz", **broken)
    with pytest.raises(SystemExit) as ended:
        run_command(lambda: main([str(tmp_path / "net.npz"), "--output", str(tmp_path / "run")]))
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.startswith(f"error: {tmp_path / 'net.npz'}: it looks like the original's")
    for words in ("bridge.weight (32, 32, 3, 3)", "downfeature.bias (3 of 3", "received (4, 4, 2, 3)"):
        assert words in said
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]


def test_a_failed_write_leaves_nothing(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.copyfile", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        main([str(checkpoint), "--output", str(tmp_path / "run"), "--image_size", "32"])
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_unknown_files(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3), b=np.zeros(3))
    for name, kind, named in (
        ("other.npz", "unsupported", "a, b"),
        ("none.pth", "missing", "none.pth"),
    ):
        with refused(kind, tmp_path / name, named):
            main([str(tmp_path / name), "--output", str(tmp_path / "run")])


def test_data_is_refused_for_other_models(resnet, toy_pairs, tmp_path):
    np.savez(tmp_path / "judge.npz", **drawn("classifier", resnet))
    with refused("usage", tmp_path / "judge.npz", "--data"):
        main([str(tmp_path / "judge.npz"), "--output", str(tmp_path / "run"), "--data", str(toy_pairs)])


def test_neither_library_is_imported_to_refuse(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    code = (
        "import sys\n"
        "from rac_unet import import_torch\nfrom rac_unet.core import errors\n"
        "for argv in (['--help'], [sys.argv[1], '--output', sys.argv[1]], [sys.argv[1], '--output', 'new']):\n"
        "    try: import_torch.main(argv)\n"
        "    except (SystemExit, errors.UserError) as error: print(getattr(error, 'kind', error))\n"
        "print('heavy:', sorted({'tensorflow', 'keras', 'torch', 'pandas', 'cv2'} & set(sys.modules)))\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "other.npz")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert done.stdout.endswith("\nexists\nunsupported\nheavy: []\n")
