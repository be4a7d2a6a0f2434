"""Mean losses, rate, input-pipeline wait, and the budget line."""

import numpy as np
import pytest
import tensorflow as tf

from rac_unet.models import build
from rac_unet.training import meter as module
from rac_unet.training.budget import budget_line, memory_estimate
from rac_unet.training.meter import Meter


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def _meter(lines, rates=None, bad=None):
    on_nan, on_rate = (([] if where is None else where).append for where in (bad, rates))
    return Meter(["loss", "l1"], 8, 1000, 0, 0.0, lines.append, on_nan, on_rate)


def _call(meter, clock, values, count, seconds, waited=0.0):
    """A call of steps on a device that has finished when the call returns."""
    clock[0] += seconds
    meter.end_call(tf.constant(values), count, waited)


def test_means_are_over_all_steps_since_the_last_validation(clock):
    meter = _meter([])
    # Votes to stop follow the losses and do not count as losses.
    _call(meter, clock, [[1.0, 2.0, 9.0], [3.0, 4.0, 9.0]], 2, 1.0)
    _call(meter, clock, [[8.0, 6.0, 7.0]], 1, 1.0)
    assert meter.step == 3 and (meter.read() == [8, 6, 7]).all()
    assert meter.round_means() == {"loss": 4.0, "l1": 4.0} and meter.train_seconds == 2
    meter.start_round()
    assert meter.round_count == 0 and meter.read() is None


def test_rate_and_input_are_measured_after_the_warm_up(clock):
    lines, rates = [], []
    meter = _meter(lines, rates)
    for _ in range(module.WARM_UP_CALLS):
        _call(meter, clock, [[1.0, 1.0]], 1, 4.0, 2.0)
    assert meter.is_due()
    meter.read()
    for _ in range(module.MEASURED_STEPS):
        _call(meter, clock, [[1.0, 1.0]], 1, 2.0, 0.2)
    meter.read()
    assert rates == [4.0] and meter.input_share == pytest.approx(0.1)
    assert len(lines) == 2 and {"22/1,000", "2 %", "1.0000,", "4.0", "2000", "10.0 %"} <= _facts(lines[0])
    assert "10 %" in lines[1] and "--data.cache" in lines[1]
    meter.report_rate()
    assert rates == [4.0]


def _facts(line):
    """The numbers of a line with the word that follows each."""
    words = line.replace("(", "").replace(")", "").split()
    return {*words, *(f"{a} {b.rstrip(',')}" for a, b in zip(words, words[1:], strict=False))}


def test_time_spent_on_other_things_is_not_training(clock):
    meter = _meter([])
    _call(meter, clock, [[1.0, 1.0]], 1, 1.0)
    meter.read()
    clock[0] += 100  # a validation
    meter.start_clock()
    _call(meter, clock, [[1.0, 1.0]], 1, 1.0)
    meter.read()
    assert meter.train_seconds == 2


def test_non_finite_losses_are_named(clock):
    bad = []
    meter = _meter([], bad=bad)
    _call(meter, clock, [[1.0, np.nan]], 1, 1.0)
    meter.read()
    assert bad == [["l1"]]


def test_losses_are_read_in_blocks(clock):
    meter = _meter([])
    for _ in range(module.WARM_UP_CALLS):
        _call(meter, clock, [[1.0, 1.0]], 1, 0.0)
    meter.read()
    for _ in range(module.READ_EVERY - 1):
        _call(meter, clock, [[1.0, 1.0]], 1, 0.0)
        assert not meter.is_due()
    _call(meter, clock, [[1.0, 1.0]], 1, 0.0)
    assert meter.is_due()


@pytest.mark.parametrize(
    ("hours", "session", "words"),
    [
        (125.0, 0.0, "125.0 hours to the end: 11 sessions of 11.5 h on Kaggle"),
        (20.0, 9.0, "20.0 hours to the end: 3 sessions of 9 h"),
        (0.5, 0.0, "30 minutes to the end: 1 session of"),
        (0.01, 0.0, "36 s to the end"),
    ],
)
def test_budget(hours, session, words):
    line = budget_line(66_003_264, 5_400_000_000, 104.4, hours, session)
    assert words in line and "66,003,264 parameters, about 5.4 GB" in line and "104.4 images/s" in line


def test_memory_grows_with_batch_and_halves_with_half_precision():
    model = build("rac_unet", filters=4, image_size=32)
    small, large = (memory_estimate(model, n, half=False, ema=False) for n in (1, 3))
    state = 16 * model.count_params()
    assert large - state == 3 * (small - state) > 0
    assert 2 * (memory_estimate(model, 1, half=True, ema=False) - state) == small - state
    assert memory_estimate(model, 1, half=False, ema=True) - small == 4 * model.count_params()
