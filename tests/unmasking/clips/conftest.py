"""An unmasker with a network that takes green for a mask."""

import dataclasses

import pytest

from rac_unet.unmasking import networks
from rac_unet.unmasking.photo import Unmasker
from tests.drawn_masks import green_runner


@pytest.fixture
def unmasker(monkeypatch):
    monkeypatch.setattr(networks, "load_runner", lambda path, threads=None: green_runner())
    return Unmasker("green.tflite")


@pytest.fixture
def changed_network(unmasker):
    """A function that lets the network's outputs pass through another one: (inputs, outputs) -> outputs."""

    def change(function):
        call = unmasker.runner.call
        runner = dataclasses.replace(unmasker.runner, call=lambda inputs: function(inputs, call(inputs)))
        unmasker.runner = unmasker.finder._runner = runner

    return change
