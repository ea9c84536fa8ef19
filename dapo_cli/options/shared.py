"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.errors import BadInput, did_you_mean
from dapo_cli.options import completion

if TYPE_CHECKING:
    from dapo_cli.analysis.selection.selected import Choice

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
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="Only runs with this tag. Repeatable.", autocompletion=completion.tags),
]
Sweep = Annotated[str | None, typer.Option("--sweep", metavar="NAME", help="Only runs of this sweep.")]
Frozen = Annotated[
    str | None, typer.Option("--selection", metavar="NAME", help="Only the runs that dapo freeze NAME pinned.")
]
Tuning = Annotated[bool, typer.Option("--tuning", help="The runs marked as tuning, in place of those for reporting.")]
Unfinished = Annotated[
    bool, typer.Option("--unfinished", help="Also runs that failed, were interrupted or still run, as far as they are.")
]
Anonymous = Annotated[
    bool,
    typer.Option(
        "--anonymous", help="Leave out hosts, users, e-mail addresses, git remotes and author names, and say so."
    ),
]
Measure = Annotated[
    str,
    typer.Option(
        metavar="MEASURE",
        help="A run's score: final, final-sampled, final-train, best, auc, speed, steps-to:R or last:NAME.",
    ),
]
Stat = Annotated[str, typer.Option(metavar="STAT", help="Of the runs' scores: mean, median, iqm or gap.")]
Normalise = Annotated[
    str | None,
    typer.Option(
        metavar="ALGO|file",
        help="Scale returns: 0 is a random policy, 1 this algorithm's mean or the file's reference.",
    ),
]
References = Annotated[
    str | None, typer.Option(metavar="FILE.toml", help="Returns of random policies and of references.")
]
Base = Annotated[
    str | None,
    typer.Option(metavar="FILTER", help="Show differences from these runs, such as \"algo = 'sac'\"."),
]
Vary = Annotated[
    str,
    typer.Option(metavar="KEYS", help="An ablation: what differs from --base in these settings and in nothing else."),
]
PoolOver = Annotated[
    str | None,
    typer.Option(
        "--pool-over",
        metavar="KEYS",
        help="Pool configurations that differ in these settings; else each has a row of its own.",
    ),
]
Equivalent = Annotated[
    str | None,
    typer.Option(metavar="MARGIN", help="Claim equivalence to --base within 20% of its return, or within a number."),
]
Allow = Annotated[
    str,
    typer.Option(metavar="NAMES", help="Compare runs although they differ in steps, version, physics or evaluation."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse what would otherwise be a footnote.")]
Resamples = Annotated[int, typer.Option(metavar="N", min=100, max=1_000_000, help="Bootstrap resamples.")]
ResamplingSeed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of the resampling.")]
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


def keys(option: str, text: str) -> list[str]:
    """The keys of `algo,beta`; raises BadInput for an empty or repeated one."""
    names = [name.strip() for name in text.split(",")] if text.strip() else []
    if "" in names or len(set(names)) < len(names):
        raise BadInput(f"{option}: '{text}' has an empty or a repeated key: write it like algo,beta")
    return names


def pooled(text: str | None) -> tuple[str, ...]:
    """The settings that `--pool-over` names; raises BadInput for none."""
    if text is not None and not text.strip():
        raise BadInput("--pool-over: it names no setting: write one such as beta, or leave it out")
    return tuple(keys("--pool-over", text or ""))


def refuse_both(run_ids: list[str] | None, where: str | None) -> None:
    """Raise BadInput where runs are named and a filter is given: whether both or either is meant, nobody knows."""
    if run_ids and where:
        raise BadInput("name runs or a filter with --where, not both")


def choice(
    where: str | None, tags: list[str] | None, sweep: str | None, frozen: str | None, tuning: bool, unfinished: bool
) -> Choice:
    """The choice of runs that these options say."""
    from dapo_cli.analysis.selection.selected import Choice

    if any(not tag.strip() for tag in tags or ()):
        raise BadInput("--tag: a tag is a word, such as --tag paper: leave the option out for runs with any")
    return Choice(where, tuple(dict.fromkeys(tags or ())), sweep, frozen, tuning, unfinished)


def statistic(text: str) -> str:
    """The statistic that `--stat` names; raises BadInput for an unknown one."""
    from dapo_cli.statistics.estimates import STATISTICS

    if text not in STATISTICS:
        raise BadInput(f"--stat: no statistic '{text}': {did_you_mean(text, STATISTICS)}")
    return text


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
