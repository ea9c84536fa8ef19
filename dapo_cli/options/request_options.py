"""Options that say what is compared, and how: the parts of a comparison's request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from dapo_cli.errors import BadInput, did_you_mean, naming
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


class Group(Protocol):
    """Options that give some parts of a request."""

    def parts(self) -> dict[str, Any]:
        """Values of the request's fields by name; raises BadInput."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """How a run is scored, and what stands for several."""

    measure: Measure = "final"
    stat: Annotated[str, typer.Option(metavar="STAT", help="Of the runs' scores: mean, median, iqm or gap.")] = "mean"
    normalise: Annotated[
        str | None,
        typer.Option(
            metavar="ALGO|file",
            help="Scale returns: 0 is a random policy, 1 this algorithm's mean or the file's reference.",
        ),
    ] = None
    references: References = None

    def parts(self) -> dict[str, Any]:
        """Values of the request's fields by name; raises BadInput."""
        from dapo_cli.statistics.estimates import STATISTICS

        if self.stat not in STATISTICS:
            raise BadInput(f"--stat: no statistic '{self.stat}': {did_you_mean(self.stat, STATISTICS)}")
        return {
            "measure": measure(self.measure),
            "statistic": self.stat,
            "normalise": self.normalise,
            "references": self.references,
        }


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

    def parts(self) -> dict[str, Any]:
        """Values of the request's fields by name; raises BadInput."""
        return {
            "base": self.base,
            "vary": tuple(keys("--vary", self.vary)),
            "pool_over": pooled(self.pool_over),
            "equivalent": margin("--equivalent", self.equivalent),
        }


@dataclass(frozen=True, kw_only=True)
class Rigour:
    """Which runs may stand side by side, and how intervals are resampled."""

    allow: Allow = ""
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what would otherwise be a footnote.")] = False
    resamples: Annotated[int, typer.Option(metavar="N", min=100, max=1_000_000, help="Bootstrap resamples.")] = 10_000
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of the resampling.")] = 0

    def parts(self) -> dict[str, Any]:
        """Values of the request's fields by name; raises BadInput."""
        return {
            "allow": allowed(self.allow),
            "strict": self.strict,
            "resamples": self.resamples,
            "seed": self.seed,
        }


def request(*groups: Group, **parts: Any) -> Request:
    """The request of these groups of options; `parts` are fields of it that no group gives. Raises BadInput."""
    from dapo_cli.analysis.comparison.request import Request

    return Request(**{name: value for group in groups for name, value in group.parts().items()}, **parts)


def rows(by: str, otherwise: Iterable[str] = ()) -> tuple[str, ...]:
    """The keys of the rows: the algorithm, and those of `--by`, or else these."""
    return ("algo", *(key for key in keys("--by", by) or otherwise if key not in ("algo", "env")))


def measure(text: str) -> ParsedMeasure:
    """What `--measure` names; raises BadInput."""
    from dapo_cli.analysis.selection import measures

    with naming("--measure"):
        return measures.parse(text)


def pooled(text: str | None) -> tuple[str, ...]:
    """The settings that `--pool-over` names; raises BadInput for none."""
    if text is not None and not text.strip():
        raise BadInput("--pool-over: it names no setting: write one such as beta, or leave it out")
    return tuple(keys("--pool-over", text or ""))


def allowed(text: str) -> tuple[str, ...]:
    """The differences that `--allow` names; raises BadInput."""
    from dapo_cli.analysis.selection.comparability import REFUSED

    names = keys("--allow", text)
    for name in names:
        if name not in REFUSED:
            raise BadInput(f"--allow: nothing is called '{name}': {did_you_mean(name, REFUSED)}")
    return tuple(names)


def margin(option: str, text: str | None) -> Margin | None:
    """The size of a difference that an option gives, None without one; raises BadInput."""
    from dapo_cli.analysis.comparison.request import Margin

    with naming(option):
        return None if text is None else Margin.parse(text)
