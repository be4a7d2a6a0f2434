"""Labels that are distributions reach the network unchanged."""

from dataclasses import replace

import keras
import numpy as np

from rac_unet.core import rundir
from rac_unet.core.config import DataConfig, LossConfig, ModelConfig, RunConfig, TrainingConfig
from rac_unet.data import pairs
from rac_unet.training import loop


def test_training_conditions_on_distributions_if_pairs_have_them(toy_pairs, tmp_path, monkeypatch):
    image = keras.Input((32, 32, 3))
    painted = keras.layers.Conv2D(3, 1)(image)
    monkeypatch.setattr(loop, "build_configured", lambda *_: keras.Model(image, {"inpainted_image": painted}))
    config = RunConfig(
        data=DataConfig(cache="off"),
        model=ModelConfig(image_size=32),
        loss=LossConfig({"l1": 1.0}),
        training=TrainingConfig(batch_size=8, steps_per_call=1),
    )
    plain = pairs.read(toy_pairs)
    frame = plain.frame.copy()
    frame["emotion_shares"] = "fear:0.3 sadness:0.7"
    for name, found in (("plain", plain), ("soft", replace(plain, frame=frame))):
        trainer = loop.Trainer(rundir.create(tmp_path, name, config, {}), found, lambda _: None)
        _, emotion, _ = next(iter(trainer._blocks()))
        if name == "plain":
            assert emotion.shape == (1, 8) and emotion.dtype.is_integer
        else:
            np.testing.assert_allclose(emotion, np.tile(np.float32([0, 0.3, 0, 0, 0.7, 0, 0]), (1, 8, 1)))
