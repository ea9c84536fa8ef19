"""A cell is one configuration: what tells configurations apart, and which runs are one run recorded twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dapo_cli.analysis.selection import labels
from dapo_cli.analysis.selection.labels import Label
from dapo_cli.analysis.selection.selected import Record, Selection
from dapo_cli.errors import BadInput
from store.records import settings, streaming

if TYPE_CHECKING:
    from store.session import Database

EXECUTION = (
    "threads",
    "device",
    "backend",
    "compile",
    "compiled",
    "checkpoint_every",
    "log_every",
    "keep_replay",
    "eval_every",
    "eval_episodes",
)
"""How a run was executed and observed: such a difference is a footnote, never a row.

A difference in how scores were evaluated is refused before (`comparability`).
"""
REPEATED = "equal to another run to the last bit"
_MANY_ROWS = 12


@dataclass(frozen=True)
class Split:
    """The keys that tell configurations apart which would else share a cell: `names`, in the order of the labels.

    `of_algo` says which of them an algorithm's runs need. Another algorithm may have a value tuned for each
    environment: its label stays empty there, and its row whole.
    """

    names: tuple[str, ...] = ()
    of_algo: Mapping[str, Collection[str]] = field(default_factory=dict)

    def group(self, runs: Iterable[Record], keys: Sequence[str]) -> dict[Label, list[Record]]:
        """Runs by their labels; `keys` are all keys of the labels, those of the split among them."""
        groups: dict[Label, list[Record]] = {}
        for run in runs:
            empty = set(self.names).difference(self.of_algo.get(run["algo"], ()))
            for label in labels.labels_of(run, keys, empty):
                groups.setdefault(label, []).append(run)
        return groups


def split(runs: Sequence[Record], keys: Sequence[str], pooled: Collection[str] = ()) -> Split:
    """What must be added to `keys` so that every cell holds one configuration in an environment, but for `pooled`."""
    apart: dict[str, set[str]] = {}
    several = False
    for cell in labels.group(runs, [*keys, "env"]).values():
        by_algo = labels.group(cell, ["algo"])
        several |= len(by_algo) > 1
        for (algo,), own in by_algo.items():
            apart.setdefault(str(algo), set()).update(differing(own))
    always = {"algo"} if several else set()
    of_algo = {algo: (names | always) - {*keys, *pooled} for algo, names in apart.items()}
    names = set().union(*of_algo.values())
    return Split(tuple(sorted(names, key=lambda name: (name != "algo", name))), of_algo)


def pooled_text(cells: Iterable[Sequence[Record]], pooled: Sequence[str]) -> str:
    """`pooled over beta (0.1, 0.5), as asked with --pool-over beta`: values that share a cell; empty if not asked."""
    values: dict[str, set[Label]] = {name: set() for name in pooled}
    for cell in cells:
        for own in labels.group(cell, ["env"]).values():
            for name in _unequal(own, pooled):
                values[name].update(labels.labels_of(run, [name])[0] for run in own)
    texts = []
    if some := {name: sorted(found, key=labels.label_order) for name, found in values.items() if found}:
        parts = (f"{name} ({', '.join(labels.key_text(value) for (value,) in found)})" for name, found in some.items())
        texts.append(f"pooled over {' and '.join(parts)}, as asked with --pool-over {','.join(pooled)}")
    if nothing := [name for name in pooled if not values[name]]:
        texts.append(f"nothing is pooled over {', '.join(nothing)}, in which the runs of no cell differ")
    return "; ".join(texts)


def narrowing_note(found: Split, rows: Sequence[Label], keys: Sequence[str]) -> list[str]:
    """One line on how to narrow a table that the split made long."""
    if len(rows) <= _MANY_ROWS or not found.names:
        return []
    name = found.names[0]
    values = (row[keys.index(name)] for row in rows) if name in keys else iter(())
    value = next((value for value in values if value is not None), None)
    text = f"'{value}'" if isinstance(value, str) else labels.key_text(value)
    return [
        f"{len(rows)} rows, as runs differ in {', '.join(found.names)}: "
        f'choose with --where, such as --where "{name} = {text}", or pool them with --pool-over {name}'
    ]


def differing(runs: Sequence[Record]) -> set[str]:
    """In what runs of one environment differ that makes them different configurations.

    An import knows few settings or none: beside runs of dapo's the difference is its `source`.
    """
    imported = [run for run in runs if run.get("source")]
    if imported and len(imported) < len(runs):
        return {"source"} | differing(imported) | differing([run for run in runs if not run.get("source")])
    names = {"algo", "steps"}.union(*(run["settings"] for run in runs)).difference(EXECUTION, {"seed"})
    return _unequal(runs, names)


def execution_remarks(runs: Sequence[Record]) -> Iterable[str]:
    """What a cell must say of how its runs were executed; `runs differ in device (cpu, cuda)`."""
    found: dict[str, set[str]] = {}
    for own in labels.group(runs, ["env"]).values():
        for name in EXECUTION:
            values = {labels.key_text(run[name]) for run in own if run.get(name) is not None}
            if len(values) > 1:
                found.setdefault(name, set()).update(values)
    if found:
        parts = (f"{name} ({', '.join(sorted(values))})" for name, values in found.items())
        yield f"runs differ in {', '.join(parts)}"


def tuned_remarks(
    database: Database, groups: Mapping[Label, Sequence[Record]], keys: Sequence[str]
) -> dict[Label, str]:
    """What must be said where settings differ between the environments of a row, and not only by their defaults.

    `groups`: label of these keys -> runs. The result has the labels of rows with such settings.
    """
    at = keys.index("env") if "env" in keys else len(keys)
    rows: dict[Label, list[Record]] = {}
    pooled: dict[Label, set[str]] = {}
    for label, runs in groups.items():
        row = label[:at] + label[at + 1 :]
        rows.setdefault(row, []).extend(runs)
        for own in labels.group(runs, ["env"]).values():
            pooled.setdefault(row, {"steps", "source"}).update(differing(own))
    names = {row: differing(runs) - pooled[row] for row, runs in rows.items()}
    wanted = set().union(*names.values())
    origins = (
        settings.origins(database, [run["id"] for runs in rows.values() for run in runs], wanted) if wanted else {}
    )
    texts: dict[Label, str] = {}
    for row, runs in rows.items():
        chosen = [
            name
            for name in sorted(names[row])
            if name == "algo" or any(origins[run["id"]].get(name, "default") != "default" for run in runs)
        ]
        if chosen:
            texts[row] = f"{', '.join(chosen)} {'differs' if len(chosen) == 1 else 'differ'} between environments"
    return {label: text for label in groups if (text := texts.get(label[:at] + label[at + 1 :])) is not None}


def unique(database: Database, chosen: Selection) -> Selection:
    """The same with every run once: of runs that are equal to the last bit, the oldest.

    Raises BadInput for runs of one configuration and one seed that are not equal.
    """
    alike: dict[str, list[Record]] = {}
    for run in chosen.runs:
        alike.setdefault(repr(_identity(run)), []).append(run)
    twice = [runs for runs in alike.values() if len(runs) > 1]
    if not twice:
        return chosen
    repeated = {}
    for first, *others in twice:
        result = _result(database, first)
        for run in others:
            if _result(database, run) != result:
                raise BadInput(
                    f"runs {first['id']} and {run['id']} have one configuration and the same seed {run['seed']}, but "
                    f"not the same results: leave one out, such as with --where \"id != '{run['id']}'\""
                )
            repeated[run["id"]] = REPEATED
    return chosen.without(repeated)


def _result(database: Database, run: Record) -> list[object]:
    with database.connect() as session:
        return [run["status"], *(streaming.hash_rows(session, table, run["id"]) for table in ("episode", "evaluation"))]


def _identity(run: Record) -> list[object]:
    """What two records of one run share; of an import, the settings that are known."""
    known = {name: run[name] for name in sorted({"steps", *run["settings"]}.difference(EXECUTION))}
    return [run["kind"], run["algo"], run["env"], run["seed"], bool(run.get("source")), known]


def _unequal(runs: Sequence[Record], names: Iterable[str]) -> set[str]:
    return {name for name in names if len({repr(run.get(name)) for run in runs}) > 1}
