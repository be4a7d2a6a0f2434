"""Recognise the PyTorch model of a checkpoint, and map its entries to the layers of our Keras networks.

The names are those of the original's modules and of torchvision's. Expected shapes are read from the Keras network
that receives the weights, in PyTorch's order of axes:

    convolution               PyTorch (out, in, h, w)    Keras (h, w, in, out)
    transposed convolution            (in, out, h, w)          (h, w, out, in)
    dense                             (out, in)                (in, out)
    embedding                         (entries, width)         (entries, width), the kernel of a dense layer on one-hot
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rac_unet.core.emotions import EMOTIONS, SOURCE_LABELS
from rac_unet.core.errors import UserError

LEVELS = 4  # of RAC-UNET
# Positions of the convolutions in torchvision's `features`. The fifth block is not part of our extractors.
VGG_CONVOLUTIONS = {
    "vgg16": ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)),
    "vgg19": ((0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25), (28, 30, 32, 34)),
}
VGG_BLOCKS = 4
# Positions of SqueezeNet's fire modules 2 to 9 in torchvision's `features`.
SQUEEZENET_FIRES = (3, 4, 6, 7, 9, 10, 11, 12)
# A checkpoint is recognised if it shares at least this part of all names with a model (intersection over union).
LEAST_SIMILARITY = 0.5
# A batch norm's number of training steps; older PyTorch does not write it.
COUNTER = ".num_batches_tracked"
# Prefixes of every name, from wrappers: DataParallel and AveragedModel, Lightning and other training programs.
_PREFIXES = re.compile(r"^(?:(?:module|model|net|network|generator|ema_model)\.)+")
# Prefixes that torch.compile, FSDP and activation checkpointing give to any module they wrap, at any depth.
_INFIXES = re.compile(r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Part:
    """One PyTorch module with weights, and the Keras layers that receive them.

    Attributes:
        module: its name in the state dict.
        entries: its entries in the order of the Keras layer's weights.
        layers: names of the Keras layers; more than one when the original shared a module.
        rows: for an embedding, the order in which to take its rows.
    """

    module: str
    entries: tuple[str, ...]
    layers: tuple[str, ...]
    rows: tuple[int, ...] | None = None

    @property
    def names(self) -> list[str]:
        """Full names of the module's entries."""
        return [f"{self.module}.{entry}" for entry in self.entries]


