"""Probabilities of improvement as a figure: a row for each pair, its interval, and a line at 1/2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dapo_cli.analysis.comparison.across_environments import Overall, Pair, improvements
from dapo_cli.analysis.selection.labels import Label, key_text
from dapo_cli.figures import layout, rows, words
from dapo_cli.figures.layout import Paper

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot(overall: Overall) -> words.Plot:
    """The figure of every row against the base, or of every pair; raises BadInput for a single row."""
    table, pairs = overall.table, improvements(overall)
    right = ("environments", "n", "P", "95 % interval")
    texts = [
        (
            _text(pair.row),
            _text(pair.other),
            str(pair.environments),
            str(pair.estimate.n),
            f"{pair.estimate.value:.3f}",
            "–" if pair.estimate.low != pair.estimate.low else f"[{pair.estimate.low:.3f}, {pair.estimate.high:.3f}]",
        )
        for pair in pairs
    ]
    caption = _caption(overall, pairs)
    records = [
        {
            **overall.keys(pair.row),
            **{f"other_{key}": value for key, value in overall.keys(pair.other).items()},
            "environments": pair.environments,
            **pair.estimate._asdict(),
            "notes": [table.footnotes[mark] for mark in (*overall.marks[pair.row], *overall.marks[pair.other])],
        }
        for pair in pairs
    ]
    return words.Plot(
        ("better", "than", *right),
        texts,
        right,
        records,
        caption,
        list(table.notes),
        lambda paper: draw(overall, pairs, paper, caption),
    )


def draw(overall: Overall, pairs: list[Pair], paper: Paper, caption: str) -> Figure:
    """The figure; raises BadInput for too many rows."""
    rows.check_rows(len(pairs), "--base")
    width = layout.WIDTHS[paper.width or layout.COLUMN]
    base = overall.table.base
    names = rows.row_texts(overall, numbers=False)
    left, others = [names[pair.row] for pair in pairs], [names[pair.other] for pair in pairs]
    side = width * (0.45 if base is not None else 0.27)
    first, second = rows.fitted(left, side), rows.fitted(others, side)
    height = 0.45 + max(first.height, second.height if base is None else 0.0) * max(len(pairs), 2)
    grid = layout.Grid(1, 1, width, height)
    figure, (panel,) = layout.panels_of(grid, 1)
    colours = dict(zip(overall.labels, rows.colours(len(overall.labels)), strict=True))
    rows.draw_intervals(panel, [pair.estimate for pair in pairs], [colours[pair.row] for pair in pairs])
    rows.name_rows(panel, first.texts)
    panel.axvline(0.5, color="#777777", linewidth=0.8, zorder=1.5)
    panel.set_xlim(-0.01, 1.01)
    panel.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    xlabel = "P(X is better than Y)"
    if base is not None:
        xlabel = f"P(better than {names[base]})"
    else:
        other: Any = panel.twinx()
        other.set_ylim(panel.get_ylim())
        other.grid(False)
        rows.name_rows(other, second.texts)
        for one, text in ((panel, "X"), (other, "Y")):
            where = 0.0 if one is panel else 1.0
            panel.text(where, 1.01, text, transform=panel.transAxes, ha="right" if one is panel else "left", size=8)
    layout.name_axes([panel], grid, xlabel, "")
    layout.put_below(figure, [], [], caption if paper.caption else "")
    return figure


def _caption(overall: Overall, pairs: list[Pair]) -> str:
    table = overall.table
    counts = [pair.environments for pair in pairs]
    where = f"mean over {words.range_text(counts)} environments"
    if overall.environments[1:] == []:
        where = f"in {overall.environments[0]}"
    lower = "lower" if table.request.measure.lower_is_better else "higher"
    name = words.score_name(table)
    runs = words.count_text([overall.runs(label) for label in overall.labels])
    sentences = [f"Probability of improvement: that a run of X has a {lower} {name} than one of Y (ties ½), {where}; "
                 f"{runs} runs each."]  # fmt: skip
    if table.base is not None:
        base = words.names(overall.labels, table.rows, table.symbols)[table.base]
        sentences[0] = sentences[0].replace("a run of X", "a run").replace("one of Y", f"one of {base}")
    sentences += words.score_sentences(table)
    sentences += words.interval_sentence(table, [pair.estimate for pair in pairs])
    if any(pair.estimate.method == "exact bound" for pair in pairs):
        sentences.append("Exact where all runs of one side beat all of the other.")
    return " ".join([*sentences, *words.closing_sentences(table)])


def _text(label: Label) -> str:
    return ", ".join(map(key_text, label))
