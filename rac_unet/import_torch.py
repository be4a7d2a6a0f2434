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
# How far a VGG's maps, of a few units, may move when its file is read back.
_SAME = 1e-4


def main(argv: list[str] | None = None) -> int:
    """Recognise the checkpoint, convert it, write what it becomes, and say all of that."""
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
        # What can be refused without TensorFlow has been, by now.
        import_tensorflow()
        written = write(args, checkpoint, kind, data)
    except UserError as error:
        raise UserError(f"{args.checkpoint}: {error}", error.kind) from None
    for line in [*_changes(checkpoint, kind), *written]:
        print(line)
    return 0


def _data_set(path: Path | None) -> str | None:
    """The data set's full path, once it has been read: the run is scored from other folders than this one."""
    if path is None:
        return None
    from rac_unet.pairing.opening import read_pairs

    return str(read_pairs(path).root.expanduser().absolute())


def _check_options(args, kind) -> None:
    paints, vgg = kind.name.startswith("rac_unet"), kind.name.startswith("vgg")
    if args.data and not paints:
        raise UserError(f"it is {kind.title}, which has no data set of pairs; leave out --data", "usage")
    if vgg and args.image_size is not None:
        raise UserError(f"it is {kind.title}, which resizes pictures itself; leave out --image_size", "usage")
    if vgg != (args.output.suffix == ".keras"):
        wanted = "a file: --output FILE.keras" if vgg else "a run directory: --output RUN, not ending in .keras"
        raise UserError(f"it is {kind.title}, which becomes {wanted}. Received: --output {args.output}", "usage")


def _changes(checkpoint, kind) -> list[str]:
    """What was done to the entries, a line each."""
    from rac_unet.models.importing.torch_names import COUNTER

    lines = [f"note     {note}" for note in checkpoint.notes]
    lines += [f"copied   {part.module} to {' and '.join(part.layers)}" for part in kind.parts if len(part.layers) > 1]
    counters = sum(name.endswith(COUNTER) for name in checkpoint.arrays)
    others = [name for name in checkpoint.arrays if kind.drops(name) and not name.endswith(COUNTER)]
    if counters:
        lines.append(f"dropped  {counters:,} entries {COUNTER[1:]}, of no use outside training")
    if others:
        lines.append(f"dropped  {', '.join(others)}: no part of this network")
    return lines


def _image_size(args) -> int:
    return IMAGE_SIZE if args.image_size is None else args.image_size


def _facts(args, checkpoint, kind) -> dict:
    """What provenance.json says of the source; not its folder, since these facts may be published."""
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
    text = "# Imported. The loss, optimizer and training it came from are not known, so they are left out.\n"
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
    # The head that ImageNet's weights do not have is drawn the same every time.
    keras.utils.set_random_seed(0)
    model = build_classifier(config)
    count = fill(model, kind, checkpoint.arrays)
    write_classifier(args.output, model, config, _facts(args, checkpoint, kind))
    if config.head == "trained":
        last = f'use it   rac_unet.runtime.classifier.load_classifier("{args.output}").probabilities(pictures)'
    else:
        last = "note     its last layer is new and untrained: a start for training, it cannot judge emotions yet"
    return [
        _network(
            model, count, f"{config.filters} filters, {config.image_size} px, preprocessing {config.preprocessing}"
        ),
        f"classes  {', '.join(config.classes)}",
        f"wrote    {args.output}: config.yaml, provenance.json, checkpoints/ with the names of the classes inside",
        last,
    ]


def _write_vgg(args, checkpoint, kind, _) -> list[str]:
    from rac_unet.models.importing.torch_names import fill
    from rac_unet.models.vgg import build_vgg_features

    model = build_vgg_features(kind.name, preprocessing="torchvision")
    count = fill(model, kind, checkpoint.arrays)
    replace_file(args.output, lambda temporary: _save_and_read_back(model, temporary))
    return [
        _network(model, count, "up to its fourth block, frozen, torchvision's preprocessing inside"),
        f"outputs  {', '.join(model.output)}",
        f"wrote    {args.output} ({args.output.stat().st_size / 1e6:.1f} MB), read back and compared",
        f'load it  keras.saving.load_model("{args.output}", compile=False)',
    ]


def _save_and_read_back(model, path: Path) -> None:
    import keras
    import numpy as np

    model.save(path)
    picture = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    expected, received = model(picture), keras.saving.load_model(path, compile=False)(picture)
    for name, value in expected.items():
        worst = float(np.abs(value.numpy() - received[name].numpy()).max())
        if not worst <= _SAME * max(1.0, float(np.abs(value.numpy()).max())):
            raise UserError(
                f"its file did not read back the same: {name} differs by {worst:.2g}; nothing was written",
                "failed_check",
            )


def _network(model, count: int, words: str) -> str:
    trained = f"{count:,} trained ones read from the file"
    return f"network  {model.name}, {words}: {model.count_params():,} parameters with statistics, {trained}"


_WRITERS = {
    "rac_unet": _write_rac_unet,
    "rac_unet_unlabelled": _write_rac_unet,
    "classifier": _write_classifier,
    "resnet18": _write_classifier,
    "vgg16": _write_vgg,
    "vgg19": _write_vgg,
}


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m rac_unet.import_torch",
        description="Turn a PyTorch checkpoint into a run directory or a Keras file. Recognised by their names: the "
        "original RAC-UNET, with and without a label; its ResNet-18 classifier of emotions; torchvision's ResNet-18 "
        "(a start for training a classifier); torchvision's VGG16 and VGG19 (feature extractors).",
        epilog="example: python -m rac_unet.import_torch racunet.pth --output runs/original",
    )
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT",
        help="state dict: .pth or .pt (needs PyTorch; nothing in it is run), or .npz of the same arrays",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, required=True, metavar="PATH",
        help="what to make: a run directory; for VGG a file ending in .keras. Never overwritten",
    )  # fmt: skip
    parser.add_argument("--data", type=Path, metavar="D", help="pairs data set that the run will be scored on")
    parser.add_argument(
        "--image_size", type=int, metavar="N",
        help=f"side of the pictures in pixels, which a checkpoint does not tell (default: {IMAGE_SIZE})",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    run_command(main)
