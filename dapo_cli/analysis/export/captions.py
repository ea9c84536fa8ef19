"""Captions that write themselves: what a table's numbers are, in the words that a paper needs."""

from __future__ import annotations

import math

from dapo_cli.analysis.comparison import cell_text
from dapo_cli.analysis.comparison.table import Table
from dapo_cli.analysis.selection.labels import Label
from dapo_cli.statistics.estimates import CONFIDENCE
from dapo_cli.terminal.formatting import steps_text

STATISTIC_NAMES = {"mean": "mean", "median": "median", "iqm": "interquartile mean", "gap": "optimality gap"}
INTERVAL_NAMES = {
    "t": "Student t",
    "order statistics": "order-statistic",
    "bootstrap": "stratified bootstrap",
    "exact bound": "exact",
}
TEST_NAMES = {"mean": "Welch's t test", "iqm": "Yuen's t test", "median": "a permutation test", "gap": "Welch's t test"}


def caption(table: Table, *, spread: str = "both", best: str = "Bold") -> str:
    """Everything that a reader must know of the table, in one paragraph; `spread`: what stands beside a value.

    "std" is the standard deviation of the runs after ±, "interval" the interval in brackets, "both" and "none" those;
    `best` is how the best cells are shown.
    """
    sentences = [_what(table, spread)]
    sentences += pooling(table)
    sentences += scale(table)
    sentences += _comparison(table, best)
    if table.request.choice.frozen:
        sentences.append(f"Runs: the selection '{table.request.choice.frozen}'.")
    return " ".join(sentences)


def _what(table: Table, spread: str) -> str:
    request, counts = table.request, table.counts
    text = f"{request.measure.title}: "
    if counts == {1}:
        text += "one run per cell"
    else:
        text += STATISTIC_NAMES[request.statistic]
        shown = any(cell.estimate.std == cell.estimate.std for cell in table.cells.values())
        if spread in ("std", "both") and request.statistic == "mean" and shown:
            text += " ± standard deviation"
        text += f" over n = {next(iter(counts))} runs" if len(counts) == 1 else " over n runs"
        if request.statistic == "iqm" and any(c.estimate.statistic == "mean" for c in table.cells.values() if c.runs):
            text += " (fewer than 4: mean)"
    text += f"; a run's score is {request.measure.meaning}{protocol(table)}"
    methods = sorted({cell.estimate.method for cell in table.cells.values() if cell.estimate.method})
    if methods and spread in ("interval", "both"):
        names = " or ".join(INTERVAL_NAMES[method] for method in methods)
        text += f". Brackets: {CONFIDENCE:.0%} {names} interval".replace("%", " %")
        if "bootstrap" in methods:
            text += f" ({request.resamples} resamples, seed {request.seed})"
    return text + "."


def protocol(table: Table) -> str:
    """` (10 episodes; after 30k steps)`."""
    steps, episodes = table.facts.get("steps", []), table.facts.get("episodes", [])
    parts = (
        [f"{_listed(map(str, episodes))} {'episode' if episodes == [1] else 'episodes'}"]
        if episodes and table.request.measure.evaluates
        else []
    )
    parts += (
        [f"budget {_listed(map(steps_text, steps))} steps"] if steps and "steps" not in table.rows + table.cols else []
    )
    return f" ({'; '.join(parts)})" if parts else ""


def pooling(table: Table) -> list[str]:
    """Over which settings the cells are pooled."""
    text = table.facts.get("pooled")
    return [f"{text[0].upper()}{text[1:]}."] if text else []


def scale(table: Table) -> list[str]:
    """What 0 and 1 stand for, if scores are normalised."""
    request = table.request
    if request.normalise is None:
        return []
    one = "the reference of a file" if request.normalise == "file" else f"the mean of {request.normalise}"
    pooled = any(len(cell.strata) > 1 for cell in table.cells.values())
    weights = " Environments have equal weight." if pooled else ""
    return [f"Scores are normalised: 0 is a uniformly random policy, 1 {one} in the same environment.{weights}"]


def _comparison(table: Table, best: str) -> list[str]:
    from dapo_cli.statistics.differences import MIN_DECIDED

    request, sentences = table.request, []
    pooled = any(len(cell.strata) > 1 for cell in table.cells.values())
    test = "the bootstrap" if pooled else TEST_NAMES[request.statistic]
    if any(cell.best for cell in table.cells.values()):
        line = "row" if table.rows == ("env",) else "column"
        among = " among those on the same environments" if len(_environments(table, line)) > 1 else ""
        sentences.append(
            f"{best}: not distinguishable from the best of the {line}{among} "
            f"({test}, Holm's correction, 5 %, n ≥ {MIN_DECIDED})."
        )
    if request.base is not None:
        named = table.base_text or (cell_text.row_text(table, table.base) if table.base else "")
        base = f"the base ({named})" if named else "the base"
        text = f"Δ: difference from {base}"
        if any(cell.difference and math.isfinite(cell.difference.low) for cell in table.cells.values()):
            text += " with its 95 % interval"
        if any(math.isfinite(cell.p) for cell in table.cells.values()):
            text += f"; p by {test} after Holm's correction"
        sentences.append(f"{text}.")
    if request.equivalent is not None:
        sentences.append(
            f"Equivalent: the 90 % interval of the difference lies within ±{request.equivalent} "
            f"of the base{' above a random policy' if request.equivalent.relative else ''}."
        )
    return sentences


def _environments(table: Table, line: str) -> set[tuple[str, ...]]:
    """The sets of environments that cells of one line have, if a line has several; else those of one line."""
    lines: dict[Label, set[tuple[str, ...]]] = {}
    for (row, col), cell in table.cells.items():
        if cell.runs:
            lines.setdefault(row if line == "row" else col, set()).add(tuple(cell.strata))
    return max(lines.values(), key=len, default=set())


def _listed(values: object) -> str:
    texts = list(values)  # type: ignore[call-overload]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"
