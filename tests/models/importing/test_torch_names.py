"""Imported networks compute the same as PyTorch modules that are written from the original's description."""

import keras
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rac_unet.core.emotions import EMOTIONS  # noqa: E402
from rac_unet.models import build  # noqa: E402
from rac_unet.models.classifiers.resnet18 import build_resnet18  # noqa: E402
from rac_unet.models.importing.torch_checkpoint import read_checkpoint  # noqa: E402
from rac_unet.models.importing.torch_names import fill, recognise  # noqa: E402
from rac_unet.models.vgg import build_vgg_features  # noqa: E402
from tests.refusals import refused  # noqa: E402

nn = torch.nn
# For networks this small, PyTorch's waiting threads only slow TensorFlow down.
torch.set_num_threads(1)
FOLDERS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")


class Down(nn.Module):
    """The original's residual down block, one batch norm serving twice."""

    def __init__(self, into, n):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(into, n, 3, 2, 1), nn.Conv2d(n, n, 3, padding=1)
        self.conv3 = nn.Conv2d(n, n, 3, padding=1)
        self.batchnorm1, self.batchnorm2, self.act = nn.BatchNorm2d(n), nn.BatchNorm2d(n), nn.LeakyReLU(0.01)

    def forward(self, x):
        h = self.act(self.batchnorm1(self.conv1(x)))
        h = self.act(self.batchnorm2(self.conv2(h)))
        return self.conv1(x) + self.batchnorm2(self.conv3(h))