@dataclass(frozen=True)
class TorchModel:
    """A PyTorch model whose checkpoints can be imported.

    Attributes:
        name: identifier in code.
        title: name in messages.
        parts: its modules with weights.
        dropped: prefixes of the entries that our network does not use.
    """

    name: str
    title: str
    parts: tuple[Part, ...]
    dropped: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Full names of all required entries."""
        return [name for part in self.parts for name in part.names]

    def drops(self, name: str) -> bool:
        """Return whether an entry is known but not used."""
        return name.endswith(COUNTER) or name.startswith(self.dropped)


def _weighted(module: str, *layers: str, bias: bool = True) -> Part:
    return Part(module, ("weight", "bias") if bias else ("weight",), layers)


def _norm(module: str, *layers: str) -> Part:
    return Part(module, _BATCH_NORM, layers)


def _rac_unet(conditioned: bool) -> tuple[Part, ...]:
    parts = [
        _weighted("upfeature", "stem_conv1"),
        _weighted("contract0.0", "stem_conv2"),
        _norm("contract0.1", "stem_bn"),
    ]
    if conditioned:
        # The original trained on folders 0..6; reorder its rows by emotion name.
        folder = {name: row for row, name in SOURCE_LABELS["original_folders"].items()}
        rows = tuple(folder[name] for name in EMOTIONS)
        parts.append(Part("EmbedLayer", ("weight",), ("emotion_embedding",), rows))
    for k in range(1, LEVELS + 1):
        parts += [_weighted(f"contract{k}.conv{n}", f"down{k}_conv{n}") for n in (1, 2, 3)]
        # The original shares one batch norm between its second and third convolution.
        parts += [_norm(f"contract{k}.batchnorm1", f"down{k}_bn1")]
        parts += [_norm(f"contract{k}.batchnorm2", f"down{k}_bn2", f"down{k}_bn3")]
        parts += [_weighted(f"expand{k}.up.0", f"up{k}_upsample"), _norm(f"expand{k}.up.1", f"up{k}_upsample_bn")]
        parts += [_weighted(f"expand{k}.up.2", f"up{k}_conv1"), _norm(f"expand{k}.up.3", f"up{k}_bn1")]
        parts += [_weighted(f"expand{k}.conv1.0", f"up{k}_conv2"), _norm(f"expand{k}.conv1.1", f"up{k}_bn2")]
        parts += [_weighted(f"expand{k}.conv1.3", f"up{k}_conv3"), _norm(f"expand{k}.conv1.4", f"up{k}_bn3")]
        for theirs, ours in (("W_gate", "gating"), ("W_x", "skip"), ("psi", "psi")):
            parts += [_weighted(f"Att{k}.{theirs}.0", f"up{k}_gate_{ours}_conv")]
            parts += [_norm(f"Att{k}.{theirs}.1", f"up{k}_gate_{ours}_bn")]
    return (*parts, _weighted("bridge", "bottleneck"), _weighted("downfeature", "inpainted_image"))


def _resnet18() -> tuple[Part, ...]:
    parts = [_weighted("conv1", "stem_conv", bias=False), _norm("bn1", "stem_bn")]
    for stage in range(1, 5):
        for block in (0, 1):
            theirs, ours = f"layer{stage}.{block}", f"stage{stage}_block{block + 1}"
            for n in (1, 2):
                parts += [_weighted(f"{theirs}.conv{n}", f"{ours}_conv{n}", bias=False)]
                parts += [_norm(f"{theirs}.bn{n}", f"{ours}_bn{n}")]
            if stage > 1 and not block:
                parts += [_weighted(f"{theirs}.downsample.0", f"{ours}_shortcut_conv", bias=False)]
                parts += [_norm(f"{theirs}.downsample.1", f"{ours}_shortcut_bn")]
    return tuple(parts)


def _vgg(name: str) -> TorchModel:
    blocks = VGG_CONVOLUTIONS[name]
    parts = tuple(
        _weighted(f"features.{position}", f"block{block}_conv{number}")
        for block, positions in enumerate(blocks[:VGG_BLOCKS], start=1)
        for number, position in enumerate(positions, start=1)
    )
    beyond = tuple(f"features.{position}." for positions in blocks[VGG_BLOCKS:] for position in positions)
    return TorchModel(name, f"torchvision's VGG{name[3:]}", parts, ("classifier.", *beyond))


def _squeezenet(name: str, title: str, first: str, fires: dict[int, str], parts: tuple[str, ...], rest) -> TorchModel:
    """Return SqueezeNet 1.1 by the names of its first module, its fire modules and the parts of these."""
    found = [_weighted(first, "conv1")]
    for number, module in fires.items():
        for part, ours in zip(parts, ("squeeze1x1", "expand1x1", "expand3x3"), strict=True):
            found.append(_weighted(f"{module}{part}", f"fire{number}_{ours}"))
    return TorchModel(name, title, tuple(found), rest)


TORCH_MODELS = (
    TorchModel("rac_unet", "the original's RAC-UNET", _rac_unet(True)),
    TorchModel("rac_unet_unlabelled", "the original's RAC-UNET without a label", _rac_unet(False)),
    TorchModel(
        "classifier",
        "the original's ResNet-18 classifier of emotions",
        (*_resnet18(), _weighted("classifier", "logits")),
    ),
    TorchModel("resnet18", "torchvision's ResNet-18", _resnet18(), ("fc.",)),
    _vgg("vgg16"),
    _vgg("vgg19"),
    _squeezenet(
        "squeezenet11",
        "torchvision's SqueezeNet 1.1",
        "features.0",
        {number: f"features.{place}" for number, place in zip(range(2, 10), SQUEEZENET_FIRES, strict=True)},
        (".squeeze", ".expand1x1", ".expand3x3"),
        ("classifier.",),
    ),
    _squeezenet(
        "squeezenet11_keras",
        "SqueezeNet 1.1 of DeepCognition/keras-squeezenet",
        "conv1",
        {number: f"fire{number}" for number in range(2, 10)},
        ("/squeeze1x1", "/expand1x1", "/expand3x3"),
        ("conv10.",),
    ),
)


def unwrap_names(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Remove wrapper prefixes from the names; return the renamed arrays and notes on what was removed.

    If only some names have a prefix, the group is taken that is most similar to a known model (Lightning also saves the
    losses' networks, AveragedModel a counter).
    """
    notes = []
    if wrapped := sorted({match.group() for name in arrays for match in _INFIXES.finditer(name)}):
        arrays = {_INFIXES.sub("", name): array for name, array in arrays.items()}
        notes.append(f"removed {' and '.join(map(repr, wrapped))} from the names")
    groups: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        prefix = match.group() if (match := _PREFIXES.match(name)) else ""
        groups.setdefault(prefix, {})[name.removeprefix(prefix)] = array
    best = max(
        groups, key=lambda prefix: max(_similarity(kind, set(groups[prefix])) for kind in TORCH_MODELS), default=""
    )
    if not best or (len(groups) > 1 and not any(_similarity(kind, set(groups[best])) for kind in TORCH_MODELS)):
        return dict(arrays), notes
    others = [name for prefix, group in groups.items() if prefix != best for name in (prefix + own for own in group)]
    dropped = f"; dropped the entries without it: {shortened(others, 6)}" if others else ""
    notes.append(
        f"removed the prefix {best!r} from {'the' if others else 'every'} name{'s' if others else ''}{dropped}"
    )
    return groups[best], notes


