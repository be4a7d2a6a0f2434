"""Read the plan of a study: systems that differ only in network and loss, trained and scored in the same way.

A plan is a YAML file:

    title: Five systems on drawn faces
    toys: {count: 5600, mode: ambiguous, size: 64, seed: 1}      # omit for a study of given pairs
    features: vgg19                                              # for feature distances and `perceptual`
    brisque: true
    classifier: {image_size: 64, filters: 16, epochs: 12, toys: {…}}   # the judge; toys: its own faces
    masked_classifier: true                                      # also train one on masked faces
    settings: {data: …, model: …, loss: …, optimizer: …, training: …}  # of all systems; as in a preset
    systems:
      A-UNET: {model: {name: a_unet, conditioned: false}}
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rac_unet.core.config import RunConfig, from_dict, read_yaml
from rac_unet.core.errors import UserError
from rac_unet.core.registry import check_name

KEYS = (
    "title",
    "toys",
    "features",
    "feature_weights",
    "brisque",
    "classifier",
    "masked_classifier",
    "settings",
    "systems",
)
TOY_KEYS = ("count", "mode", "size", "seed", "held_out", "styles", "variants")
CLASSIFIER_KEYS = ("image_size", "filters", "epochs", "batch_size", "learning_rate", "class_weights", "seed", "toys")
# Any other difference would distort the comparison of these.
MAY_DIFFER = ("model", "loss")


@dataclass(frozen=True)
class Plan:
    """A validated plan.

    Attributes:
        title: of the report.
        toys: options of `data_prep.toy` for the pairs; None if pairs are given.
        features, feature_weights: feature extractor for scores and the perceptual loss.
        brisque: whether BRISQUE is scored.
        classifier: options of `train_classifier`, without `toys`.
        classifier_toys: options of `data_prep.toy` for the classifier's own faces; None if it is trained on the pairs.
        masked_classifier: whether a second classifier is trained on masked pictures.
        systems: name -> settings, without `data.path`.
    """

    title: str
    toys: dict[str, Any] | None
    features: str
    feature_weights: str
    brisque: bool
    classifier: dict[str, Any]
    classifier_toys: dict[str, Any] | None
    masked_classifier: bool
    systems: dict[str, RunConfig]


def read_plan(path: Path, features: str | None = None, feature_weights: str | None = None) -> Plan:
    """Read and check a plan.

    Args:
        features, feature_weights: replace those of the plan.
    Raises: UserError that names the wrong key.
    """
    values, where = read_yaml(path), str(path)
    _check_keys(values, KEYS, where)
    for key in ("systems", "classifier"):
        if not isinstance(values.get(key), dict) or not values[key]:
            raise UserError(
                f"{where}: {key}: expected a section with entries. Received: {values.get(key)!r}", "bad_layout"
            )
    features = features or values.get("features", "vgg19")
    weights = feature_weights or values.get("feature_weights", "imagenet")
    settings = values.get("settings") or {}
    classifier = dict(values["classifier"])
    _check_keys(classifier, CLASSIFIER_KEYS, f"{where}: classifier")
    classifier_toys = classifier.pop("toys", None)
    for toys, name in ((values.get("toys"), "toys"), (classifier_toys, "classifier.toys")):
        if toys is not None:
            _check_keys(toys, TOY_KEYS, f"{where}: {name}")
            if "count" not in toys:
                raise UserError(f"{where}: {name}: count is missing: the number of faces to draw", "bad_layout")
    if values.get("toys") and values["toys"] == classifier_toys:
        raise UserError(
            f"{where}: classifier.toys are the same faces as toys, which are scored; give another seed", "bad_value"
        )
    systems = {}
    for name, own in values["systems"].items():
        _check_keys(own or {}, MAY_DIFFER, f"{where}: systems.{name}")
        merged = {key: dict(section or {}) for key, section in settings.items()}
        for section, entries in (own or {}).items():
            merged[section] = {**merged.get(section, {}), **(entries or {})}
        config = from_dict(merged, f"{where}: systems.{name}")
        systems[str(name)] = replace(config, loss=replace(config.loss, features=features, feature_weights=weights))
    if any(config.training.max_hours or config.data.path for config in systems.values()):
        raise UserError(
            f"{where}: settings: omit training.max_hours and data.path; every system is trained on equally many "
            "pictures of the same pairs",
            "bad_value",
        )
    slugs = [slug(name) for name in systems]
    if len(set(slugs)) < len(slugs) or "" in slugs:
        raise UserError(
            f"{where}: names of systems must differ in letters or digits: {', '.join(systems)}", "bad_value"
        )
    return Plan(
        str(values.get("title", path.stem)),
        values.get("toys"),
        features,
        weights,
        bool(values.get("brisque", False)),
        classifier,
        classifier_toys,
        bool(values.get("masked_classifier", False)),
        systems,
    )


def slug(name: str) -> str:
    """Return a system's folder name: `rac-unet-no-label` for `RAC-UNET, no label`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def options(values: dict[str, Any]) -> list[str]:
    """Return options as words of a command line: `["--count", "5"]` for `{"count": 5}`."""
    return [word for key, value in values.items() for word in (f"--{key}", str(value))]


def _check_keys(values: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected a section of {', '.join(known)}. Received: {values!r}", "bad_layout")
    for key in values:
        check_name(where, str(key), known)
