"""`dapo.toml`, the project's own settings, and where the results database is."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from dapo_cli.errors import BadInput

PROJECT_FILE = "dapo.toml"
DEFAULT_DATABASE = "runs.db"


def find_project_file(start: Path) -> Path | None:
    """The nearest `dapo.toml` in `start` or a folder above it."""
    start = start.absolute()
    return next((file for folder in (start, *start.parents) if (file := folder / PROJECT_FILE).is_file()), None)


def read_toml(path: Path) -> dict[str, Any]:
    """The contents of a TOML file; raises BadInput, with the line and column of a syntax error."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors on Windows write a byte-order mark
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not valid TOML: it must be UTF-8 text: save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: more digits or brackets than can be read: shorten it") from error
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def database_location(option: str | None) -> str:
    """Where the results are: `--db`, else DAPO_DB, else `db` of dapo.toml (relative to that file), else runs.db."""
    if location := option or os.environ.get("DAPO_DB"):
        return location if "://" in location else str(_expanded(location))
    if project_file := find_project_file(Path.cwd()):
        location = read_toml(project_file).get("db")
        if location is not None:
            if not isinstance(location, str) or not location:
                raise BadInput(f'{project_file}: db must be a path or a URL in quotes, such as db = "runs.db"')
            return location if "://" in location else str(project_file.parent / _expanded(location))
    return DEFAULT_DATABASE


def _expanded(location: str) -> Path:
    try:
        return Path(location).expanduser()
    except RuntimeError as error:  # nobody of that name
        raise BadInput(f"{location}: there is no such home folder: write the path in full") from error
