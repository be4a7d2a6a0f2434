"""A tensorflow-datasets builder of pairs: typed features, splits, shards, version, citation.

Like every module that imports TensorFlow, this one is imported inside functions alone; see `data_prep.to_tfds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_prep.making.citations import cite
from rac_unet.core.emotions import EMOTIONS
from rac_unet.data.pair_checks import IMAGE_COLUMNS, SPLITS
from rac_unet.data.pairs import PairSet
from rac_unet.photos.png_encoding import encode_png

_DESCRIPTION = """Faces with a mask, the same faces without, the map of what the mask hides, and one of seven emotions.

`occlusion` is above 0 where the mask hides the face; elsewhere masked_image and unmasked_image are equal. People who
wore a real mask have no truth (`has_truth` is False): their unmasked_image and occlusion are black. `weight` says how
often a training pair is shown, relative to the others. Pairs with the same `photo` share their unmasked picture."""

# Columns of pairs.csv that go into a record as they are, and what they are called there.
_TEXTS = {
    "key": "key", "emotion": "emotion", "identity": "identity", "source": "source", "mask_style": "mask_style",
    "unmasked": "photo",
}  # fmt: skip


class _LocalInfo(tfds.core.DatasetInfo):
    """Asks no server whether it knows a data set of this name; without internet that takes minutes in some versions."""

    def initialize_from_bucket(self) -> None:
        pass


class RacUnetPairs(tfds.core.GeneratorBasedBuilder):
    """Faces with and without masks."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  tensorflow-datasets reads it as it is

    def __init__(self, *, pairs: PairSet, advance: Callable[[int], object] = lambda count: None, **options: Any):
        """Args:
        pairs: the data set to convert, its pictures in files of their own.
        advance: called with 1 for each pair written.
        options: of `tfds.core.DatasetBuilder`: `data_dir`.
        """
        self._pairs, self._advance = pairs, advance
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        size = self._pairs.image_size

        def picture(channels: int, doc: str) -> tfds.features.Image:
            return tfds.features.Image(shape=(size, size, channels), encoding_format="png", doc=doc)

        features = {
            "key": tfds.features.Text(doc="unique name of the pair"),
            "masked_image": picture(3, "the face with a mask"),
            "unmasked_image": picture(3, "the same face without; black where has_truth is False"),
            "occlusion": picture(1, "above 0 where the mask hides the face"),
            "emotion": tfds.features.ClassLabel(names=list(EMOTIONS), doc="by name; the order is RAF-DB's"),
            "identity": tfds.features.Text(doc="who is shown; nobody is in two splits"),
            "source": tfds.features.Text(doc="where the face came from"),
            "mask_style": tfds.features.Text(doc="which kind of mask"),
            "photo": tfds.features.Text(doc="the unmasked picture's name; pairs of one photo share it"),
            "weight": tfds.features.Scalar(dtype=np.float32, doc="how often it is shown in training, mean 1"),
            "has_truth": tfds.features.Scalar(dtype=np.bool_, doc="whether there is an unmasked picture"),
        }
        return _LocalInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            citation=cite(self._pairs.frame["source"].astype(str).unique().tolist()),
            license="The licences of the sources hold for these pictures, which are personal data.",
            # The order of the table is the order of the records, so that the table beside them says what they are.
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager) -> dict[str, Iterator]:
        splits = {name: self._pairs.split(name) for name in SPLITS}
        return {name: self._generate_examples(pairs) for name, pairs in splits.items() if len(pairs)}

    def _generate_examples(self, pairs: PairSet) -> Iterator[tuple[int, dict[str, Any]]]:
        size = pairs.image_size
        black = {"unmasked_image": encode_png(np.zeros((size, size, 3), np.uint8)),
                 "occlusion": encode_png(np.zeros((size, size), np.uint8))}  # fmt: skip
        columns = [pairs.paths(column) for column in IMAGE_COLUMNS]
        columns += [pairs.frame[name].astype(str).tolist() for name in _TEXTS] + [pairs.weights.tolist()]
        # tensorflow-datasets sorts by key, in 1,000 buckets over all of 128 bits; small numbers would all fall into the
        # first, which it would then hold in memory whole.
        step = (1 << 128) // max(len(pairs), 1)
        for number, row in enumerate(zip(*columns, strict=True)):
            (masked, unmasked, occlusion), texts, weight = row[:3], row[3:-1], row[-1]
            example = dict(zip(_TEXTS.values(), texts, strict=True))
            # Paths: the files' bytes are taken as they are, without being decoded.
            example |= {
                "masked_image": masked,
                "unmasked_image": unmasked or black["unmasked_image"],
                "occlusion": occlusion or black["occlusion"],
                "weight": weight,
                "has_truth": bool(unmasked),
            }
            yield number * step, example
            self._advance(1)
