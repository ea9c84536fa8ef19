"""What figures say in words: the names of lines and rows, and what every caption tells of the scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dapo_cli.analysis.comparison import cell_text
from dapo_cli.analysis.export import captions
from dapo_cli.analysis.selection.labels import Label, label_text
from dapo_cli.figures.layout import Paper

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dapo_cli.analysis.comparison.table import Table
    from dapo_cli.statistics.estimates import Estimate


@dataclass(frozen=True)
class Plot:
    """A figure before it is drawn: its numbers as a table of text and as objects, what it says, and how to draw it."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    right: tuple[str, ...]  # the columns of numbers
    records: list[dict[str, Any]]
    caption: str
    notes: list[str]
    draw: Callable[[Paper], Figure]  # within style.styled(); may raise BadInput


def names(labels: Sequence[Label], keys: Sequence[str], symbols: Mapping[str, str]) -> dict[Label, str]:
    """Each label by the keys in which labels differ: `dapo-kl, β = 0.1`."""
    varying = [index for index in range(len(keys)) if len({label[index] for label in labels}) > 1]
    shown = varying or list(range(min(len(keys), 1)))
    texts = {}
    for label in labels:
        parts = [_part(keys[index], label[index], symbols) for index in shown if label[index] is not None]
        texts[label] = ", ".join(parts) or f"no {', '.join(keys[index] for index in shown)}"
    return texts


def shared(labels: Sequence[Label], keys: Sequence[str], symbols: Mapping[str, str]) -> str:
    """The keys in which several labels agree: `dapo-kl, m = 10`; empty where there are none."""
    if len(labels) < 2:
        return ""
    same = [index for index in range(len(keys)) if len({label[index] for label in labels}) == 1]
    return ", ".join(_part(keys[index], labels[0][index], symbols) for index in same)


def score_sentences(table: Table) -> list[str]:
    """What one run's score is, and its scale."""
    measure = table.request.measure
    return [
        f"A run's score is {measure.meaning}{captions.protocol(table)}.",
        *captions.pooling(table),
        *captions.scale(table),
    ]


def score_name(table: Table) -> str:
    """As an axis names it: `normalised final return`."""
    title = table.request.measure.title
    text = title[0].lower() + title[1:]
    return f"normalised {text}" if table.request.normalise else text


def interval_sentence(table: Table, estimates: Sequence[Estimate], what: str = "Bars") -> list[str]:
    """`Bars: 95 % Student t interval.`; nothing where no estimate has one."""
    methods = sorted({estimate.method for estimate in estimates if estimate.method})
    if not methods:
        return [f"{what} need three runs in each environment."] if estimates else []
    methods_text = " or ".join(captions.INTERVAL_NAMES[method] for method in methods)
    text = f"{what}: 95 % {methods_text} interval"
    if "bootstrap" in methods:
        text += f" ({table.request.resamples} resamples, seed {table.request.seed})"
    if any(not estimate.method for estimate in estimates):
        text += "; none where runs are too few"
    return [f"{text}."]


def closing_sentences(table: Table) -> list[str]:
    """The footnotes, and what holds for everything that is drawn."""
    general = list(table.notes)
    if table.request.choice.frozen:
        general.insert(0, f"runs: the selection '{table.request.choice.frozen}'")
    return [f"{text}." for text in cell_text.footnotes(table)] + [f"{text[0].upper()}{text[1:]}." for text in general]


def count_text(counts: Sequence[int]) -> str:
    """`n = 5`, `n = 3–5`."""
    return f"n = {range_text(counts)}"


def range_text(counts: Sequence[int]) -> str:
    """`5`, `3–5`."""
    low, high = min(counts, default=0), max(counts, default=0)
    return f"{low}" if low == high else f"{low}–{high}"


def _part(key: str, value: Any, symbols: Mapping[str, str]) -> str:
    return label_text(key if key in ("algo", "tag") else symbols.get(key, key), value)
