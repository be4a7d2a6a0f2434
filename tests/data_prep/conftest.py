"""The trees of native layouts, for every test in this folder."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def trees():
    """The module trees.py beside this file, which no package holds."""
    spec = importlib.util.spec_from_file_location("trees", Path(__file__).with_name("trees.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
