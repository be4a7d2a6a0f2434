"""One setting's value: what may stand in a YAML file for it, and how a wrong one is refused."""

from __future__ import annotations

import typing
from typing import Any, Literal

from rac_unet.core.errors import UserError


def coerce(value: Any, section: type, key: str, where: str) -> Any:
    """The value as the dataclass wants it: YAML writes 1e-4 as text and 1 for 1.0.

    Args:
        section: dataclass that has the field `key`.
        where: how to name the setting to the user.
    Raises: UserError naming the type or the values wanted.
    """
    kind = typing.get_type_hints(section)[key]
    if typing.get_origin(kind) is Literal:
        valid = typing.get_args(kind)
        check(value in valid, where, value, "one of " + ", ".join(str(word).lower() for word in valid))
        return value
    if typing.get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise UserError(
                f"{where}: expected names with weights, as in {{ms_ssim_l1: 1.0}}. Received: {value!r}", "bad_value"
            )
        return {str(k): finite_number(v, f"{where}.{k}") for k, v in value.items()}
    if typing.get_origin(kind) is list:
        texts = isinstance(value, list | tuple) and all(isinstance(entry, str) and entry for entry in value)
        check(texts, where, value, "a list of names, as in [runs/A, runs/B]")
        return list(value)
    if kind is float:
        return finite_number(value, where)
    allowed = typing.get_args(kind) or (kind,)
    right = isinstance(value, allowed) and not (kind is int and isinstance(value, bool))
    wanted = " or ".join("nothing" if t is type(None) else t.__name__ for t in allowed)
    check(right, where, value, f"a value of type {wanted}")
    return value


def finite_number(value: Any, where: str) -> float:
    """The value as a number; raises UserError when it is none, or not finite."""
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
    except (TypeError, ValueError):
        raise UserError(f"{where}: expected a number. Received: {value!r}", "bad_value") from None
    check(number == number and abs(number) != float("inf"), where, value, "a finite number")
    return number


def check(condition: bool, where: str, value: Any, wanted: str) -> None:
    """Raise UserError unless the condition holds, saying what was wanted and what came."""
    if not condition:
        raise UserError(f"{where}: expected {wanted}. Received: {value!r}", "bad_value")
