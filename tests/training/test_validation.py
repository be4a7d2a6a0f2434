"""Validation during training: only hidden pixels of masked faces are scored."""

import math
import warnings

import cv2
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from rac_unet.data.pairs import read
from rac_unet.data.pictures import Pictures
from rac_unet.training.validation import decibels, validate


def grey(dataset):
    """`TrainingStep.infer` of a network that paints grey."""
    for inputs, targets in dataset:
        image = tf.fill(tf.shape(targets["unmasked_image"]), 0.5)
        yield inputs, targets, image, tf.ones([len(image), 1])


def scores_of(pairs):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        return validate(grey, pairs, Pictures(pairs, pairs.image_size), 4, [], None, "")


def test_faces_without_a_mask_are_not_scored(toy_pairs, tmp_path):
    frame = pd.read_csv(toy_pairs / "pairs.csv")
    val = frame.index[frame["split"] == "val"]
    whole = scores_of(read(toy_pairs).split("val").take(np.arange(3, len(val))))
    for column in ("masked", "unmasked", "occlusion"):
        frame[column] = f"{toy_pairs.name}/" + frame[column]
    cv2.imwrite(str(toy_pairs.parent / "no_mask.png"), np.zeros((64, 64), np.uint8))

    def with_bare(rows):
        changed = frame.copy()
        changed.loc[rows, "masked"], changed.loc[rows, "occlusion"] = frame.loc[rows, "unmasked"], "no_mask.png"
        changed.to_csv(toy_pairs.parent / "bare.csv", index=False)
        return scores_of(read(toy_pairs.parent / "bare.csv").split("val"))

    some, none = with_bare(val[:3]), with_bare(val)
    for name in ("val_psnr_hole", "val_psnr_composite"):
        assert some[name] == pytest.approx(whole[name], abs=1e-6) and math.isnan(none[name])
    assert some["val_loss"] == none["val_loss"] == 1


def test_a_missing_psnr_is_a_dash():
    assert decibels(math.nan) == "–" and decibels(20.126) == "20.13 dB"
