"""What the shell offers after a TAB: never loads torch, never changes a file, silent when something is wrong.

Shells evaluate what they are offered (Typer's script for zsh by `eval`), and a database may come from anywhere: no word
with a character that means something to a shell is offered, nor such a character in the words beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from store.session import Database

MUJOCO = (
    "HalfCheetah",
    "Hopper",
    "Walker2d",
    "Ant",
    "Humanoid",
    "HumanoidStandup",
    "InvertedPendulum",
    "InvertedDoublePendulum",
    "Pusher",
    "Reacher",
    "Swimmer",
)


_PLAIN = re.compile(r"(?!-)[\w.:/+-]+")
_ACTIVE = re.compile(r"[^\w.:/+-]+")


def algorithms(incomplete: str) -> list[str]:
    """Names of algorithms."""
    from algorithms import names

    return _plain(name for name in names() if name.startswith(incomplete))


def environments(incomplete: str) -> list[str]:
    """Ids of environments, MuJoCo's first."""
    known = [f"{name}-{version}" for name in MUJOCO for version in ("v4", "v5")]
    matching = [name for name in known if name.startswith(incomplete)]
    if matching:
        return matching
    from gymnasium import registry

    return _plain(sorted(name for name in registry if name.startswith(incomplete)))


def presets(incomplete: str) -> list[str]:
    """Names of presets."""
    folder = Path(__file__).parents[1] / "presets"
    return _plain(sorted(file.stem for file in folder.glob("*.toml") if file.stem.startswith(incomplete)))


def runs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids of the newest runs, with what they are."""
    from dapo_cli.analysis.selection.listing import starting_with

    rows = _read(ctx, lambda database: starting_with(database, incomplete))
    told = {row["id"]: f"{row['algo']} {row['env']} seed {row['seed']} {row['status']}" for row in rows}
    return [(run_id, _ACTIVE.sub(" ", told[run_id]).strip()) for run_id in _plain(told)]


def tags(ctx: typer.Context, incomplete: str) -> list[str]:
    """Tags that some run carries."""
    from dapo_cli.analysis.selection.listing import all_tags

    return [tag for tag in _plain(_read(ctx, all_tags)) if tag.startswith(incomplete)]


def _plain(words: Iterable[Any]) -> list[str]:
    """Those that mean nothing but themselves, to a shell and to dapo."""
    return [word for word in words if isinstance(word, str) and _PLAIN.fullmatch(word)]


def _read(ctx: typer.Context, query: Callable[[Database], list[Any]]) -> list[Any]:
    from dapo_cli.configuration.project_file import database_location
    from store.session import Database

    try:
        with Database.read(database_location(ctx.params.get("db"))) as database:
            return query(database)
    except Exception:  # whatever it is, the command itself will say
        return []
