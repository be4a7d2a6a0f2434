"""Checkpoints read without PyTorch: the original's names and shapes, where each entry goes, and every error's name."""

import re
import sys
import types

import numpy as np
import pytest

from rac_unet.core.emotions import EMOTIONS
from rac_unet.models import build
from rac_unet.models.classifiers.resnet18 import build_resnet18
from rac_unet.models.importing.torch_checkpoint import read_checkpoint, unwrap
from rac_unet.models.importing.torch_names import TORCH_MODELS, fill, first_filters, recognise, unwrap_names
from rac_unet.models.vgg import build_vgg_features
from tests.refusals import refused


def weighted(name, *shape, bias=True, out=0):
    """Shapes of a module with a weight; `out` is the axis of its outputs."""
    return {f"{name}.weight": shape} | ({f"{name}.bias": (shape[out],)} if bias else {})


def norm(name, size):
    entries = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{entry}": (size,) for entry in entries} | {f"{name}.num_batches_tracked": ()}


def rac_unet_shapes(filters=64, conditioned=True):
    """Names and shapes in the original's state dict, from the description of its modules."""
    f = filters
    shapes = {"EmbedLayer.weight": (7, 4)} if conditioned else {}
    shapes |= weighted("upfeature", f // 2, 7 if conditioned else 3, 3, 3)
    shapes |= weighted("contract0.0", f, f // 2, 3, 3) | norm("contract0.1", f)
    for k in (1, 2, 3, 4):
        n = f * 2**k
        shapes |= weighted(f"contract{k}.conv1", n, n // 2, 3, 3)
        shapes |= weighted(f"contract{k}.conv2", n, n, 3, 3) | weighted(f"contract{k}.conv3", n, n, 3, 3)
        shapes |= norm(f"contract{k}.batchnorm1", n) | norm(f"contract{k}.batchnorm2", n)
    shapes |= weighted("bridge", 16 * f, 16 * f, 3, 3)
    for k, n in ((4, 8 * f), (3, 4 * f), (2, 2 * f), (1, f)):
        shapes |= weighted(f"expand{k}.up.0", 2 * n, n, 2, 2, out=1) | norm(f"expand{k}.up.1", n)
        shapes |= weighted(f"expand{k}.up.2", n, n, 3, 3) | norm(f"expand{k}.up.3", n)
        shapes |= weighted(f"expand{k}.conv1.0", 2 * n, 2 * n, 3, 3) | norm(f"expand{k}.conv1.1", 2 * n)
        shapes |= weighted(f"expand{k}.conv1.3", n, 2 * n, 3, 3) | norm(f"expand{k}.conv1.4", n)
        for gate, channels in (("W_gate", n // 2), ("W_x", n // 2)):
            shapes |= weighted(f"Att{k}.{gate}.0", channels, n, 1, 1) | norm(f"Att{k}.{gate}.1", channels)
        shapes |= weighted(f"Att{k}.psi.0", 1, n // 2, 1, 1) | norm(f"Att{k}.psi.1", 1)
    return shapes | weighted("downfeature", 3, f, 3, 3)


def resnet_shapes(head, classes, filters=64):
    f = filters
    shapes = weighted("conv1", f, 3, 7, 7, bias=False) | norm("bn1", f)
    for stage in (1, 2, 3, 4):
        n = f * 2 ** (stage - 1)
        for block in (0, 1):
            into = n // 2 if stage > 1 and not block else n
            name = f"layer{stage}.{block}"
            shapes |= weighted(f"{name}.conv1", n, into, 3, 3, bias=False) | norm(f"{name}.bn1", n)
            shapes |= weighted(f"{name}.conv2", n, n, 3, 3, bias=False) | norm(f"{name}.bn2", n)
            if into != n:
                shapes |= weighted(f"{name}.downsample.0", n, into, 1, 1, bias=False) | norm(f"{name}.downsample.1", n)
    return shapes | weighted(head, classes, 8 * f)


def vgg_shapes(positions):
    shapes, into = {}, 3
    for position, n in positions.items():
        shapes |= weighted(f"features.{position}", n, into, 3, 3)
        into = n
    return (
        shapes | weighted("classifier.0", 16, 32) | weighted("classifier.3", 16, 16) | weighted("classifier.6", 9, 16)
    )


VGG16 = vgg_shapes(
    {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, **dict.fromkeys((17, 19, 21, 24, 26, 28), 512)}
)
VGG19 = vgg_shapes(
    {
        0: 64,
        2: 64,
        5: 128,
        7: 128,
        **dict.fromkeys((10, 12, 14, 16), 256),
        **dict.fromkeys((19, 21, 23, 25, 28, 30, 32, 34), 512),
    }
)


def drawn(shapes, seed=0):
    """Random entries of these shapes; variances are positive."""
    rng = np.random.default_rng(seed)
    return {
        name: np.int64(3)
        if not shape
        else np.asarray(rng.uniform(0.5, 2, shape) if name.endswith("var") else rng.normal(size=shape), np.float32)
        for name, shape in shapes.items()
    }


def empty(shapes):
    """Arrays of these shapes that take no memory."""
    return {name: np.broadcast_to(np.float32(0.5), shape) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def state():
    return drawn(rac_unet_shapes(4))


@pytest.fixture(scope="module")
def model(state):
    """A RAC-UNET filled with `state`."""
    model = build("rac_unet", filters=4, image_size=32)
    fill(model, recognise(state), state)
    return model


def test_the_description_has_the_originals_size():
    learned = {n: s for n, s in rac_unet_shapes().items() if not n.endswith(("mean", "var", "tracked"))}
    assert sum(int(np.prod(shape)) for shape in learned.values()) == 65_893_771


@pytest.mark.parametrize(
    ("shapes", "kind"),
    [
        (rac_unet_shapes(), "rac_unet"),
        (rac_unet_shapes(conditioned=False), "rac_unet_unlabelled"),
        (resnet_shapes("classifier", 7), "classifier"),
        (resnet_shapes("fc", 1000), "resnet18"),
        (VGG16, "vgg16"),
        (VGG19, "vgg19"),
    ],
)
def test_every_model_is_recognised_and_all_its_entries_are_known(shapes, kind):
    arrays = empty(shapes)
    found = recognise(arrays)
    assert found.name == kind
    needed = {name for name in shapes if not found.drops(name)}
    assert needed == set(found.names) and len(found.names) == len(needed)
    # The first entry and the last tell some kinds apart.
    some = dict(list(arrays.items())[len(arrays) // 4 : len(arrays) // 2])
    most = {name: value for name, value in arrays.items() if name not in some}
    assert recognise(most).name == kind, "a file with entries missing is still one of its model"


def test_other_models_are_not_recognised():
    alexnet = {}
    for position, n in ((0, 64), (3, 192), (6, 384), (8, 256), (10, 256)):
        alexnet |= weighted(f"features.{position}", n, 3, 3, 3)
    for position in (1, 4, 6):
        alexnet |= weighted(f"classifier.{position}", 9, 9)
    for shapes in (alexnet, weighted("0", 3, 3), {}):
        with refused("unsupported", *list(shapes)[:1], *(kind.title for kind in TORCH_MODELS)):
            recognise(empty(shapes))


@pytest.mark.parametrize("conditioned", [True, False])
def test_every_weight_of_ours_is_filled(conditioned):
    state = drawn(rac_unet_shapes(4, conditioned))
    model = build("rac_unet", filters=first_filters(recognise(state), state), image_size=32, conditioned=conditioned)
    for weight in model.weights:
        weight.assign(np.full(weight.shape, 99))
    learned = sum(v.size for n, v in state.items() if not n.endswith(("mean", "var", "tracked")))
    assert fill(model, recognise(state), state) == learned
    assert not any((weight.numpy() == 99).any() for weight in model.weights)


def test_every_weight_of_the_classifier_is_filled():
    state, model = drawn(resnet_shapes("classifier", 7, 2)), build_resnet18(image_size=32, filters=2)
    for weight in model.weights:
        weight.assign(np.full(weight.shape, 99))
    fill(model, recognise(state), state)
    assert not any((weight.numpy() == 99).any() for weight in model.weights)


def test_imagenet_weights_leave_the_head_unchanged():
    state, model = drawn(resnet_shapes("fc", 9, 2)), build_resnet18(image_size=32, filters=2)
    head = [weight.numpy() for weight in model.get_layer("logits").weights]
    fill(model, recognise(state), state)
    for before, after in zip(head, model.get_layer("logits").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    kernel = state["layer2.0.downsample.0.weight"]
    np.testing.assert_array_equal(
        model.get_layer("stage2_block1_shortcut_conv").get_weights()[0][0, 0], kernel[..., 0, 0].T
    )


def test_convolution_kernels_keep_their_orientation(state, model):
    """A PyTorch kernel with a 1 above its centre brings each pixel one row down."""
    kernel = np.zeros((2, 7, 3, 3), np.float32)
    kernel[0, 2, 0, 1] = 1
    other = build("rac_unet", filters=4, image_size=32)
    fill(other, recognise(state), state | {"upfeature.weight": kernel, "upfeature.bias": np.zeros(2, np.float32)})
    x = np.random.default_rng(1).random((1, 8, 8, 7), np.float32)
    y = other.get_layer("stem_conv1")(x).numpy()
    np.testing.assert_allclose(y[0, 1:, :, 0], x[0, :-1, :, 2], atol=1e-4)
    assert np.abs(y[0, 0, :, 0]).max() < 1e-4 and np.abs(y[..., 1]).max() < 1e-4


def test_transposed_convolution_by_its_definition(state, model):
    x = np.random.default_rng(2).normal(size=(2, 3, 5, 8)).astype(np.float32)
    # Input (y, x) meets kernel (a, b) in output (2y + a, 2x + b).
    spread = np.einsum("nyxi,ioab->nyaxbo", x, state["expand1.up.0.weight"]).reshape(2, 6, 10, 4)
    expected = spread + state["expand1.up.0.bias"]
    np.testing.assert_allclose(model.get_layer("up1_upsample")(x), expected, atol=1e-4)


def test_dense_layer_by_its_definition():
    state, model = drawn(resnet_shapes("classifier", 7, 2)), build_resnet18(image_size=32, filters=2)
    fill(model, recognise(state), state)
    x = np.random.default_rng(3).normal(size=(3, 16)).astype(np.float32)
    expected = x @ state["classifier.weight"].T + state["classifier.bias"]
    np.testing.assert_allclose(model.get_layer("logits")(x), expected, atol=1e-4)


def test_emotion_rows_are_reordered_by_name(state, model):
    folders = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    rows = model.get_layer("emotion_embedding")(np.eye(7, dtype=np.float32)).numpy()
    for folder, name in enumerate(folders):
        np.testing.assert_array_equal(rows[EMOTIONS.index(name)], state["EmbedLayer.weight"][folder])


def test_the_shared_batch_norm_fills_both_layers(state, model):
    x = np.random.default_rng(4).normal(size=(2, 3, 3, 16)).astype(np.float32)
    g, b, m, v = (state[f"contract2.batchnorm2.{e}"] for e in ("weight", "bias", "running_mean", "running_var"))
    expected = (x - m) / np.sqrt(v + 1e-5) * g + b
    for layer in ("down2_bn2", "down2_bn3"):
        np.testing.assert_allclose(model.get_layer(layer)(x, training=False), expected, atol=1e-4)
    other = model.get_layer("down2_bn1")(x, training=False)
    assert np.abs(other - expected).max() > 0.1


def test_vgg_layers_are_those_of_torchvision():
    state, model = drawn(VGG19), build_vgg_features("vgg19", "torchvision", image_size=16)
    preprocess = model.get_layer("preprocess").get_weights()
    fill(model, recognise(state), state)
    for position, layer in ((0, "block1_conv1"), (7, "block2_conv2"), (16, "block3_conv4"), (25, "block4_conv4")):
        kernel, bias = model.get_layer(layer).get_weights()
        np.testing.assert_array_equal(kernel.transpose(3, 2, 0, 1), state[f"features.{position}.weight"])
        np.testing.assert_array_equal(bias, state[f"features.{position}.bias"])
    np.testing.assert_array_equal(model.get_layer("preprocess").get_weights()[0], preprocess[0])


def refusal(arrays, filters=4):
    model = build("rac_unet", filters=filters, image_size=32)
    before = model.get_weights()
    with refused("mismatch", recognise(arrays).title) as error:
        fill(model, recognise(arrays), arrays)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True)), "nothing may be changed"
    return str(error.value)


def test_all_faults_are_named_at_once(state):
    arrays = dict(state)
    del arrays["bridge.bias"], arrays["Att2.psi.1.running_var"]
    arrays["attention.weight"] = np.zeros((5, 3), np.float32)
    arrays["downfeature.weight"] = np.zeros((4, 4, 3, 3), np.float32)
    arrays["contract1.conv1.weight"] = np.zeros((8, 4, 3, 3), np.int8)
    arrays["upfeature.bias"] = np.array([1, np.nan], np.float32)
    arrays["contract0.1.running_var"] = np.array([1, 1, -2, 1], np.float32)
    said = refusal(arrays)
    for words in (
        "missing (2): Att2.psi.1.running_var (1,), bridge.bias (64,)",
        "unexpected (1): attention.weight (5, 3)",
        "downfeature.weight: expected (3, 4, 3, 3) of floats, received (4, 4, 3, 3) float32",
        "contract1.conv1.weight: expected (8, 4, 3, 3) of floats, received (8, 4, 3, 3) int8",
        "upfeature.bias (1 of 2 values are NaN or infinite)",
        "contract0.1.running_var (a variance of -2, below zero)",
    ):
        assert words in said


def test_a_long_list_is_cut_with_its_count(state):
    arrays = {name: value for name, value in state.items() if "batchnorm" not in name}
    assert re.search(r"missing \(32\): .*, … and 20 more", refusal(arrays))


def test_a_labelled_network_without_its_embedding_reports_it_missing(state):
    said = refusal({name: value for name, value in state.items() if name != "EmbedLayer.weight"})
    assert "missing (1): EmbedLayer.weight (7, 4)" in said and "shape" not in said


def test_counters_may_be_absent(state, model):
    old = {name: value for name, value in state.items() if not name.endswith("tracked")}
    assert len(old) < len(state)
    other = build("rac_unet", filters=4, image_size=32)
    fill(other, recognise(old), old)
    for ours, same in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, same)


# Reading files.


def test_npz_needs_no_pytorch(state, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "w.npz"
    np.savez(path, **{f"module.{name}": value for name, value in state.items()})
    read = read_checkpoint(path)
    assert read.arrays.keys() == state.keys() and read.notes == ("removed the prefix 'module.' from every name",)
    for name, value in state.items():
        np.testing.assert_array_equal(read.arrays[name], value)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: f"model.net.{name}",
        lambda name: name.replace(".", "._orig_mod.", 1),
        lambda name: f"_fsdp_wrapped_module.{name}",
    ],
)
def test_prefixes_of_wrappers_are_removed(state, wrap):
    arrays, notes = unwrap_names({wrap(name): value for name, value in state.items()})
    assert arrays.keys() == state.keys() and recognise(arrays).name == "rac_unet" and notes


def test_entries_of_no_known_model_are_dropped_by_name(state):
    others = {"n_averaged": np.int64(3), "criterion.features.0.weight": np.zeros(3), "net.x": np.zeros(1)}
    arrays, notes = unwrap_names({**{f"model.{name}": value for name, value in state.items()}, **others})
    assert arrays.keys() == state.keys()
    assert all(name in notes[-1] for name in ("'model.'", *others))
    arrays, notes = unwrap_names({**state, "model.x": np.zeros(1)})
    assert len(arrays) == len(state) + 1 and notes == [], "the model itself has no prefix: nothing may be removed"


@pytest.mark.parametrize(
    "wrappers", [["ema"], ["model", "state_dict"], ["net"], ["params_ema"], ["model_ema", "module"], ["state_dict"]]
)
def test_a_nested_state_dict_is_found(tmp_path, wrappers):
    content = {"a.weight": np.ones(2)}
    for wrapper in reversed(wrappers):
        content = {wrapper: content, "epoch": 3}
    notes = []
    assert list(unwrap(tmp_path, content, notes)) == ["a.weight"] and len(notes) == len(wrappers)
    assert all(repr(wrapper) in note and "epoch" in note for wrapper, note in zip(wrappers, notes, strict=True))


def test_trained_weights_are_preferred_to_their_average(tmp_path):
    notes = []
    assert list(unwrap(tmp_path, {"ema": {"a": 1}, "model": {"b": 1}}, notes)) == ["b"] and "ema" in notes[0]


def test_other_float_formats_become_float32(tmp_path):
    half = np.array([1.5, 65504], np.float16)
    np.savez(tmp_path / "w.npz", a=half, b=half, c=np.array([1e-3, 1e300]), n=np.int64(3))
    read = read_checkpoint(tmp_path / "w.npz")
    assert set(read.notes) == {"converted 2 float16 entries to float32", "converted 1 float64 entries to float32"}
    np.testing.assert_array_equal(read.arrays["a"], np.array([1.5, 65504], np.float32))
    assert np.isinf(read.arrays["c"][1]) and read.arrays["c"].dtype == np.float32 and read.arrays["n"] == 3


class Runs:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return open, (Runs.target, "w")


def test_an_object_in_an_npz_is_refused_and_not_run(tmp_path):
    Runs.target = str(tmp_path / "has_run")
    np.savez(tmp_path / "w.npz", a=np.array([Runs()], dtype=object))
    with refused("unreadable", "w.npz"):
        read_checkpoint(tmp_path / "w.npz")
    assert not (tmp_path / "has_run").exists()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 half"])
def test_damaged_npz(tmp_path, content):
    (tmp_path / "w.npz").write_bytes(content)
    with refused("unreadable", "w.npz"):
        read_checkpoint(tmp_path / "w.npz")


def test_npz_cut_or_altered(state, tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, **state)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with refused("unreadable", path):
        read_checkpoint(path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    with refused("unreadable", path):
        read_checkpoint(path)


def test_npz_that_holds_no_numbers(tmp_path):
    np.savez(tmp_path / "w.npz", name=np.array("resnet"), a=np.zeros(3))
    with refused("wrong_type", "w.npz", "name (<U6)"):
        read_checkpoint(tmp_path / "w.npz")
    np.savez(tmp_path / "empty.npz")
    with refused("empty", "empty.npz"):
        read_checkpoint(tmp_path / "empty.npz")
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "a.npy").rename(tmp_path / "bare.npz")
    with refused("unreadable", "bare.npz"):
        read_checkpoint(tmp_path / "bare.npz")


def test_pth_without_pytorch_names_both_solutions(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "w.pth").write_bytes(b"anything")
    with refused("missing_extra", "w.pth", "rac_unet[torch]", "numpy.savez"):
        read_checkpoint(tmp_path / "w.pth")


def test_an_unsafe_pytorch_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(__version__="2.5.1+cu121"))
    (tmp_path / "w.pth").write_bytes(b"anything")
    with refused("unsupported", "2.5.1", "torch>=2.6"):
        read_checkpoint(tmp_path / "w.pth")


def test_a_missing_file(tmp_path):
    for path in (tmp_path / "absent.pth", tmp_path):
        with refused("missing", path):
            read_checkpoint(path)


def test_kinds_have_names_of_their_own():
    assert len({kind.name for kind in TORCH_MODELS}) == len(TORCH_MODELS)
