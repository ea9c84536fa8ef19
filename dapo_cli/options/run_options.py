"""Options that say which runs a command is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.errors import BadInput
from dapo_cli.options import completion
from dapo_cli.options.shared import Where

if TYPE_CHECKING:
    from dapo_cli.analysis.selection.selected import Choice


@dataclass(frozen=True, kw_only=True)
class AnyRuns:
    """Runs of every kind and state."""

    where: Where = None
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="TAG", help="Only runs with this tag. Repeatable.", autocompletion=completion.tags
        ),
    ] = None
    sweep: Annotated[str | None, typer.Option("--sweep", metavar="NAME", help="Only runs of this sweep.")] = None
    frozen: Annotated[
        str | None, typer.Option("--selection", metavar="NAME", help="Only the runs that dapo freeze NAME pinned.")
    ] = None

    def choice(self) -> Choice:
        """The choice of runs that they say; raises BadInput."""
        from dapo_cli.analysis.selection.selected import Choice

        if any(not tag.strip() for tag in self.tags or ()):
            raise BadInput("--tag: a tag is a word, such as --tag paper: leave the option out for runs with any")
        return Choice(**(vars(self) | {"tags": tuple(dict.fromkeys(self.tags or ()))}))


@dataclass(frozen=True, kw_only=True)
class FinishedRuns(AnyRuns):
    """Those for reporting, or for tuning, that are complete or diverged."""

    tuning: Annotated[
        bool, typer.Option("--tuning", help="The runs marked as tuning, in place of those for reporting.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class ChosenRuns(FinishedRuns):
    """The same, and on request those that are not complete."""

    unfinished: Annotated[
        bool,
        typer.Option("--unfinished", help="Also runs that failed, were interrupted or still run, as far as they are."),
    ] = False
