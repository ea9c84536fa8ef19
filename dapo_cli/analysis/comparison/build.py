"""A comparison: runs selected, scored, grouped into cells and tested."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dapo_cli.analysis.comparison import references, scoring
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.comparison.table import Cell, Table
from dapo_cli.analysis.comparison.testing import claimed, without_scale
from dapo_cli.analysis.selection import comparability, grouping, labels
from dapo_cli.analysis.selection.labels import Label
from dapo_cli.analysis.selection.selected import Record, Selection, count_text, select
from dapo_cli.errors import BadInput
from dapo_cli.statistics.estimates import Estimate, estimate

if TYPE_CHECKING:
    from store.session import Database


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