def _similarity(kind: TorchModel, names: set[str]) -> float:
    """Return the share of names in common, of all names in either, counters excluded."""
    found = {name for name in names if not name.endswith(COUNTER)}
    # Dropped entries count as the kind's own: `fc` separates torchvision's ResNet-18 from the original's classifier.
    wanted = set(kind.names) | {name for name in found if kind.drops(name)}
    return len(found & wanted) / max(len(found | wanted), 1)


def shortened(items: list[str], most: int = 12) -> str:
    """Return the first `most` items in one line, and how many more there are."""
    rest = len(items) - most
    return ", ".join(items[:most]) + (f", … and {rest:,} more" if rest > 0 else "")


def recognise(arrays: Mapping[str, np.ndarray]) -> TorchModel:
    """Return the known model whose entry names are most similar to the arrays' names.

    Raises: UserError when less than half of the names agree with any model.
    """

    def similarity(kind: TorchModel) -> float:
        return _similarity(kind, set(arrays))

    best = max(TORCH_MODELS, key=similarity)
    if best.name == "rac_unet_unlabelled" and _takes_planes(arrays):
        # The emotion embedding is missing. Reporting that helps more than four channels too many in the first kernel.
        best = next(kind for kind in TORCH_MODELS if kind.name == "rac_unet")
    if similarity(best) < LEAST_SIMILARITY:
        known = "; ".join(kind.title for kind in TORCH_MODELS)
        raise UserError(
            f"its {len(arrays):,} entries match no model that can be imported: {shortened(list(arrays), 6)}; "
            f"supported are {known}",
            "unsupported",
        )
    return best


def fill(model, kind: TorchModel, arrays: Mapping[str, np.ndarray]) -> int:
    """Load a checkpoint's entries into the layers of a Keras network; nothing is changed unless all of them fit.

    Args:
        model: keras.Model with the layers that `kind` names.
        arrays: entry name -> array.
    Returns: number of trainable parameters in the entries used, each counted once.
    Raises: UserError listing every missing, unexpected, wrongly shaped and non-finite entry by name.
    """
    missing, shapes, bad, filled = [], [], [], {}
    for part in kind.parts:
        weights = model.get_layer(part.layers[0]).weights
        for entry, name, weight in zip(part.entries, part.names, weights, strict=True):
            order, expected = _axes(part, entry, tuple(weight.shape))
            array = arrays.get(name)
            if array is None:
                missing.append(f"{name} {expected}")
            elif array.shape != expected or array.dtype.kind != "f":
                shapes.append(f"{name}: expected {expected} of floats, received {array.shape} {array.dtype}")
            elif fault := _not_usable(array, entry):
                bad.append(f"{name} ({fault})")
            else:
                filled[name] = (array if part.rows is None else array[list(part.rows)]).transpose(order)
    known = set(kind.names)
    extra = [f"{name} {array.shape}" for name, array in arrays.items() if name not in known and not kind.drops(name)]
    found = (("missing", missing), ("unexpected", extra), ("of another shape or type", shapes), ("not usable", bad))
    if any(names for _, names in found):
        listed = "; ".join(f"{what} ({len(names)}): {shortened(names)}" for what, names in found if names)
        raise UserError(f"it looks like {kind.title}, but its entries do not fit: {listed}", "mismatch")
    for part in kind.parts:
        for layer in part.layers:
            model.get_layer(layer).set_weights([filled[name] for name in part.names])
    return sum(value.size for name, value in filled.items() if not name.endswith(("running_mean", "running_var")))


def _axes(part: Part, entry: str, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the transposition from an entry's axes to a Keras weight of `shape`, and the entry's shape in PyTorch."""
    order = tuple(range(len(shape)))
    if entry == "weight" and len(shape) == 4:
        # This also holds for transposed convolutions, where both libraries swap the two channel axes.
        order = (2, 3, 1, 0)
    elif entry == "weight" and len(shape) == 2 and part.rows is None:
        order = (1, 0)
    expected = [0] * len(shape)
    for ours, theirs in enumerate(order):
        expected[theirs] = shape[ours]
    return order, tuple(expected)


def _not_usable(array: np.ndarray, entry: str) -> str:
    count = int(array.size - np.isfinite(array).sum())
    if count:
        return f"{count:,} of {array.size:,} values are NaN or infinite"
    if entry == "running_var" and (array < 0).any():
        return f"a variance of {array.min():.3g}, below zero"
    return ""


def _takes_planes(arrays: Mapping[str, np.ndarray]) -> bool:
    first = arrays.get("upfeature.weight")
    return first is not None and first.ndim == 4 and first.shape[1] > 3


def first_filters(kind: TorchModel, arrays: Mapping[str, np.ndarray], default: int = 64) -> int:
    """Return the channels of a RAC-UNET's or ResNet-18's first level; the default if the entry is missing."""
    array = arrays.get("contract0.0.weight" if kind.name.startswith("rac_unet") else "conv1.weight")
    return array.shape[0] if array is not None and array.ndim == 4 else default