class Gate(nn.Module):
    """Additive attention gate."""

    def __init__(self, n):
        super().__init__()
        self.W_gate = nn.Sequential(nn.Conv2d(n, n // 2, 1), nn.BatchNorm2d(n // 2))
        self.W_x = nn.Sequential(nn.Conv2d(n, n // 2, 1), nn.BatchNorm2d(n // 2))
        self.psi = nn.Sequential(nn.Conv2d(n // 2, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, gating, skip):
        return skip * self.psi(torch.relu(self.W_gate(gating) + self.W_x(skip)))


class Up(nn.Module):
    """Residual up block; its gate is a separate module of the network."""

    def __init__(self, n):
        super().__init__()
        self.up = nn.Sequential(
            nn.ConvTranspose2d(2 * n, n, 2, 2),
            nn.BatchNorm2d(n),
            nn.Conv2d(n, n, 3, padding=1),
            nn.BatchNorm2d(n),
            nn.LeakyReLU(0.01),
        )
        self.conv1 = nn.Sequential(
            nn.Conv2d(2 * n, 2 * n, 3, padding=1),
            nn.BatchNorm2d(2 * n),
            nn.LeakyReLU(0.01),
            nn.Conv2d(2 * n, n, 3, padding=1),
            nn.BatchNorm2d(n),
        )

    def forward(self, x, skip, gate):
        u = self.up(x)
        gated = gate(u, skip)
        return nn.functional.leaky_relu(self.conv1(torch.cat([u, gated], 1)) + gated, 0.01)


class RacUnet(nn.Module):
    """The original network at any width."""

    def __init__(self, f, conditioned=True):
        super().__init__()
        if conditioned:
            self.EmbedLayer = nn.Embedding(7, 4)
        self.upfeature = nn.Conv2d(7 if conditioned else 3, f // 2, 3, padding=1)
        self.contract0 = nn.Sequential(nn.Conv2d(f // 2, f, 3, padding=1), nn.BatchNorm2d(f), nn.LeakyReLU(0.01))
        for k in (1, 2, 3, 4):
            setattr(self, f"contract{k}", Down(f * 2 ** (k - 1), f * 2**k))
        self.bridge = nn.Conv2d(16 * f, 16 * f, 3, padding=1)
        for k in (4, 3, 2, 1):
            setattr(self, f"expand{k}", Up(f * 2 ** (k - 1)))
            setattr(self, f"Att{k}", Gate(f * 2 ** (k - 1)))
        self.downfeature = nn.Conv2d(f, 3, 3, padding=1)

    def forward(self, x, label=None):
        if label is not None:
            planes = self.EmbedLayer(label)[:, :, None, None].expand(-1, -1, *x.shape[2:])
            x = torch.cat([x, planes], 1)
        x = self.contract0(self.upfeature(x))
        skips = [x]
        for k in (1, 2, 3, 4):
            x = getattr(self, f"contract{k}")(x)
            skips.append(x)
        x = self.bridge(skips.pop())
        for k in (4, 3, 2, 1):
            x = getattr(self, f"expand{k}")(x, skips.pop(), getattr(self, f"Att{k}"))
        return self.downfeature(x)


class Basic(nn.Module):
    """ResNet's basic block."""

    def __init__(self, into, n, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(into, n, 3, stride, 1, bias=False), nn.BatchNorm2d(n)
        self.conv2, self.bn2 = nn.Conv2d(n, n, 3, 1, 1, bias=False), nn.BatchNorm2d(n)
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(into, n, 1, stride, bias=False), nn.BatchNorm2d(n))

    def forward(self, x):
        h = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(h + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet18(nn.Module):
    """ResNet-18 at any width, with any name for its head."""

    def __init__(self, f, classes, head):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, f, 7, 2, 3, bias=False), nn.BatchNorm2d(f)
        self.pool, self.head = nn.MaxPool2d(3, 2, 1), head
        for stage in (1, 2, 3, 4):
            n = f * 2 ** (stage - 1)
            first = Basic(n // 2 if stage > 1 else n, n, 2 if stage > 1 else 1)
            setattr(self, f"layer{stage}", nn.Sequential(first, Basic(n, n, 1)))
        setattr(self, head, nn.Linear(8 * f, classes))

    def forward(self, x, features=False):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        for stage in (1, 2, 3, 4):
            x = getattr(self, f"layer{stage}")(x)
        x = x.mean((2, 3))
        return x if features else getattr(self, self.head)(x)


def lived_in(make, size, *label, seed=0):
    """Random weights with the scales of a trained network, and batch norm statistics of real activations.

    With other statistics, the signal of the deep layers would vanish, and a mistake there would stay hidden.
    """
    torch.manual_seed(seed)
    module = make()
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for part in norms:
        part.momentum = None  # the plain mean of all batches
        nn.init.uniform_(part.weight, 0.5, 1.5), nn.init.normal_(part.bias, std=0.3)
    with torch.no_grad():
        for _ in range(2):
            module.train()(torch.rand(4, 3, size, size), *label)
    return module.eval()


def through_a_file(module, path, model):
    """Fill our network from the module's saved state dict; returns the recognised kind."""
    torch.save(module.state_dict(), path)
    arrays = read_checkpoint(path).arrays
    kind = recognise(arrays)
    fill(model, kind, arrays)
    return kind.name


def pictures(batch, size, seed=1):
    return np.random.default_rng(seed).random((batch, size, size, 3), np.float32)


def theirs(module, image, *rest, **options):
    with torch.no_grad():
        return module(torch.from_numpy(image.transpose(0, 3, 1, 2).copy()), *rest, **options).numpy()


def assert_agree(ours, expected):
    """Assert agreement to 1e-4 of the expected range: far more than rounding, far less than any mistake."""
    ours = np.asarray(ours)
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() <= 1e-4 * np.ptp(expected)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    module = lived_in(lambda: RacUnet(6), 32, torch.tensor([0, 2, 4, 6]))
    model = build("rac_unet", filters=6, image_size=32)
    assert through_a_file(module, tmp_path_factory.mktemp("w") / "a.pth", model) == "rac_unet"
    return module, model


@pytest.mark.parametrize("folder", range(7))
def test_rac_unet_with_each_label(labelled, folder):
    module, model = labelled
    image = pictures(1, 32, folder)
    emotion = np.eye(7, dtype=np.float32)[[EMOTIONS.index(FOLDERS[folder])]]
    ours = model({"masked_image": image, "emotion": emotion}, training=False)["inpainted_image"]
    assert_agree(ours, theirs(module, image, torch.tensor([folder])).transpose(0, 2, 3, 1))


def test_rac_unet_in_a_batch_of_8(labelled):
    module, model = labelled
    image, folders = pictures(8, 32), [6, 5, 4, 3, 2, 1, 0, 3]
    emotion = np.eye(7, dtype=np.float32)[[EMOTIONS.index(FOLDERS[folder]) for folder in folders]]
    ours = model({"masked_image": image, "emotion": emotion}, training=False)["inpainted_image"]
    expected = theirs(module, image, torch.tensor(folders)).transpose(0, 2, 3, 1)
    assert_agree(ours, expected)
    other = theirs(module, image, torch.tensor(folders[::-1])).transpose(0, 2, 3, 1)
    assert np.abs(other - expected).max() > 1e-2 * np.ptp(expected), "the label must matter for this to test anything"


def test_the_comparison_would_notice_every_entry(labelled):
    """Changing any entry by half of its values changes the image by at least twice the tolerance.

    To first order: the gradient of the image's projection on random directions, as root mean square over the signs.
    """
    module, _ = labelled
    picture = module(torch.from_numpy(pictures(1, 32)).permute(0, 3, 1, 2), torch.tensor([3]))
    names, values = zip(*module.named_parameters(), strict=True)
    squares = dict.fromkeys(names, 0.0)
    for seed in range(3):
        direction = torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))
        gradients = torch.autograd.grad((picture * direction).sum(), values, retain_graph=True)
        for name, value, gradient in zip(names, values, gradients, strict=True):
            squares[name] += float((gradient * value.detach() / 2).square().sum()) / 3 / picture.numel()
    change = {name: square**0.5 / np.ptp(picture.detach().numpy()) for name, square in squares.items()}
    assert min(change.values()) > 2e-4, sorted(change.items(), key=lambda item: item[1])[:5]


def test_rac_unet_without_a_label_at_another_width_and_size(tmp_path):
    module, model = (
        lived_in(lambda: RacUnet(4, conditioned=False), 48),
        build("rac_unet", filters=4, image_size=48, conditioned=False),
    )
    assert through_a_file(module, tmp_path / "a.pth", model) == "rac_unet_unlabelled"
    image = pictures(2, 48)
    ours = model({"masked_image": image}, training=False)["inpainted_image"]
    assert_agree(ours, theirs(module, image).transpose(0, 2, 3, 1))


@pytest.mark.parametrize(("size", "batch"), [(32, 1), (64, 8), (75, 2)])
def test_resnet18_of_the_original(tmp_path, size, batch):
    module, model = lived_in(lambda: ResNet18(4, 7, "classifier"), size), build_resnet18(image_size=size, filters=4)
    assert through_a_file(module, tmp_path / "a.pth", model) == "classifier"
    image = pictures(batch, size)
    assert_agree(model({"image": image}, training=False)["logits"], theirs(module, image))


def test_resnet18_of_torchvision_up_to_its_head(tmp_path):
    module = lived_in(lambda: ResNet18(4, 20, "fc"), 48)
    model = build_resnet18(image_size=48, filters=4, preprocessing="torchvision")
    assert through_a_file(module, tmp_path / "a.pth", model) == "resnet18"
    image = pictures(3, 48)
    normalised = ((image - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).astype(np.float32)
    ours = keras.Model(model.input, model.get_layer("pool").output)({"image": image}, training=False)
    assert_agree(ours, theirs(module, normalised, features=True))


@pytest.mark.parametrize(
    ("name", "counts", "taps"), [("vgg16", (2, 2, 3, 3, 3), (3, 8, 15, 22)), ("vgg19", (2, 2, 4, 4, 4), (3, 8, 17, 26))]
)
def test_vgg_features(tmp_path, name, counts, taps):
    layers, into = [], 3
    for count, n in zip(counts, (64, 128, 256, 512, 512), strict=True):
        for _ in range(count):
            layers += [nn.Conv2d(into, n, 3, padding=1), nn.ReLU()]
            nn.init.kaiming_normal_(layers[-2].weight)
            into = n
        layers.append(nn.MaxPool2d(2))
    module = nn.Module()
    module.features, module.classifier = nn.Sequential(*layers), nn.Sequential(nn.Linear(8, 4))
    model = build_vgg_features(name, "torchvision", image_size=32)
    assert through_a_file(module, tmp_path / "a.pth", model) == name
    image = pictures(1, 32)
    x = torch.from_numpy(((image - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).astype(np.float32)).permute(
        0, 3, 1, 2
    )
    expected = []
    with torch.no_grad():
        for position, layer in enumerate(module.features):
            x = layer(x)
            if position in taps:
                expected.append(x.numpy().transpose(0, 2, 3, 1).copy())
    for ours, value in zip(model(image).values(), expected, strict=True):
        assert_agree(ours, value)


# How PyTorch's files are read.


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict"])
def test_wrapped_prefixed_and_in_half_precision(tmp_path, wrapper):
    values = {"module.a.weight": torch.arange(3).to(torch.bfloat16), "module.b": torch.tensor([0.5]).half()}
    values |= {"module.n": torch.tensor(3), "module.c": nn.Parameter(torch.eye(2))}
    torch.save({wrapper: values, "epoch": 3, "optimizer": {"state": {}}}, tmp_path / "a.pt")
    read = read_checkpoint(tmp_path / "a.pt")
    assert {name: (v.dtype.name, v.tolist()) for name, v in read.arrays.items()} == {
        "a.weight": ("float32", [0, 1, 2]),
        "b": ("float32", [0.5]),
        "n": ("int64", 3),
        "c": ("float32", [[1, 0], [0, 1]]),
    }
    assert read.notes == (
        f"took the entries under '{wrapper}'; dropped: epoch, optimizer",
        "converted 1 bfloat16 entries to float32",
        "converted 1 float16 entries to float32",
        "removed the prefix 'module.' from every name",
    )


def test_older_format_of_files(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    assert read_checkpoint(tmp_path / "a.pth").arrays["a"].tolist() == [1, 1]


class Runs:
    """Runs when it is unpickled in the ordinary way."""

    def __reduce__(self):
        return exec, (f"open({Runs.target!r}, 'w').close()",)


@pytest.mark.parametrize("newer", [True, False])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, newer):
    Runs.target = str(tmp_path / "has_run")
    torch.save({"a": torch.ones(2), "b": Runs()}, tmp_path / "a.pth", _use_new_zipfile_serialization=newer)
    with refused("unsupported", "a.pth", "exec)", "torch.save(model.state_dict(), 'weights.pth')") as error:
        read_checkpoint(tmp_path / "a.pth")
    assert not (tmp_path / "has_run").exists()
    assert "weights_only" not in str(error.value)
    torch.load(tmp_path / "a.pth", weights_only=False)
    assert (tmp_path / "has_run").exists(), "the file must be one that would have run"


def test_a_whole_model_is_refused_with_what_to_save(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "a.pth")
    with refused("unsupported", "a.pth", "torch.nn.modules.linear.Linear", "model.state_dict"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (torch.ones(3), "a Tensor"),
        ([torch.ones(3)], "a list"),
        ({}, "empty"),
        ({"state_dict": {}, "epoch": 3}, "empty"),
        ({"epoch": 3, "a": torch.ones(3)}, "epoch (int)"),
        ({"a": torch.ones(2).to_sparse()}, "a (torch.float32, torch.sparse_coo"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "a (torch.complex64"),
    ],
)
def test_other_contents(tmp_path, content, words):
    torch.save(content, tmp_path / "a.pth")
    with refused("wrong_type", "a.pth", words):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 half"])
def test_files_that_are_no_checkpoint(tmp_path, content):
    (tmp_path / "a.pth").write_bytes(content)
    with refused("unreadable", "a.pth") as error:
        read_checkpoint(tmp_path / "a.pth")
    assert "weights_only" not in str(error.value), "PyTorch's advice to read it unsafely is not passed on"


@pytest.mark.parametrize("newer", [True, False])
def test_truncated(tmp_path, newer):
    torch.save({"a": torch.ones(5000)}, tmp_path / "a.pth", _use_new_zipfile_serialization=newer)
    whole = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(whole[: len(whole) // 2])
    with refused("unreadable", "a.pth"):
        read_checkpoint(tmp_path / "a.pth")
