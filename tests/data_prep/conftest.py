"""Fixture with small trees of the native layouts."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def trees():
    """The module trees.py in this folder, which is not a package."""
    spec = importlib.util.spec_from_file_location("trees", Path(__file__).with_name("trees.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
