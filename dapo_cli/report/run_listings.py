"""What is on record of runs, as listings: their settings, their states, what made them, what they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from dapo_cli.analysis.accounts import cost, ledger
from dapo_cli.analysis.comparison.table import Table
from dapo_cli.analysis.selection import labels
from dapo_cli.analysis.selection.labels import Key, key_text
from dapo_cli.analysis.selection.selected import Record
from dapo_cli.report.html_listing import Listing, Part
from dapo_cli.terminal.formatting import number_text, steps_text
from store.records.marks import KINDS

MOST_VALUES = 8
"""Of a setting, that are listed each for itself."""


def shared(runs: Sequence[Record], table: Table) -> Listing:
    """The settings that are the same in all runs, of those that have them."""
    rows = [
        (name, table.symbols.get(name, ""), key_text(values.pop()))
        for name in _settings(runs)
        if len(values := _known(runs, name)) == 1
    ]
    partly = any(name not in run["settings"] for name, *_ in rows for run in runs)
    remarks = ["A setting that not all runs have: the value of those that have it."] * partly
    return Listing(("setting", "symbol", "value"), [Part("", rows)], remarks=remarks)


def varied(runs: Sequence[Record], table: Table) -> Listing:
    """The settings in which runs differ: a row for each value, with the runs of each algorithm that have it."""
    rows = []
    for name in _settings(runs):
        having = [run for run in runs if name in run["settings"]]
        values = sorted(_known(runs, name), key=lambda value: labels.label_order((value,)))
        if len(values) > MOST_VALUES:
            text = f"{len(values)} values from {key_text(values[0])} to {key_text(values[-1])}"
            rows.append((name, table.symbols.get(name, ""), text, _by_algorithm(having)))
        elif len(values) > 1:
            for value in values:
                own = [run for run in having if _value(run, name) == value]
                rows.append((name, table.symbols.get(name, ""), key_text(value), _by_algorithm(own)))
    return Listing(("setting", "symbol", "value", "runs"), [Part("", rows)])


def counted(runs: Sequence[Record], names: Mapping[str, str], table: Table) -> Listing:
    """Every run that counts, with its score."""
    scores = {
        run["id"]: score
        for cell in table.cells.values()
        for env, values in cell.strata.items()
        for run, score in zip([run for run in cell.runs if run["env"] == env], values, strict=True)
    }
    rows = [
        (
            names[run["id"]],
            run["algo"],
            run["env"],
            str(run["seed"]),
            run["status"],
            steps_text(run["step"]),
            number_text(scores[run["id"]]),
            run["exactness"],
            run["source"] or "dapo",
            _commit(run),
        )
        for run in runs
    ]
    columns = ("run", "algo", "env", "seed", "status", "steps", "score", "exactness", "source", "commit")
    return Listing(columns, [Part("", rows)], frozenset({"seed", "steps", "score"}))


def left_out(
    counted: Sequence[Record], known: Sequence[Record], reasons: Mapping[str, str], names: Mapping[str, str]
) -> Listing:
    """Every run of the choice that does not count, and why; and those that count although they diverged."""
    here = {run["id"] for run in counted}
    without = "without what the score is made of"
    rows = [
        (
            names[run["id"]],
            run["algo"],
            run["env"],
            str(run["seed"]),
            f"{steps_text(run['step'])}/{steps_text(run['steps'])}",
            "counts, see the footnotes" if run["id"] in here else reasons.get(run["id"], without),
            run["reason"] or "",
        )
        for run in known
        if run["id"] not in here or run["status"] != "completed"
    ]
    columns = ("run", "algo", "env", "seed", "steps", "why", "what happened")
    return Listing(columns, [Part("", rows)], frozenset({"seed", "steps"}))


def tried(entries: Iterable[ledger.Entry]) -> Listing:
    rows = [
        (entry.algo, str(all_.configurations), str(all_.runs), str(all_.tuning), steps_text(all_.steps), _states(all_))
        for entry in entries
        for all_ in [entry.total]
    ]
    columns = ("algo", "configurations", "runs", "for tuning", "steps", "states")
    return Listing(columns, [Part("", rows)], frozenset(columns[1:5]))


def spent(bill: cost.Bill) -> Listing:
    rows = [
        (
            algo,
            KINDS.get(kind, kind),
            status,
            str(cost.runs),
            steps_text(cost.steps),
            number_text(cost.core_hours, bill.total.core_hours),
            number_text(cost.gpu_hours, bill.total.gpu_hours) if cost.gpu_hours else "–",
        )
        for (algo, kind, status), cost in [*bill.rows.items(), (("all", "", ""), bill.total)]
    ]
    columns = ("algo", "for", "status", "runs", "steps", "core hours", "GPU hours")
    return Listing(columns, [Part("", rows)], frozenset(columns[3:]))


def provenance(runs: Sequence[Record]) -> Listing:
    """What made the runs, each value with its number of runs."""
    counts: dict[str, Counter[str]] = {}
    for run in runs:
        facts = {"commit of dapo": run["commit"] and _commit(run), "source": run["source"]}
        facts |= {name: run[name] for name in ("processor", "device", "backend")}
        for name, value in (facts | (run["versions"] or {})).items():
            if value:
                counts.setdefault(name, Counter())[str(value)] += 1
    rows = [
        (name, ", ".join(f"{value} ({n})" for value, n in sorted(values.items()))) for name, values in counts.items()
    ]
    return Listing(("what", "value (runs)"), [Part("", rows)])


def _settings(runs: Sequence[Record]) -> list[str]:
    return sorted({name for run in runs for name in run["settings"]} - {"steps"})


def _known(runs: Sequence[Record], name: str) -> set[Key]:
    """The values of a setting, of the runs that have it."""
    return {_value(run, name) for run in runs if name in run["settings"]}


def _by_algorithm(runs: Sequence[Record]) -> str:
    """`dapo-kl (10), sac (5)`."""
    counts = Counter(run["algo"] for run in runs)
    return ", ".join(f"{algo} ({count})" for algo, count in sorted(counts.items()))


def _value(run: Record, name: str) -> Key:
    return labels.labels_of(run, [name])[0][0]


def _commit(run: Record) -> str:
    return (run["commit"] or "–")[:10] + (" with changes" if run["dirty"] else "")


def _states(tally: ledger.Tally) -> str:
    return ", ".join(f"{count} {status}" for status, count in tally.states.items())
