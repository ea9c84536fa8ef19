"""Aggregates as a figure: mean, median, interquartile mean and optimality gap side by side, a row for each algorithm.

As figure 4 of Agarwal et al. 2021 (arXiv:2108.13264).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dapo_cli.analysis.comparison import cell_text
from dapo_cli.analysis.comparison.across_environments import Overall, aggregates
from dapo_cli.analysis.selection.labels import Label, key_text
from dapo_cli.figures import layout, rows, style, words
from dapo_cli.figures.layout import Paper
from dapo_cli.statistics.estimates import SMALLEST_IQM, Estimate
from dapo_cli.terminal.formatting import general_text, number_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLES = {"mean": "Mean", "median": "Median", "iqm": "IQM", "gap": "Optimality gap"}


def plot(overall: Overall) -> words.Plot:
    """The figure of the rows' aggregates."""
    table, drawn = overall.table, aggregates(overall)
    names = list(next(iter(drawn.values())))
    right = ("n", *(column for name in names for column in (name, f"{name} 95 %")))
    texts = [
        (
            *map(key_text, label),
            str(overall.runs(label)),
            *(
                text
                for name in names
                for text in (number_text(own[name].value), cell_text.interval_text(table, own[name]))
            ),
        )
        for label, own in drawn.items()
    ]
    caption = _caption(overall, drawn)
    records = [
        {
            **overall.keys(label),
            "environments": len(overall.strata[label]),
            **own[name]._asdict(),
            "statistic": name,
            "notes": [table.footnotes[mark] for mark in overall.marks[label]],
        }
        for label, own in drawn.items()
        for name in names
    ]
    return words.Plot(
        (*table.rows, *right),
        texts,
        right,
        records,
        caption,
        list(table.notes),
        lambda paper: draw(overall, drawn, paper, caption),
    )


def draw(overall: Overall, drawn: dict[Label, dict[str, Estimate]], paper: Paper, caption: str) -> Figure:
    """The figure; raises BadInput for too many rows."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    rows.check_rows(len(drawn), "--by")
    names = list(next(iter(drawn.values())))
    width = layout.WIDTHS[paper.width or layout.PAGE]
    columns = min(len(names), 2 if paper.width == layout.COLUMN else 4)
    texts = rows.fitted(list(rows.row_texts(overall).values()), width * (0.36 if columns == 2 else 0.3))
    height = 0.55 + texts.height * max(len(drawn), 2)
    grid = layout.Grid(-(-len(names) // columns), columns, width / columns, height)
    figure, panels = layout.panels_of(grid, len(names))
    for index, (panel, name) in enumerate(zip(panels, names, strict=True)):
        rows.draw_intervals(panel, [own[name] for own in drawn.values()], rows.colours(len(drawn)))
        panel.set_title(_TITLES[name])
        panel.xaxis.set_major_locator(MaxNLocator(4, steps=style.ROUND))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: general_text(value, 6).replace("-", "−")))
        rows.name_rows(panel, texts.texts if index % columns == 0 else [""] * len(drawn))
    grid = grid._replace(width=(width - texts.width) / columns + 0.2)  # the names take their part
    layout.name_axes(panels, grid, words.score_name(overall.table), "")
    layout.put_below(figure, [], [], caption if paper.caption else "")
    return figure


def _caption(overall: Overall, drawn: dict[Label, dict[str, Estimate]]) -> str:
    table, pooled = overall.table, len(overall.environments) > 1
    name = words.score_name(table)
    where = f"in {len(overall.environments)} environments" if pooled else f"in {overall.environments[0]}"
    text = f"{name[0].upper()}{name[1:]} {where}, {words.count_text([*map(overall.runs, drawn)])} runs a row"
    text += "; the median is of the environments' means." if pooled else "."
    sentences = [text, *words.score_sentences(table)]
    sentences += words.interval_sentence(table, [estimate for own in drawn.values() for estimate in own.values()])
    sentences.append("IQM: interquartile mean" + (
        f" (fewer than {SMALLEST_IQM} runs: mean)." if min(map(overall.runs, drawn)) < SMALLEST_IQM else "."
    ))  # fmt: skip
    if table.request.normalise:
        sentences.append("Optimality gap: the mean of what a score lacks to 1; less is better.")
    return " ".join([*sentences, *words.closing_sentences(table)])
