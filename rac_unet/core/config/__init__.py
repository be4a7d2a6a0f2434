"""A run's settings: frozen dataclasses, validated, to and from YAML. Their `Args` are the help of `train`."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from rac_unet.core.config.guidance import GuidanceConfig
from rac_unet.core.config.values import check, coerce
from rac_unet.core.errors import UserError
from rac_unet.core.registry import (
    LOSSES,
    MODELS,
    check_features,
    check_label,
    check_name,
    check_terms,
)

# Settings of earlier versions that a config.yaml may still have; they did not change what was learned.
RETIRED = {("training", "backup_minutes")}

# What `training.init_from` calls the network that comes with the package, and a second name that commands take.
PUBLISHED, PUBLISHED_TOO = "published", "lite"

# Settings that do not change what is learned, so that a run may be resumed with others. Paths of files are among them,
# since their contents are compared.
NO_MATTER = {
    ("data", "path"),
    ("data", "cache"),
    ("loss", "features"),
    ("loss", "feature_weights"),
    ("guidance", "readers"),
    ("guidance", "donor_faces"),
    ("guidance", "teacher"),
    ("training", "max_hours"),
    ("training", "strategy"),
    ("training", "replicas"),
    ("training", "tf32"),
    ("training", "jit_compile"),
    ("training", "steps_per_call"),
    ("training", "sample_every"),
    ("training", "backup_seconds"),
    ("training", "init_from"),
}


def published_or_path(given: str) -> str:
    """Return `published` for a name of the network that comes with the package; a file or folder `lite` comes first."""
    return PUBLISHED if given == PUBLISHED_TOO and not Path(given).exists() else given


@dataclass(frozen=True)
class DataConfig:
    """Where the pairs come from, and how they are augmented.

    Args:
        path: Folder with a pairs.csv, as made by data_prep. Without it, a toy data set is drawn once and reused.
        toy_count: Toy faces to draw when there is no path.
        toy_mode: natural, or ambiguous: only the label says the emotion, nothing above the mask shows it.
        cache: Keep decoded pictures in memory, on disk, or not at all (off); auto takes memory if they fit into a
            quarter of it.
        augment: Flip and mildly relight the training pairs, both pictures alike.
        jitter: With augment, also zoom, rotate and shift them by up to this share (0.08 is 8 %, 4.6 degrees, and 4 % of
            the side), since no detector places a masked face exactly.
        relight: With augment, how strongly exposure and white balance are changed: 1 is mild, 0 not at all.
        mixup: With augment, share of training pairs that are blended with another face, at most half and half.
        recolour: With augment, share of training pairs whose mask gets another colour; the face stays as it is.
        label_dropout: Share of training pairs whose label is set to zeros, so that "no label" is learned too.
    """

    path: str | None = None
    toy_count: int = 2800
    toy_mode: Literal["natural", "ambiguous"] = "natural"
    cache: Literal["auto", "memory", "disk", "off"] = "auto"
    augment: bool = True
    jitter: float = 0.0
    relight: float = 1.0
    mixup: float = 0.0
    recolour: float = 0.0
    label_dropout: float = 0.0

    def __post_init__(self):
        check(self.toy_count >= 70, "data.toy_count", self.toy_count, "at least 70, ten faces of each emotion")
        check(0 <= self.jitter <= 0.3, "data.jitter", self.jitter, "from 0 to 0.3 (0.08 is already strong)")
        check(0 <= self.relight <= 5, "data.relight", self.relight, "from 0 to 5 (1 is mild, 3 is strong)")
        check(0 <= self.mixup <= 1, "data.mixup", self.mixup, "from 0 to 1")
        check(0 <= self.recolour <= 1, "data.recolour", self.recolour, "from 0 to 1")
        check(0 <= self.label_dropout < 1, "data.label_dropout", self.label_dropout, "0 or more and below 1")


@dataclass(frozen=True)
class ModelConfig:
    """The network.

    Args:
        name: The architecture, such as rac_unet_lite or a_unet.
        filters: Channels of the first level; each level below doubles them. 64 is the original, with 66 M parameters.
        image_size: Side of the square input in pixels, a multiple of 16.
        conditioned: Whether the emotion label is an input; must be false for ra_unet and a_unet, which take none.
    """

    name: str = "rac_unet"
    filters: int = 64
    image_size: int = 128
    conditioned: bool = True

    def __post_init__(self):
        check_name("model.name", self.name, MODELS)
        check_label(self.name, self.conditioned)
        check(self.filters >= 2 and self.filters % 2 == 0, "model.filters", self.filters, "an even number, 2 or more")
        step = MODELS[self.name].side_multiple
        ok = self.image_size >= 2 * step and self.image_size % step == 0
        check(ok, "model.image_size", self.image_size, f"a multiple of {step}, at least {2 * step} (64, 96, 128, …)")


@dataclass(frozen=True)
class LossConfig:
    """The loss that training minimises.

    Args:
        terms: Name and weight of each loss term; their weighted sum is minimised, and each is logged.
        features: Feature extractor of the terms perceptual and unit_features: vgg19, vgg16, or a .keras file from RGB
            in [0, 1] to feature maps. Not used without these terms.
        feature_weights: Weights of vgg19 and vgg16: imagenet (Keras's file, downloaded once), none (random), or a .h5
            or .keras file.
        adversarial: Weight of a small discriminator that separates inpainted from real faces (hinge loss) and is
            trained together with the network; 0 for none. For the last stage of a training, started with --init_from.
    """

    terms: dict[str, float] = field(default_factory=lambda: {"ms_ssim_l1": 1.0})
    features: str = "vgg19"
    feature_weights: str = "imagenet"
    adversarial: float = 0.0

    def __post_init__(self):
        check(bool(self.terms), "loss.terms", self.terms, f"at least one of {', '.join(LOSSES)}")
        for name, weight in self.terms.items():
            check_name("loss.terms", name, LOSSES)
            check(weight > 0, f"loss.terms.{name}", weight, "a weight above 0")
        check_features(self.features, self.feature_weights, "loss.")
        check(self.adversarial >= 0, "loss.adversarial", self.adversarial, "0 (none) or more; 0.05 is usual")

    @property
    def needs_features(self) -> bool:
        """Whether a term uses the feature extractor."""
        return any(LOSSES[name].needs_features for name in self.terms)


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer (Adam).

    Args:
        learning_rate: Highest learning rate.
        schedule: constant, or cosine: down to zero over the run's steps.
        warmup_steps: Steps of linear rise from near zero before that; at most a tenth of the run.
        beta_2: Decay of Adam's average of squared gradients.
        clip_norm: Gradients with a larger global norm are scaled down to it; 0 for no clipping.
        ema: Decay of a moving average (EMA) of the weights, which is then validated and kept; 0 for none.
    """

    learning_rate: float = 1e-4
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: int = 0
    beta_2: float = 0.999
    clip_norm: float = 0.0
    ema: float = 0.0

    def __post_init__(self):
        check(self.learning_rate > 0, "optimizer.learning_rate", self.learning_rate, "above 0 (1e-4 to 3e-3 is usual)")
        check(self.warmup_steps >= 0, "optimizer.warmup_steps", self.warmup_steps, "0 or more")
        check(0 < self.beta_2 < 1, "optimizer.beta_2", self.beta_2, "between 0 and 1")
        check(self.clip_norm >= 0, "optimizer.clip_norm", self.clip_norm, "0 or more")
        check(0 <= self.ema < 1, "optimizer.ema", self.ema, "0 or more and below 1 (0.999 is usual)")


@dataclass(frozen=True)
class TrainingConfig:
    """Duration, batches, devices, and what is saved when.

    Args:
        epochs: Passes over the training pairs; may be a fraction. A resumed run may have others if its learning rate is
            constant.
        batch_size: Pairs per step, shared out equally among the devices.
        max_hours: Stop cleanly after this time, counted from the start of the command; 0 for no limit.
        strategy: one device; mirrored over this machine's GPUs; multi_worker over the machines named in TF_CONFIG; tpu;
            or auto: all devices that are found.
        replicas: Devices to train on, 0 for all. Without a GPU, mirrored splits the CPU into this many.
        scaling: With several devices, none divides batch_size among them; linear and sqrt give batch_size pairs to each
            and multiply the learning rate by their number or its square root.
        precision: Number format of the computation; weights, outputs and losses stay float32. auto takes the fastest
            of the device.
        tf32: Let GPUs from Ampere on multiply float32 with 10 bits of mantissa instead of 23; auto leaves TensorFlow's
            default, which is on. false costs most of their speed in float32 and none in mixed precision. Structural
            losses (SSIM, MS-SSIM) keep full precision either way.
        jit_compile: Compile the step with XLA; auto does so on a single GPU. Half as fast on CPUs.
        steps_per_call: Steps per call of the compiled function; 0 for as many as suit the device.
        freeze_batch_norm: Normalise by the stored statistics, as at inference, and do not update them; for a stage
            that starts with --init_from on pictures that the statistics should not follow.
        only_layers: Regular expression: train only the layers whose names start with a match, and leave weights and
            statistics of the others as --init_from set them; detail trains the detail layers of rac_unet_portrait.
            Empty: all layers.
        deterministic: The same operations in the same order, so that a run can be repeated bit for bit; slower.
        seed: Seed of the weights, the order of the pairs and the augmentation.
        validate_steps: Steps between validations, each of which may update the best weights; 0 for once an epoch.
        sample_every: Validations between sample sheets.
        backup_seconds: Least time between two backups within an epoch; longer where backups would take over a fiftieth
            of it. Every validation makes one anyway.
        init_from: Run directory of the same network whose best weights to start with, a .weights.h5 file with its
            config.yaml next to it, a .tflite file, or `published` for the network that comes with the package;
            --init_from sets it and takes that network too.
    """

    epochs: float = 300.0
    batch_size: int = 8
    max_hours: float = 0.0
    strategy: Literal["auto", "one", "mirrored", "multi_worker", "tpu"] = "auto"
    replicas: int = 0
    scaling: Literal["none", "linear", "sqrt"] = "none"
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    tf32: Literal["auto", True, False] = "auto"
    jit_compile: Literal["auto", True, False] = False
    steps_per_call: int = 0
    freeze_batch_norm: bool = False
    only_layers: str = ""
    deterministic: bool = False
    seed: int = 0
    validate_steps: int = 0
    sample_every: int = 1
    backup_seconds: float = 30.0
    init_from: str | None = None

    def __post_init__(self):
        check(self.epochs > 0, "training.epochs", self.epochs, "above 0")
        check(self.batch_size >= 1, "training.batch_size", self.batch_size, "1 or more")
        check(self.max_hours >= 0, "training.max_hours", self.max_hours, "0 (no limit) or more")
        check(0 <= self.seed < 2**31, "training.seed", self.seed, "from 0 to 2147483647")
        check(self.validate_steps >= 0, "training.validate_steps", self.validate_steps, "0 or more")
        check(self.sample_every >= 1, "training.sample_every", self.sample_every, "1 or more")
        check(self.backup_seconds >= 0, "training.backup_seconds", self.backup_seconds, "0 or more")
        check(self.replicas >= 0, "training.replicas", self.replicas, "0 (all there are) or more")
        try:
            re.compile(self.only_layers)
        except re.error as error:
            check(False, "training.only_layers", self.only_layers, f"a regular expression ({error})")
        ok = 0 <= self.steps_per_call <= 1000
        check(ok, "training.steps_per_call", self.steps_per_call, "0 (as suits the device) to 1000")


@dataclass(frozen=True)
class RunConfig:
    """All settings of a training run."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    guidance: GuidanceConfig = field(default_factory=GuidanceConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self):
        check_terms(self.loss.terms, self.model.name)
        if self.guidance.is_on and not self.model.conditioned:
            option = "readers" if self.guidance.readers else "teacher"
            raise UserError(
                f"guidance.{option}: guidance requests emotions, and model.conditioned is false, so {self.model.name} "
                "takes no label; leave guidance out, or train a conditioned network",
                "mismatch",
            )


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Return the config as nested dictionaries, in the order of the dataclasses."""
    return dataclasses.asdict(config)


def from_dict(values: dict[str, Any], where: str = "config") -> RunConfig:
    """Build a validated config from nested dictionaries; missing settings get their defaults.

    Raises: UserError naming the key or value that is wrong, and the valid ones.
    """
    sections = {f.name: f.default_factory for f in dataclasses.fields(RunConfig)}
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected sections {', '.join(sections)}. Received: {values!r}", "bad_layout")
    built = {}
    for name, content in values.items():
        check_name(where, name, sections)
        known = {f.name: f for f in dataclasses.fields(sections[name])}
        if not isinstance(content, dict):
            raise UserError(
                f"{where}: section {name!r} should hold {', '.join(known)}. Received: {content!r}", "bad_layout"
            )
        content = {key: value for key, value in content.items() if (name, key) not in RETIRED}
        for key in content:
            check_name(f"{where}: {name}", key, known)
        typed = {key: coerce(value, sections[name], key, f"{name}.{key}") for key, value in content.items()}
        built[name] = sections[name](**typed)
    return RunConfig(**built)


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return the settings by which two configs train differently, a line each: `model.filters: 8 before, 16 now`.

    Args:
        before, now: nested dictionaries as `to_dict` returns them; missing settings get their defaults.
    """
    old, new = (to_dict(from_dict(values)) for values in (before, now))
    return [
        f"{section}.{key}: {old[section][key]!r} before, {value!r} now"
        for section, content in new.items()
        for key, value in content.items()
        if old[section][key] != value and (section, key) not in NO_MATTER
    ]


def read_yaml(path: Path) -> dict[str, Any]:
    """Parse a YAML file of settings; raises UserError with the line when it is not YAML."""
    import yaml

    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"no config file at {path}", "missing") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a YAML file: {' '.join(str(error).split())}", "unreadable") from None


def write_yaml(config: RunConfig) -> str:
    """Return the config as YAML text, from which `from_dict(read_yaml(…))` restores it."""
    import yaml

    return yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)


def preset_names() -> list[str]:
    """Return the names of the presets that come with the package."""
    folder = resources.files("rac_unet") / "presets"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def preset_path(name: str) -> Path:
    """Return the path of a preset's YAML file; raises UserError with the valid names when there is none."""
    check_name("--preset", name, preset_names())
    return Path(str(resources.files("rac_unet") / "presets" / f"{name}.yaml"))
