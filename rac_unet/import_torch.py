"""Import a PyTorch checkpoint: `python -m rac_unet.import_torch CHECKPOINT --output RUN`."""

from __future__ import annotations

import shutil
from pathlib import Path

from rac_unet.core.config import DataConfig, ModelConfig
from rac_unet.core.emotions import EMOTIONS, SOURCE_LABELS
from rac_unet.core.errors import CommandParser, UserError, run_command
from rac_unet.core.files.whole import check_new, replace_file
from rac_unet.core.rundir import new_run
from rac_unet.models.backend import import_tensorflow

IMAGE_SIZE = 128
# Largest allowed relative difference of a feature extractor's maps after its file is read back.
_SAME = 1e-4
# `fire_digest` of the SqueezeNet 1.1 behind the feature distances in results/.
RESULTS_FIRES = "a070925c9d2a1c30c1068c17e44989b6817c3f788d51fe1e606b859f8b4b53f9"


def main(argv: list[str] | None = None) -> int:
    """Recognise the checkpoint, convert and write it, and print a report."""
    args = _parser().parse_args(argv)
    args.argv = argv
    check_new(args.output)
    data = _data_set(args.data)
    from rac_unet.models.importing.torch_checkpoint import read_checkpoint
    from rac_unet.models.importing.torch_names import recognise

    checkpoint = read_checkpoint(args.checkpoint)
    try:
        kind = recognise(checkpoint.arrays)
        write = _WRITERS[kind.name]
        _check_options(args, kind)
        count = len(checkpoint.arrays)
        print(
            f"read     {args.checkpoint}: {kind.title}, {count:,} entries, SHA-256 {checkpoint.sha256[:12]}…",
            flush=True,
        )
        # Everything that can be checked without TensorFlow has been checked by now.
        import_tensorflow()
        written = write(args, checkpoint, kind, data)
    except UserError as error:
        raise UserError(f"{args.checkpoint}: {error}", error.kind) from None
    for line in [*_changes(checkpoint, kind), *written]:
        print(line)
    return 0


def _data_set(path: Path | None) -> str | None:
    """Read the data set and return its absolute path, since the run may be scored from another folder."""
    if path is None:
        return None
    from rac_unet.pairing.opening import read_pairs

    return str(read_pairs(path).root.expanduser().absolute())


def _check_options(args, kind) -> None:
    paints, features = kind.name.startswith("rac_unet"), kind.name.startswith(("vgg", "squeezenet"))
    if args.data and not paints:
        raise UserError(f"it is {kind.title}, which does not use a pairs data set; omit --data", "usage")
    if features and args.image_size is not None:
        raise UserError(f"it is {kind.title}, which takes pictures of any size; omit --image_size", "usage")
    if features != (args.output.suffix == ".keras"):
        wanted = "a file: --output FILE.keras" if features else "a run directory: --output RUN, not ending in .keras"
        raise UserError(f"it is {kind.title}, which is written as {wanted}. Received: --output {args.output}", "usage")


def _changes(checkpoint, kind) -> list[str]:
    """Return lines about the entries that were changed, copied or dropped."""
    from rac_unet.models.importing.torch_names import COUNTER

    lines = [f"note     {note}" for note in checkpoint.notes]
    lines += [f"copied   {part.module} to {' and '.join(part.layers)}" for part in kind.parts if len(part.layers) > 1]
    counters = sum(name.endswith(COUNTER) for name in checkpoint.arrays)
    others = [name for name in checkpoint.arrays if kind.drops(name) and not name.endswith(COUNTER)]
    if counters:
        lines.append(f"dropped  {counters:,} entries {COUNTER[1:]}, used only in training")
    if others:
        lines.append(f"dropped  {', '.join(others)}: not part of this network")
    return lines


def _image_size(args) -> int:
    return IMAGE_SIZE if args.image_size is None else args.image_size


def _facts(args, checkpoint, kind) -> dict:
    """Return the provenance of the import; without the checkpoint's folder, since it may be published."""
    from rac_unet.core.provenance import make_provenance

    source = {"file": args.checkpoint.name, "sha256": checkpoint.sha256, "model": kind.title}
    return make_provenance("rac_unet.import_torch", args.argv, imported={**source, "notes": list(checkpoint.notes)})


def _write_rac_unet(args, checkpoint, kind, data: str | None) -> list[str]:
    import yaml

    from rac_unet.models import build_configured
    from rac_unet.models.importing.torch_names import fill, first_filters

    config = ModelConfig("rac_unet", first_filters(kind, checkpoint.arrays), _image_size(args), kind.name == "rac_unet")
    model = build_configured(config)
    count = fill(model, kind, checkpoint.arrays)
    sections = {"data": {"path": DataConfig(path=data).path}, "model": vars(config)}
    text = "# Imported. Its loss, optimizer and training settings are not known.\n"
    with new_run(args.output, text + yaml.safe_dump(sections, sort_keys=False), _facts(args, checkpoint, kind)) as run:
        replace_file(run.best_weights, model.save_weights)
        shutil.copyfile(run.best_weights, run.last_weights)
    return [
        _network(model, count, f"{config.filters} filters, {config.image_size} px"),
        f"wrote    {args.output}: config.yaml, provenance.json, checkpoints/",
        f"next     python -m rac_unet.evaluate {args.output}" + ("" if data else " --data PAIRS"),
        f"         python -m rac_unet.export {args.output} --format savedmodel",
    ]


