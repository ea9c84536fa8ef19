"""What `--set` takes, `KEY=VALUE`: its values read, and written so that they are read as they were."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any


def literal(text: str) -> Any:
    """The value of a TOML literal; None for any other text, which stands for itself."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # no TOML, or more digits or brackets than Python takes
        return None
    return parsed["value"] if len(parsed) == 1 else None


def assignment(name: str, value: Any) -> str:
    """`beta=0.3`: the value as a bare word where that is read as text, else as a TOML literal."""
    bare = isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.-]*", value) and literal(value) is None
    return f"{name}={value if bare else json.dumps(value, ensure_ascii=False)}"
