"""The score of every run, with what stands in for the score of a run that diverged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dapo_cli.analysis.comparison import ablation
from dapo_cli.analysis.comparison.references import References
from dapo_cli.analysis.selection import measures
from dapo_cli.analysis.selection.measures import Measure
from dapo_cli.analysis.selection.selected import Record, Selection
from dapo_cli.errors import BadInput, did_you_mean, naming
from dapo_cli.filters.sql import condition
from dapo_cli.terminal.formatting import number_text
from store.records import runs, settings

if TYPE_CHECKING:
    from dapo_cli.analysis.comparison.request import Request
    from dapo_cli.analysis.comparison.table import Cell
    from dapo_cli.analysis.selection.labels import Label
    from store.session import Database


@dataclass(frozen=True)
class Scored:
    """`scores`: run id -> the score that counts; `own`: of a diverged run what it reached before, where it did."""

    selection: Selection
    measure: Measure
    scores: Mapping[str, float]
    own: Mapping[str, float]
    references: References
    notes: tuple[str, ...]
    symbols: Mapping[str, str]

    def remarks(self, cell: Cell) -> Iterable[str]:
        """What the footnotes of a cell say of its scores."""
        diverged = [run for run in cell.runs if run["status"] == "diverged"]
        if diverged:
            yield self._divergence(cell, diverged)
        values = [self.scores[run["id"]] for run in cell.runs]
        if broken := sum(map(math.isnan, values)):
            yield f"{broken} of {len(values)} scores {'is' if broken == 1 else 'are'} not a number"
        if self.measure.lower_is_better and (never := sum(map(math.isinf, values))):
            yield f"{never} of {len(values)} runs never reached a return of {self.measure.threshold:g}"
        if cell.estimate.statistic == "mean" != cell.estimate.statistic:
            yield "mean: fewer than 4 runs"

    def _divergence(self, cell: Cell, diverged: list[Record]) -> str:
        from dapo_cli.statistics.estimates import estimate

        many = f"{len(diverged)} of {len(cell.runs)} runs diverged and {'counts' if len(diverged) == 1 else 'count'}"
        if not self.measure.is_return:
            return f"{many} by what {'it' if len(diverged) == 1 else 'they'} recorded"
        text = f"{many} as a random policy"
        if self.own and len(cell.strata) == 1:
            scores = [self.own.get(run["id"], self.scores[run["id"]]) for run in cell.runs]
            text += f"; by completed episodes the value would be {number_text(estimate(scores).value)}"
        return text


def score(
    database: Database, chosen: Selection, measure: Measure, references: References, normalise: str | None
) -> Scored:
    """Score the runs of a selection; a completed run without a score is left out. Raises BadInput.

    A diverged run's score is the random policy's return, NaN where nobody told it; for `steps-to` it is infinite, for
    `speed` its own. With `normalise`, an algorithm's name or "file", a random policy's return is 0 and that algorithm's
    mean, or the file's reference, is 1.
    """
    found = measures.scores(database, chosen.runs, measure)
    scores: dict[str, float] = {}
    own: dict[str, float] = {}
    reasons: dict[str, str] = {}
    unknown: set[str] = set()
    for run in chosen.runs:
        id_ = run["id"]
        if run["status"] == "diverged" and measure.has_best:
            scores[id_] = math.inf if measure.lower_is_better else references.random.get(run["env"], math.nan)
            unknown |= {run["env"]} if math.isnan(scores[id_]) else set()
            if id_ in found and measure.is_return:
                own[id_] = found[id_]
        elif id_ in found:
            scores[id_] = found[id_]
        else:
            reasons[id_] = f"{run['status']} without {_WITHOUT.get(measure.name, 'an evaluation')}"
    chosen = chosen.without(reasons)
    if normalise is not None:
        references = _with_reference(chosen, scores, references, normalise)
        env_of = {run["id"]: run["env"] for run in chosen.runs}
        scores, own = (
            {id_: references.normalised(x, env_of[id_]) for id_, x in part.items()} for part in (scores, own)
        )
    notes = [
        f"nobody told the return of a random policy on {env}, as which a diverged run counts: "
        f"name it in a file, --references FILE.toml"
        for env in sorted(unknown)
    ]
    names = {name for run in chosen.runs for name in run["settings"]}
    return Scored(chosen, measure, scores, own, references, tuple(notes), settings.symbols(database, names))


def arrange(database: Database, chosen: Selection, request: Request) -> ablation.Arrangement:
    """The ablation that a request with `vary` asks for."""
    chosen.check_keys(request.vary)
    base = _of_base(database, request)
    ids = [run["id"] for run in chosen.runs]
    origins = settings.origins(database, ids, request.vary)
    names = {name for run in chosen.runs for name in run["settings"]}
    return ablation.arrange(
        chosen.runs, base, request.vary, origins, settings.symbols(database, names), request.pool_over
    )


def base_row(database: Database, request: Request, cells: Mapping[tuple[Label, Label], Cell]) -> Label | None:
    """The row whose runs `--base` matches; raises BadInput where that is not one row."""
    if request.base is None:
        return None
    base = _of_base(database, request)
    inside: dict[Label, bool] = {}
    for (row, _), cell in cells.items():
        if cell.runs:
            inside[row] = inside.get(row, True) and all(run["id"] in base for run in cell.runs)
    if not inside:
        return None
    rows = [row for row, whole in inside.items() if whole]
    if len(rows) != 1:
        what = f"{len(rows)} rows" if rows else "no whole row"
        raise BadInput(
            f"--base: it matches {what} of the table: let it name exactly one, such as --base \"algo = 'sac'\", "
            f"or name with --vary what changes"
        )
    return rows[0]


def _of_base(database: Database, request: Request) -> set[str]:
    """The runs that `--base` matches."""
    with naming("--base"):
        matches = condition(database, request.base or "")
    return {run["id"] for run in runs.listing(database, where=matches)}


def _with_reference(
    chosen: Selection, scores: Mapping[str, float], references: References, normalise: str
) -> References:
    """The references, those of an algorithm filled in: its mean score in each environment."""
    envs = {run["env"] for run in chosen.runs}
    known: Mapping[str, float] = references.reference
    if normalise != "file":
        own: dict[str, list[float]] = {}
        for run in chosen.runs:
            if run["algo"] == normalise:
                own.setdefault(run["env"], []).append(scores[run["id"]])
        if not own:
            algos = {run["algo"] for run in chosen.runs}
            raise BadInput(f"--normalise: no run of '{normalise}' is selected: {did_you_mean(normalise, algos)}")
        known = {env: math.fsum(values) / len(values) for env, values in own.items()}
    for what, values in (("of a random policy", references.random), ("that stands for 1", known)):
        if missing := sorted(envs - values.keys()):
            raise BadInput(
                f"--normalise: nobody told the return {what} on {missing[0]}: name it in a file, --references FILE.toml"
            )
    for env in sorted(envs):
        if known[env] <= references.random[env]:
            raise BadInput(
                f"--normalise: on {env} what stands for 1 ({number_text(known[env])}) is not above a random policy "
                f"({number_text(references.random[env])}), so that scores have no scale: leave it out with --where, "
                f"or name another reference"
            )
    return References(references.random, known)


_WITHOUT: Mapping[str, str] = {
    "final-sampled": "an evaluation with sampled actions",
    "final-train": "an episode",
    "speed": "a time",
    measures.LAST: "that diagnostic",
}
