"""A tensorflow-datasets builder of pairs: typed features, splits, shards, version, citation.

It imports TensorFlow, so it must only be imported inside functions; see `data_prep.to_tfds`.
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

_DESCRIPTION = """Faces with a mask, the same faces without it, the occlusion map, and one of seven emotions.

`occlusion` is above 0 where the mask hides the face; elsewhere masked_image and unmasked_image are equal. Photos of
real masks have no ground truth (`has_truth` is False): their unmasked_image and occlusion are black. `weight` is the
frequency of a training pair relative to the others. Pairs with the same `photo` share their unmasked picture."""

# Text columns of pairs.csv -> feature of a record.
_TEXTS = {
    "key": "key",
    "emotion": "emotion",
    "identity": "identity",
    "source": "source",
    "mask_style": "mask_style",
    "unmasked": "photo",
}


class _LocalInfo(tfds.core.DatasetInfo):
    """Dataset info that does not query Google's server for this name, which takes minutes without internet access."""

    def initialize_from_bucket(self) -> None:
        pass


class RacUnetPairs(tfds.core.GeneratorBasedBuilder):
    """Faces with and without masks."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  tensorflow-datasets reads it as it is

    def __init__(self, *, pairs: PairSet, advance: Callable[[int], object] = lambda count: None, **options: Any):
        """Open a builder of the pairs of a data set.

        Args:
            pairs: the data set to convert, with image files.
            advance: called with 1 for each pair written.
            options: options of `tfds.core.DatasetBuilder`, such as `data_dir`.
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
            "unmasked_image": picture(3, "the same face without a mask; black where has_truth is False"),
            "occlusion": picture(1, "above 0 where the mask hides the face"),
            "emotion": tfds.features.ClassLabel(names=list(EMOTIONS), doc="by name; the order is RAF-DB's"),
            "identity": tfds.features.Text(doc="the person; all pairs of a person are in one split"),
            "source": tfds.features.Text(doc="the data set that the face is from"),
            "mask_style": tfds.features.Text(doc="style of the mask"),
            "photo": tfds.features.Text(doc="the unmasked picture's name; pairs of one photo share it"),
            "weight": tfds.features.Scalar(dtype=np.float32, doc="relative frequency in training, mean 1"),
            "has_truth": tfds.features.Scalar(dtype=np.bool_, doc="whether there is an unmasked picture"),
        }
        return _LocalInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            citation=cite(self._pairs.frame["source"].astype(str).unique().tolist()),
            license="The licences of the sources hold for these pictures, which are personal data.",
            # Keeps the order of the rows, so that pairs.csv describes the records.
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager) -> dict[str, Iterator]:
        splits = {name: self._pairs.split(name) for name in SPLITS}
        return {name: self._generate_examples(pairs) for name, pairs in splits.items() if len(pairs)}

    def _generate_examples(self, pairs: PairSet) -> Iterator[tuple[int, dict[str, Any]]]:
        size = pairs.image_size
        black = {
            "unmasked_image": encode_png(np.zeros((size, size, 3), np.uint8)),
            "occlusion": encode_png(np.zeros((size, size), np.uint8)),
        }
        columns = [pairs.paths(column) for column in IMAGE_COLUMNS]
        columns += [pairs.frame[name].astype(str).tolist() for name in _TEXTS] + [pairs.weights.tolist()]
        # tensorflow-datasets sorts by key, in 1,000 buckets over 128 bits; small numbers would all be in the first
        # bucket, which it would keep in memory.
        step = (1 << 128) // max(len(pairs), 1)
        for number, row in enumerate(zip(*columns, strict=True)):
            (masked, unmasked, occlusion), texts, weight = row[:3], row[3:-1], row[-1]
            example = dict(zip(_TEXTS.values(), texts, strict=True))
            # Given as paths, the files are copied without being decoded.
            example |= {
                "masked_image": masked,
                "unmasked_image": unmasked or black["unmasked_image"],
                "occlusion": occlusion or black["occlusion"],
                "weight": weight,
                "has_truth": bool(unmasked),
            }
            yield number * step, example
            self._advance(1)
