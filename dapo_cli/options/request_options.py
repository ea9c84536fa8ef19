"""Options that say what is compared, and how: the parts of a comparison's request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dapo_cli.errors import BadInput, did_you_mean, naming
from dapo_cli.options.run_options import AnyRuns
from dapo_cli.options.shared import keys

if TYPE_CHECKING:
    from dapo_cli.analysis.comparison.request import Margin, Request
    from dapo_cli.analysis.selection.measures import Measure as ParsedMeasure

Measure = Annotated[
    str,
    typer.Option(
        metavar="MEASURE",
        help="A run's score: final, final-sampled, final-train, best, auc, speed, steps-to:R or last:NAME.",
    ),
]
References = Annotated[
    str | None, typer.Option(metavar="FILE.toml", help="Returns of random policies and of references.")
]
PoolOver = Annotated[
    str | None,
    typer.Option(
        "--pool-over",
        metavar="KEYS",
        help="Pool configurations that differ in these settings; else each has a row of its own.",
    ),
]
Allow = Annotated[
    str,
    typer.Option(metavar="NAMES", help="Compare runs although they differ in steps, version, physics or evaluation."),
]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """How a run is scored, and what stands for several."""

    measure: Measure = "final"
    statistic: Annotated[
        str, typer.Option("--stat", metavar="STAT", help="Of the runs' scores: mean, median, iqm or gap.")
    ] = "mean"
    normalise: Annotated[
        str | None,
        typer.Option(
            metavar="ALGO|file",
            help="Scale returns: 0 is a random policy, 1 this algorithm's mean or the file's reference.",
        ),
    ] = None
    references: References = None


@dataclass(frozen=True, kw_only=True)
class Differences:
    """What the rows are held against, and which configurations are one row."""

    base: Annotated[
        str | None,
        typer.Option(metavar="FILTER", help="Show differences from these runs, such as \"algo = 'sac'\"."),
    ] = None
    vary: Annotated[
        str,
        typer.Option(
            metavar="KEYS", help="An ablation: what differs from --base in these settings and in nothing else."
        ),
    ] = ""
    pool_over: PoolOver = None
    equivalent: Annotated[
        str | None,
        typer.Option(
            metavar="MARGIN", help="Claim equivalence to --base within 20% of its return, or within a number."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Rigour:
    """Which runs may stand side by side, and how intervals are resampled."""

    allow: Allow = ""
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what would otherwise be a footnote.")] = False
    resamples: Annotated[int, typer.Option(metavar="N", min=100, max=1_000_000, help="Bootstrap resamples.")] = 10_000
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of the resampling.")] = 0


def request(runs: AnyRuns, *groups: object, **parts: Any) -> Request:
    """The request that options make: those of `groups`, and `parts` by their names in it. Raises BadInput."""
    from dapo_cli.analysis.comparison.request import Request

    values = {name: value for group in groups for name, value in vars(group).items()} | parts
    for name, parse in _PARSERS.items():
        if name in values:
            values[name] = parse(values[name])
    return Request(choice=runs.choice(), **values)


def rows(by: str, otherwise: Iterable[str] = ()) -> tuple[str, ...]:
    """The keys of the rows: the algorithm, and those of `--by`, or else these."""
    return ("algo", *(key for key in keys("--by", by) or otherwise if key not in ("algo", "env")))


def measure(text: str) -> ParsedMeasure:
    """What `--measure` names; raises BadInput."""
    from dapo_cli.analysis.selection import measures

    with naming("--measure"):
        return measures.parse(text)


def margin(option: str, text: str | None) -> Margin | None:
    """The size of a difference that an option gives, None without one; raises BadInput."""
    from dapo_cli.analysis.comparison.request import Margin

    with naming(option):
        return None if text is None else Margin.parse(text)


def _statistic(text: str) -> str:
    from dapo_cli.statistics.estimates import STATISTICS

    if text not in STATISTICS:
        raise BadInput(f"--stat: no statistic '{text}': {did_you_mean(text, STATISTICS)}")
    return text


def _pool_over(text: str | None) -> tuple[str, ...]:
    if text is not None and not text.strip():
        raise BadInput("--pool-over: it names no setting: write one such as beta, or leave it out")
    return keys("--pool-over", text or "")


def _allow(text: str) -> tuple[str, ...]:
    from dapo_cli.analysis.selection.comparability import REFUSED

    names = keys("--allow", text)
    for name in names:
        if name not in REFUSED:
            raise BadInput(f"--allow: nothing is called '{name}': {did_you_mean(name, REFUSED)}")
    return names


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "measure": measure,
    "statistic": _statistic,
    "vary": partial(keys, "--vary"),
    "pool_over": _pool_over,
    "equivalent": partial(margin, "--equivalent"),
    "allow": _allow,
}
"""What becomes of the text of an option, by its name in a request."""
