"""How values stand in the tables: times, numbers that may be non-finite, settings and JSON."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

_KINDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def now() -> str:
    """The time, UTC, as the tables hold it: `2026-11-20T10:44:54.123456Z`."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def seconds_since(time: str) -> float:
    """Seconds from a time of the tables until now."""
    return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()


def split_number(number: float) -> tuple[float | None, str | None]:
    """A number as (value, kind): exactly one of the two is None."""
    if math.isfinite(number):
        return number, None
    return None, "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"


def join_number(value: float | None, kind: str | None) -> float:
    """The number that `split_number` took apart."""
    if kind is not None:
        return _KINDS[kind]
    return math.nan if value is None else value


def encode_setting(value: object) -> tuple[str | None, str]:
    """A hyperparameter as (text, type); TypeError for a value that is no setting. `decode_setting` is the inverse."""
    if value is None:
        return None, "null"
    if isinstance(value, str):
        return clean(value), "str"
    if isinstance(value, (list, tuple)):
        return json.dumps(value), "list"
    if isinstance(value, (bool, int, float)):
        return json.dumps(value), type(value).__name__
    raise TypeError(f"a hyperparameter is a bool, int, float, str, list or None, not {type(value).__name__}")


def decode_setting(text: str | None, type_: str) -> Any:
    """The value of a hyperparameter; lists come back as lists, also where a tuple went in.

    A text that is no JSON, which dapo writes none of, is itself.
    """
    if text is None or type_ == "str":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def encode_json(value: dict[str, Any] | None) -> str | None:
    """A JSON object, keys sorted."""
    return None if value is None else json.dumps(value, sort_keys=True, default=str)


def decode_json(text: str | None) -> Any:
    """The object that JSON text describes; None for none, and for text that describes none."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def clean(text: str) -> str:
    """Text that every database takes: NUL and what is not Unicode (a command line's bytes) become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
