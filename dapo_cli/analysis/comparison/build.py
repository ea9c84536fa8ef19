"""A comparison: runs scored, grouped into cells, each with its statistic, its interval and what must be said of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from dapo_cli.analysis.comparison import references, scoring
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.comparison.testing import claimed, without_scale
from dapo_cli.analysis.selection import comparability, grouping, labels
from dapo_cli.analysis.selection.labels import Label
from dapo_cli.analysis.selection.selected import Record, Selection, count_text, select
from dapo_cli.errors import BadInput
from dapo_cli.statistics.estimates import Estimate, estimate

if TYPE_CHECKING:
    from dapo_cli.statistics.differences import Difference
    from store.session import Database


@dataclass(frozen=True)
class Cell:
    """The runs of one row and column. `strata`: environment -> the scores of its runs, in the order of `runs`.

    `difference` is from the base's cell in the same column, `p` is adjusted by Holm over the column, of the test
    against the base, or, without one, against the best; NaN where nothing was tested. `best`: not distinguishable from
    the best of its rivals, the cells of the column on the same environments. `marks`: the numbers of the table's
    footnotes, from 0.
    """

    estimate: Estimate
    strata: Mapping[str, tuple[float, ...]]
    runs: tuple[Record, ...]
    left_out: tuple[Record, ...] = ()
    marks: tuple[int, ...] = ()
    difference: Difference | None = None
    p: float = math.nan
    best: bool = False
    verdict: str = ""

    @property
    def least(self) -> int:
        """The number of runs on the environment that has fewest."""
        return min(map(len, self.strata.values()), default=0)


@dataclass(frozen=True)
class Table:
    """`cells[row label, column label]`; the labels are in the order in which they are shown."""

    request: Request
    rows: tuple[str, ...]  # the keys of the row labels, those of `split` among them; for an ablation "configuration"
    cols: tuple[str, ...]
    split: tuple[str, ...]  # the keys that were not asked for, and without which cells would pool configurations
    row_labels: list[Label]
    col_labels: list[Label]
    cells: Mapping[tuple[Label, Label], Cell]
    footnotes: tuple[str, ...]  # to which the cells' marks refer
    notes: tuple[str, ...]  # what holds for all cells
    symbols: Mapping[str, str]  # of hyperparameters: name -> as in the papers
    random: Mapping[str, float]  # environment -> a random policy's return
    base: Label | None = None  # the row against which differences are
    base_text: str = ""  # the configuration of the base of an ablation
    facts: Mapping[str, Any] = field(default_factory=dict)  # for the caption: steps, episodes

    def at(self, row: Label, col: Label) -> Cell | None:
        """The cell, None where no run has these labels."""
        return self.cells.get((row, col))

    @property
    def counts(self) -> set[int]:
        """The numbers of runs of the cells."""
        return {cell.estimate.n for cell in self.cells.values() if cell.runs}

    def records(self) -> list[dict[str, Any]]:
        """One object a cell, in the order of rows and columns: its keys and its numbers."""
        return [
            {**dict(zip(self.rows + self.cols, row + col, strict=True)), **self._numbers(self.cells[row, col])}
            for row, col in product(self.row_labels, self.col_labels)
            if (row, col) in self.cells
        ]

    def _numbers(self, cell: Cell) -> dict[str, Any]:
        numbers = {
            **cell.estimate._asdict(),
            "left_out": len(cell.left_out),
            "best": cell.best,
            "notes": [self.footnotes[mark] for mark in cell.marks],
        }
        if self.request.base is not None:
            names = ("difference", "difference_low", "difference_high")
            values = cell.difference[:3] if cell.difference else (math.nan,) * 3
            numbers |= dict(zip(names, values, strict=True)) | {"p": cell.p}
        return numbers | ({"verdict": cell.verdict} if self.request.equivalent else {})


def build(database: Database, request: Request) -> Table:
    """Select, score, group and compare the runs; raises BadInput for what cannot be, and StoreError."""
    chosen = grouping.unique(database, select(database, request.choice))
    chosen.check_keys((*request.rows, *request.cols, *request.pool_over))
    scored = scoring.score(database, chosen, request.measure, references.read(request.references), request.normalise)
    chosen = scored.selection
    arranged = None
    if request.vary:
        arranged = scoring.arrange(database, chosen, request)
        chosen = chosen.without(arranged.left_out)
    remarks = comparability.check(
        chosen.runs, request.measure, request.keys, allow=request.allow, strict=request.strict
    )
    runs, left_out = chosen.runs, chosen.left_out
    rows, cols = request.rows, request.cols
    if arranged:
        rows = ("configuration",)
        runs = [{**run, "configuration": arranged.names[run["id"]]} for run in runs]
        left_out = []
    if not any(run["kind"] == "theory" for run in runs):  # an empty row for each theorem would say nothing
        left_out = [run for run in left_out if run["kind"] != "theory"]
    split = grouping.split(runs, (*rows, *cols), request.pool_over)
    if "algo" in cols:
        cols += split.names
    else:
        rows += split.names
    keys = (*rows, *cols)
    groups = split.group(runs, keys)
    missing = _without_rows_of_tuning(split, groups, split.group(left_out, keys))
    _refuse_pooled_environments(groups.values(), request)
    tuned = grouping.tuned_remarks(database, groups, keys)
    footnotes: dict[str, int] = {}
    cells: dict[tuple[Label, Label], Cell] = {}
    envs = {run["env"] for run in runs}
    for label in {**groups, **missing}:
        cell = _cell(groups.get(label, []), missing.get(label, []), scored, request)
        texts = [*scored.remarks(cell), *_remarks_of(cell, remarks.of_runs, chosen)]
        texts += [tuned[label]] if label in tuned else []
        if cell.runs and "env" not in keys and len(cell.strata) < len(envs):
            texts.append(f"runs on {len(cell.strata)} of the {len(envs)} environments")
        marks = tuple(dict.fromkeys(footnotes.setdefault(text, len(footnotes)) for text in texts))
        cells[label[: len(rows)], label[len(rows) :]] = replace(cell, marks=marks)
    row_labels = sorted({row for row, _ in cells}, key=labels.label_order)
    if arranged:
        row_labels.sort(key=lambda row: arranged.order.index(str(row[0])))
    if request.strict and footnotes:
        raise BadInput(f"--strict: {'; '.join(footnotes)}: choose runs of which nothing must be said, or leave it out")
    base = row_labels[0] if arranged else scoring.base_row(database, request, cells)
    return Table(
        request=request,
        rows=rows,
        cols=cols,
        split=split.names,
        row_labels=row_labels,
        col_labels=sorted({col for _, col in cells}, key=labels.label_order),
        cells=claimed(cells, replace(request, rows=rows, cols=cols), base, scored.references.random),
        footnotes=tuple(footnotes),
        notes=(
            *grouping.narrowing_note(split, row_labels, rows),
            *remarks.general,
            *scored.notes,
            *without_scale(cells, request, base, scored.references.random, request.equivalent),
            *chosen.notes(),
        ),
        symbols=scored.symbols,
        random=scored.references.random,
        base=base,
        base_text=arranged.base if arranged else "",
        facts=_facts(runs, grouping.pooled_text(groups.values(), request.pool_over)),
    )


def statistic_of(strata: Mapping[str, Sequence[float]], request: Request) -> Estimate:
    """The statistic of the scores of one cell: over one environment, or over several of equal weight."""
    if len(strata) <= 1:
        return estimate(next(iter(strata.values()), ()), request.statistic)
    from dapo_cli.statistics.bootstrap import aggregate

    return aggregate(list(strata.values()), request.statistic, resamples=request.resamples, seed=request.seed)


def stratified(runs: Iterable[Record], scores: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
    """The scores of runs by environment, environments by name."""
    strata: dict[str, list[float]] = {}
    for run in runs:
        strata.setdefault(run["env"], []).append(scores[run["id"]])
    return {env: tuple(strata[env]) for env in sorted(strata)}


def _cell(runs: Sequence[Record], left_out: Sequence[Record], scored: scoring.Scored, request: Request) -> Cell:
    strata = stratified(runs, scored.scores)
    if not runs:
        nothing = Estimate(0, math.nan, math.nan, math.nan, math.nan, request.statistic, "")
        return Cell(nothing, strata, (), tuple(left_out))
    return Cell(statistic_of(strata, request), strata, tuple(runs), tuple(left_out))


def _remarks_of(cell: Cell, of_runs: Mapping[str, list[str]], chosen: Selection) -> Iterable[str]:
    """What the footnotes of this cell say of its runs."""
    counts = Counter(remark for run in cell.runs for remark in of_runs.get(run["id"], ()))
    total = len(cell.runs)
    yield from grouping.execution_remarks(cell.runs)
    yield from (f"{'all' if count == total else count} {remark}" for remark, count in sorted(counts.items()))
    if cell.left_out:
        yield f"{count_text(Counter(chosen.reasons[run['id']] for run in cell.left_out))} not counted"


def _refuse_pooled_environments(groups: Iterable[Sequence[Record]], request: Request) -> None:
    if request.normalise is None and any(len({run["env"] for run in runs}) > 1 for runs in groups):
        raise BadInput(
            "scores on different environments have no common mean: add env to the keys, "
            "choose one with --where, or normalise returns, such as by --normalise sac"
        )


def _without_rows_of_tuning(
    split: grouping.Split, counted: Mapping[Label, object], left_out: Mapping[Label, list[Record]]
) -> dict[Label, list[Record]]:
    """The runs left out by label; configurations that were only tried while tuning get no row of their own."""
    return {
        label: runs
        for label, runs in left_out.items()
        if label in counted or not split.names or any(run["kind"] != "tuning" for run in runs)
    }


def _facts(runs: Sequence[Record], pooled: str) -> dict[str, Any]:
    """What the caption says of all runs: budgets, episodes of an evaluation, values that are pooled."""
    return {
        "pooled": pooled,
        "steps": sorted({run["steps"] for run in runs}),
        "episodes": sorted({run["eval_episodes"] for run in runs if run.get("eval_episodes") is not None}),
    }
