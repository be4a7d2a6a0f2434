"""The comparison with Keras's Adam, EMA and batch norm: all variants train alike, and ratios are of the same round."""

import keras
import pytest

from rac_unet.benchmarks import against_keras

pytestmark = pytest.mark.usefixtures("tiny_networks")


def test_all_variants_train_alike():
    """Otherwise a ratio of their times would compare different trainings."""
    variants = against_keras.make_variants(image_size=32, batch_size=2, filters=2)
    losses = {name: [take() for _ in range(3)] for name, take in variants.items()}
    assert losses["own"][0] != losses["own"][2]
    for name, values in losses.items():
        assert values == pytest.approx(losses["own"], rel=1e-3), name


def test_each_variant_has_kerass_part_that_it_is_named_after(monkeypatch):
    made = []

    def note(config, batch_size, distribution, optimizer, make_average, fused):
        weight = keras.Variable([0.0])
        optimizer.build([weight])
        ema = getattr(optimizer, "use_ema", False), bool(make_average([weight]).variables)
        made.append((isinstance(optimizer, keras.optimizers.Adam), *ema, fused))

    monkeypatch.setattr(against_keras, "make_step", note)
    names = list(against_keras.make_variants(32, 2))
    # Keras's Adam, Keras's EMA, own EMA, fused batch norm.
    assert dict(zip(names, made, strict=True)) == {
        "own": (False, False, True, True),
        "keras_adam": (True, False, True, True),
        "keras_adam_and_average": (True, True, False, True),
        "keras_batch_norm": (False, False, True, False),
        "keras": (True, True, False, False),
    }


def test_ratios_are_of_one_round_and_have_a_spread(monkeypatch):
    """The machine becomes ten times slower between rounds, which must not change a ratio."""
    cost = {"own": 1.0, "keras_adam": 1.5, "keras_adam_and_average": 3.0, "keras_batch_norm": 2.0, "keras": 4.0}
    timed = []

    def seconds(name, steps):
        timed.append(name)
        return cost[name] * 10 ** ((len(timed) - 1) // len(cost))

    monkeypatch.setattr(against_keras, "make_variants", lambda *_: {name: name for name in cost})
    monkeypatch.setattr(against_keras, "_seconds_per_step", seconds)
    monkeypatch.setattr(against_keras, "_warm_up", lambda variants: None)
    result = against_keras.keras_step_ratios(32, 2, repeats=3)
    for part, ratio in {"adam": 1.5, "average": 2.0, "batch_norm": 2.0, "all": 4.0}.items():
        for end in ("", "_low", "_high"):
            assert result[f"keras_over_own_{part}{end}"] == pytest.approx(ratio)
    # No variant is always first.
    assert len({*timed[:: len(cost)]}) == 3 and result["seconds_per_step"] == pytest.approx(10.0)
