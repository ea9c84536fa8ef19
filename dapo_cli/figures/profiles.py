"""Performance profiles as a figure: the fraction of runs above each normalised score, a line for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dapo_cli.analysis.comparison.across_environments import Overall, Profile, profiles
from dapo_cli.analysis.selection.labels import Label, key_text
from dapo_cli.figures import layout, style, words
from dapo_cli.figures.layout import Paper
from dapo_cli.figures.rows import row_texts
from dapo_cli.terminal.formatting import number_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = (0.25, 0.5, 0.75, 1.0)  # thresholds in the table on the terminal


def plot(overall: Overall) -> words.Plot:
    """The figure of the rows' profiles; raises BadInput unless scores are normalised."""
    table, drawn = overall.table, profiles(overall)
    right = ("n", *(f"> {threshold:g}" for threshold in _SHOWN), "area")
    rows = [
        (
            *map(key_text, label),
            str(overall.runs(label)),
            *(f"{_above(overall, label, threshold):.2f}" for threshold in _SHOWN),
            number_text(_area(overall, label)),
        )
        for label in drawn
    ]
    sentences = [f"Performance profiles: the fraction of runs whose {words.score_name(table)} is above τ."]
    sentences += words.score_sentences(table)
    if any(np.isfinite(profile.low).any() for profile in drawn.values()):
        request = table.request
        sentences.append(
            f"Bands: pointwise 95 % stratified bootstrap interval ({request.resamples} resamples, seed {request.seed})."
        )
    sentences.append(
        "A line crosses ½ at the median of all runs; the area below it to the right of 0 is their mean score, "
        "negative scores counting as 0."
    )
    sentences += words.closing_sentences(table)
    records = [
        {
            **overall.keys(label),
            "n": overall.runs(label),
            "area": _area(overall, label),
            "threshold": profile.thresholds.tolist(),
            "fraction": profile.value.tolist(),
            "low": profile.low.tolist(),
            "high": profile.high.tolist(),
            "notes": [table.footnotes[mark] for mark in overall.marks[label]],
        }
        for label, profile in drawn.items()
    ]
    caption = " ".join(sentences)
    return words.Plot(
        (*table.rows, *right),
        rows,
        right,
        records,
        caption,
        list(table.notes),
        lambda paper: draw(overall, drawn, paper, caption),
    )


def draw(overall: Overall, drawn: dict[Label, Profile], paper: Paper, caption: str) -> Figure:
    """The figure; raises BadInput for too many lines."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    style.check_lines(len(drawn))
    grid = layout.grid_of(1, paper)
    figure, (panel,) = layout.panels_of(grid, 1)
    handles: list[Any] = []
    for index, profile in enumerate(drawn.values()):
        look = style.line_look(index)
        panel.step(profile.thresholds, profile.value, where="post", linewidth=1.2, zorder=3, **look)
        if np.isfinite(profile.low).any():
            band = {"color": look["color"], "alpha": 0.15, "linewidth": 0, "zorder": 2}
            panel.fill_between(profile.thresholds, profile.low, profile.high, step="post", **band)
            handles.append((Patch(facecolor=look["color"], alpha=0.15, linewidth=0), Line2D([], [], **look)))
        else:
            handles.append(Line2D([], [], **look))
    thresholds = next(iter(drawn.values())).thresholds
    panel.set_xlim(thresholds[0], thresholds[-1])
    panel.set_ylim(0, 1.02)
    panel.axhline(0.5, color="#999999", linewidth=0.6, zorder=1.5)
    layout.name_axes([panel], grid, f"{words.score_name(overall.table)} τ", "fraction of runs above τ")
    layout.put_below(figure, handles, list(row_texts(overall).values()), caption if paper.caption else "")
    return figure


def _above(overall: Overall, label: Label, threshold: float) -> float:
    strata = overall.strata[label].values()
    return sum(sum(x > threshold for x in scores) / len(scores) for scores in strata) / len(strata)


def _area(overall: Overall, label: Label) -> float:
    """Under the profile to the right of 0: the mean of the scores, negative ones as 0."""
    strata = overall.strata[label].values()
    return sum(sum(max(0.0, x) for x in scores) / len(scores) for scores in strata) / len(strata)
