"""Everything that a report says, gathered from the database: text in listings, and the drawing of the curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dapo_cli.analysis.accounts import cost, ledger
from dapo_cli.analysis.comparison import build
from dapo_cli.analysis.comparison.request import Request
from dapo_cli.analysis.comparison.table import Table
from dapo_cli.analysis.curves import learning_curves
from dapo_cli.analysis.curves.series import RETURN, TRAIN_RETURN
from dapo_cli.analysis.export import captions
from dapo_cli.analysis.selection import grouping
from dapo_cli.analysis.selection.selected import SEE_RUNS, Record, matching, select, without_evaluations
from dapo_cli.errors import BadInput
from dapo_cli.report import drawing, results, run_listings
from dapo_cli.report.drawing import Drawing
from dapo_cli.report.html_listing import Listing
from dapo_cli.report.reproduction import without_base
from dapo_cli.terminal.formatting import steps_text
from store.records import runs as store_runs
from store.records.accounting import inherited

if TYPE_CHECKING:
    from store.session import Database


@dataclass(frozen=True)
class Contents:
    """A report before it is a page."""

    facts: list[tuple[str, str]]
    drawing: Drawing | None
    curve_text: list[str]
    final: Table
    results: Listing
    differences: Listing | None
    improvement: Listing | None
    shared: Listing
    varied: Listing
    runs: Listing
    left_out: Listing
    ledger: Listing
    ledger_words: list[str]
    compute: Listing
    compute_words: list[str]
    provenance: Listing


def gather(database: Database, request: Request) -> Contents:
    """The contents of a report on what `request` asks for, `rows` being the keys of its lines.

    With a base, the table of results is without it, and the differences stand by themselves. Raises BadInput where no
    run is left, and for runs that must not be compared.
    """
    plain = without_base(request)
    final = build.build(database, plain)
    counted = list({run["id"]: run for cell in final.cells.values() for run in cell.runs}.values())
    counted.sort(key=lambda run: (run["created_at"], run["id"]))
    if not counted:
        reasons = "".join(f" ({note})" for note in final.notes)
        raise BadInput(f"no run to report{reasons}: {without_evaluations(final.notes) or SEE_RUNS}")
    chosen = grouping.unique(database, select(database, request.choice))
    known = matching(database, request.choice)
    drawn, text = _curves(database, plain)
    entries = ledger.entries(database, request.choice)
    bill = cost.bill(known, inherited(database))
    names = store_runs.shorten(database)
    return Contents(
        facts=_facts(final, counted, known),
        drawing=drawn,
        curve_text=text,
        final=final,
        results=results.results(final),
        differences=results.results(build.build(database, request)) if request.base else None,
        improvement=results.probabilities(final),
        shared=run_listings.shared(counted, final),
        varied=run_listings.varied(counted, final),
        runs=run_listings.counted(counted, names, final),
        left_out=run_listings.left_out(counted, known, chosen.reasons, names),
        ledger=run_listings.tried(entries),
        ledger_words=[entry.words() for entry in entries],
        compute=run_listings.spent(bill),
        compute_words=[bill.sentence, *bill.notes],
        provenance=run_listings.provenance(known),
    )


def _facts(table: Table, counted: Sequence[Record], known: Sequence[Record]) -> list[tuple[str, str]]:
    least, most = min(table.counts), max(table.counts)
    budgets = sorted({run["steps"] for run in counted})
    begun = min(run["created_at"] for run in counted)[:10]
    ended = max(run["ended_at"] or run["created_at"] for run in counted)[:10]
    return [
        ("Algorithms", ", ".join(sorted({run["algo"] for run in counted}))),
        ("Environments", ", ".join(sorted({run["env"] for run in counted}))),
        ("Runs", f"{len(counted)} counted" + (f", {len(known) - len(counted)} left out" * (len(known) > len(counted)))),
        ("Runs per cell", str(least) if least == most else f"{least} to {most}"),
        ("Seeds", str(len({run["seed"] for run in counted}))),
        ("Steps per run", ", ".join(map(steps_text, budgets))),
        ("Trained", begun if begun == ended else f"{begun} to {ended} (UTC)"),
    ]


def collect_curves(database: Database, request: Request) -> learning_curves.Curves:
    """The learning curves that belong to a request: of evaluations, or, as its measure, of training returns."""
    return learning_curves.collect(
        database,
        request.choice,
        quantity=TRAIN_RETURN if request.measure.name == "final-train" else RETURN,
        by=[key for key in request.rows if key not in learning_curves.KEYS],
        pooled=request.pool_over,
        statistic="mean" if request.statistic == "gap" else request.statistic,
        allow=request.allow,
    )


def _curves(database: Database, request: Request) -> tuple[Drawing | None, list[str]]:
    """The learning curves of the chosen runs; None and why, where there is nothing to draw."""
    try:
        found = collect_curves(database, request)
    except BadInput as error:
        return None, [f"No curves: {error}."]
    quantity, statistic = found.quantity, found.statistic
    drawn = drawing.draw(found)
    what = "evaluation return, with mean actions" if quantity == RETURN else "training return, averaged in windows"
    bands = sorted({curve.band for curve in found.lines} - {learning_curves.NO_BAND})
    sentences = [f"{captions.STATISTIC_NAMES[statistic].capitalize()} of the runs' {what}, over environment steps."]
    sentences += [f"Bands: {' or '.join(_BANDS[band] for band in bands)}; each step for itself."] if bands else []
    if any((curve.count < curve.n).any() for curve in found.lines):
        sentences.append("Thin: fewer than n runs reach that step.")
    return drawn, [*sentences, *drawn.remarks, *(f"{note[0].upper()}{note[1:]}." for note in found.notes())]


_BANDS = {
    learning_curves.CI: "95 % interval",
    learning_curves.MINMAX: "from the lower to the higher of two runs, which have no interval",
}
