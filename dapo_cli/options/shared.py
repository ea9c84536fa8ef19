"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from dapo_cli.errors import BadInput
from dapo_cli.options import completion

Db = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="PATH|URL",
        help="Results database; else DAPO_DB, else db in dapo.toml, else runs.db.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Where = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="FILTER",
        help='Only matching runs, such as "env ~ Cheetah and beta < 0.5" (see dapo runs --help).',
        show_default=False,
    ),
]
Anonymous = Annotated[
    bool,
    typer.Option(
        "--anonymous", help="Leave out hosts, users, e-mail addresses, git remotes and author names, and say so."
    ),
]
Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run: its id or any unique prefix.", autocompletion=completion.runs),
]
Runs = Annotated[
    list[str],
    typer.Argument(metavar="RUN...", help="Runs: ids or unique prefixes.", autocompletion=completion.runs),
]
Modules = Annotated[
    list[str] | None,
    typer.Option("--import", metavar="MODULE", help="Allow this module of the run's environment. Repeatable."),
]


def keys(option: str, text: str) -> tuple[str, ...]:
    """The keys of `algo,beta`; raises BadInput for an empty or repeated one."""
    names = tuple(name.strip() for name in text.split(",")) if text.strip() else ()
    if "" in names or len(set(names)) < len(names):
        raise BadInput(f"{option}: '{text}' has an empty or a repeated key: write it like algo,beta")
    return names


def refuse_both(run_ids: list[str] | None, where: str | None) -> None:
    """Raise BadInput where runs are named and a filter is given: whether both or either is meant, nobody knows."""
    if run_ids and where:
        raise BadInput("name runs or a filter with --where, not both")


def _whole_number(advice: str) -> Callable[[str], int]:
    """A parser of `20000`, `1e6` or `1_000_000` as an integer, whose refusal ends with this advice."""

    def parse(text: str) -> int:
        try:
            number = float(text)
            if number != int(number):
                raise ValueError
        except (ValueError, OverflowError) as error:
            raise typer.BadParameter(f"'{text}' is not a whole number; {advice}") from error
        return int(text) if text.lstrip("+-").isdigit() else int(number)

    return parse


whole_number = _whole_number("write it as 20000 or 2e4")
seed_number = _whole_number("write one such as 0")
count_number = _whole_number("write one such as 4")
