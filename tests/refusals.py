"""Assertions about refused input: the kind of the error and what it names, never its sentence."""

import contextlib
from collections.abc import Iterator

import pytest

from rac_unet.core.errors import UserError


@contextlib.contextmanager
def refused(kind: str, *named: object) -> Iterator[pytest.ExceptionInfo]:
    """Expect a `UserError` of that kind in one line that names each of `named`: a file, a value."""
    with pytest.raises(UserError) as caught:
        yield caught
    message = str(caught.value)
    assert caught.value.kind == kind, f"{caught.value.kind}: {message}"
    assert "\n" not in message, message
    missing = [str(name) for name in named if str(name) not in message]
    assert not missing, f"{missing} not named in: {message}"
