"""The emotion that a user requests: a name, or `auto`, `none` or `all`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rac_unet.core.emotions import EMOTIONS, parse_emotion
from rac_unet.core.errors import UserError
from rac_unet.core.registry import check_name
from rac_unet.runtime.interface import VISIBLE

if TYPE_CHECKING:
    from rac_unet.runtime.runners import Runner

# `auto`: read from the visible part of each face. `none`: no emotion label. `all`: a sheet of all seven emotions.
AUTO, NONE, ALL = "auto", "none", "all"


def parse_request(text: str, where: str = "emotion") -> str:
    """Return `auto`, `none`, `all` or the name of an emotion.

    Args:
        text: what the user wrote; other spellings of an emotion are accepted.
        where: the option or argument, for the error message.
    Raises: UserError, with the nearest valid name.
    """
    name = str(text).strip().lower()
    if name in (AUTO, NONE, ALL):
        return name
    try:
        return parse_emotion(name)
    except UserError:
        check_name(where, str(text), (AUTO, NONE, ALL, *EMOTIONS))
        raise


def check_supported(request: str, runner: Runner) -> str | None:
    """Return a note for the user if the network ignores the emotion, else None.

    Args:
        request: result of `parse_request`.
        runner: the network.
    Raises: UserError when the network cannot do what is requested.
    """
    name = runner.name
    if not runner.conditioned and request not in (AUTO, NONE):
        raise UserError(
            f"{name} takes no emotion, so {request!r} cannot be painted; use --emotion none, or another model",
            "unsupported",
        )
    if request == AUTO and runner.conditioned and VISIBLE not in runner.outputs:
        raise UserError(
            f"{name} does not read emotions from the visible half; give one by name with --emotion, or none",
            "unsupported",
        )
    return None if runner.conditioned else f"{name} takes no emotion: every face is painted without one"
