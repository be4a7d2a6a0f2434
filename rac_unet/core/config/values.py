"""One setting's value: convert it from YAML's types to the setting's, or refuse it."""

from __future__ import annotations

import typing
from typing import Any, Literal

from rac_unet.core.errors import UserError


def coerce(value: Any, section: type, key: str, where: str) -> Any:
    """Convert a value to the type of its dataclass field: YAML reads 1e-4 as text, and 1 as an int.

    Args:
        section: dataclass that has the field `key`.
        where: what to call the setting in messages.
    Raises: UserError naming the expected type or values.
    """
    kind = typing.get_type_hints(section)[key]
    if typing.get_origin(kind) is Literal:
        valid = typing.get_args(kind)
        # 1 equals True, and would be kept as 1.
        same = any(value == word and type(value) is type(word) for word in valid)
        check(same, where, value, "one of " + ", ".join(str(word).lower() for word in valid))
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
    """Return the value as a float; raises UserError when it is not a number, or not finite."""
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
    except (TypeError, ValueError):
        raise UserError(f"{where}: expected a number. Received: {value!r}", "bad_value") from None
    check(number == number and abs(number) != float("inf"), where, value, "a finite number")
    return number


def check(condition: bool, where: str, value: Any, wanted: str) -> None:
    """Raise UserError unless the condition holds, with the expected and the received value."""
    if not condition:
        raise UserError(f"{where}: expected {wanted}. Received: {value!r}", "bad_value")