def _write_classifier(args, checkpoint, kind, _) -> list[str]:
    import keras

    from rac_unet.models.importing.torch_names import fill, first_filters
    from rac_unet.runtime.classifier import ClassifierConfig, build_classifier, write_classifier

    size = {"filters": first_filters(kind, checkpoint.arrays), "image_size": _image_size(args)}
    if kind.name == "classifier":
        config = ClassifierConfig(tuple(SOURCE_LABELS["original_classifier"].values()), **size)
    else:
        config = ClassifierConfig(EMOTIONS, **size, preprocessing="torchvision", head="untrained")
    # ImageNet's weights have no head for emotions; the seed gives the new head the same weights every time.
    keras.utils.set_random_seed(0)
    model = build_classifier(config)
    count = fill(model, kind, checkpoint.arrays)
    write_classifier(args.output, model, config, _facts(args, checkpoint, kind))
    if config.head == "trained":
        last = f'use it   rac_unet.runtime.classifier.load_classifier("{args.output}").probabilities(pictures)'
    else:
        last = "note     its last layer is new and untrained: train it before it can classify emotions"
    return [
        _network(
            model, count, f"{config.filters} filters, {config.image_size} px, preprocessing {config.preprocessing}"
        ),
        f"classes  {', '.join(config.classes)}",
        f"wrote    {args.output}: config.yaml, provenance.json, checkpoints/ with the class names inside",
        last,
    ]


def _write_vgg(args, checkpoint, kind, _) -> list[str]:
    from rac_unet.models.vgg import build_vgg_features

    model = build_vgg_features(kind.name, preprocessing="torchvision")
    return _write_features(
        args, checkpoint, kind, model, "up to its fourth block, includes torchvision's preprocessing"
    )


def _write_squeezenet(args, checkpoint, kind, _) -> list[str]:
    from rac_unet.models.squeezenet import build_squeezenet_features, fire_digest

    preprocessing = "torchvision" if kind.name == "squeezenet11" else "keras"
    model = build_squeezenet_features(preprocessing)
    lines = _write_features(
        args, checkpoint, kind, model, f"without its classifier, includes {preprocessing}'s preprocessing"
    )
    digest = fire_digest(model)
    same = "those" if digest == RESULTS_FIRES else "other weights than those"
    return [*lines, f"fires    SHA-256 {digest}: {same} of the feature distances in results/"]


def _write_features(args, checkpoint, kind, model, words: str) -> list[str]:
    from rac_unet.models.importing.torch_names import fill

    count = fill(model, kind, checkpoint.arrays)
    replace_file(args.output, lambda temporary: _save_and_read_back(model, temporary))
    return [
        _network(model, count, f"frozen, {words}"),
        f"outputs  {', '.join(model.output)}",
        f"wrote    {args.output} ({args.output.stat().st_size / 1e6:.1f} MB), read back and compared",
        f'load it  keras.saving.load_model("{args.output}", compile=False)',
    ]


def _save_and_read_back(model, path: Path) -> None:
    import keras
    import numpy as np

    from rac_unet.exporting.tensorflow_writing import write_keras

    write_keras(model, path)
    picture = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    expected, received = model(picture), keras.saving.load_model(path, compile=False)(picture)
    for name, value in expected.items():
        worst = float(np.abs(value.numpy() - received[name].numpy()).max())
        if not worst <= _SAME * max(1.0, float(np.abs(value.numpy()).max())):
            raise UserError(
                f"its file gave other outputs when read back: {name} differs by {worst:.2g}; nothing was written",
                "failed_check",
            )


def _network(model, count: int, words: str) -> str:
    trained = f"{count:,} trained parameters read from the file"
    return f"network  {model.name}, {words}: {model.count_params():,} parameters including statistics, {trained}"


_WRITERS = {
    "rac_unet": _write_rac_unet,
    "rac_unet_unlabelled": _write_rac_unet,
    "classifier": _write_classifier,
    "resnet18": _write_classifier,
    "vgg16": _write_vgg,
    "vgg19": _write_vgg,
    "squeezenet11": _write_squeezenet,
    "squeezenet11_keras": _write_squeezenet,
}


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.import_torch",
        extras=("train",),
        description="Convert a PyTorch checkpoint into a run directory or a Keras file. Recognised by the names of "
        "their entries: the original RAC-UNET, with and without a label; its ResNet-18 emotion classifier; "
        "torchvision's ResNet-18 (initial weights of a classifier); torchvision's VGG16, VGG19 and SqueezeNet 1.1 "
        "(feature extractors); and the Keras file of the SqueezeNet 1.1 behind the feature distances in results/.",
        epilog="example: python -m rac_unet.import_torch racunet.pth --output runs/original",
    )
    parser.add_argument(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="state dict: .pth or .pt (needs PyTorch; no code in it is run), or .npz of the same arrays; of "
        "SqueezeNet also Keras's .h5",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="PATH",
        help="run directory to write; for a feature extractor, a file ending in .keras. Never overwritten",
    )
    parser.add_argument("--data", type=Path, metavar="D", help="pairs data set on which the run will be scored")
    parser.add_argument(
        "--image_size",
        type=int,
        metavar="N",
        help=f"side of the pictures in pixels, which a checkpoint does not contain (default: {IMAGE_SIZE})",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
