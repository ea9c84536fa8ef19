"""A CSV file with a column of steps and one of returns, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dapo_cli.errors import BadInput
from dapo_cli.interchange import reading
from dapo_cli.interchange.logs import Log

COLUMNS = ("step", "return", "length", "kind")
KINDS = ("episode", "evaluation")


def column_names(assignments: list[str]) -> dict[str, str]:
    """`step=global_step` of --column as what we call it -> what the file calls it; raises BadInput."""
    names = {name: name for name in COLUMNS}
    for text in assignments:
        ours, equals, theirs = text.partition("=")
        if not equals or not theirs or ours not in COLUMNS:
            raise BadInput(
                f"--column takes one of {', '.join(COLUMNS)} and a name, such as step=global_step, not '{text}'"
            )
        names[ours] = theirs
    return names


def read(path: Path, names: Mapping[str, str], kind: str | None, actions: str) -> Log:
    """The run of a table of returns: each row an episode, or an evaluation's episode or mean.

    `names` are the file's for COLUMNS; `kind`, one of KINDS, is that of every row where no column tells. Rows of one
    step are episodes of one evaluation. Every further column with a number is a metric.
    """
    log = Log(source="CSV", path=path)
    for place, row in reading.table(path, reading.lines(path)):
        step = reading.whole(place, names["step"], reading.column(place, row, names["step"]))
        found = kind or row.get(names["kind"])
        if found not in KINDS:
            problem = "no column tells" if found is None else f"'{found[:40]}' does not tell"
            remedy = "add --kind episode or --kind evaluation"
            raise BadInput(f"{place}: {problem} whether that is an episode or an evaluation: {remedy}")
        return_ = reading.number(place, names["return"], reading.column(place, row, names["return"]))
        length = reading.whole(place, names["length"], row.get(names["length"]) or "0")
        target = log.episodes if found == "episode" else log.evaluation(actions)
        target.add(place, step, return_, length, once=False)
        for name, text in row.items():
            if name not in names.values() and text:
                log.metric(name).add(place, step, reading.number(place, name, text), once=True)
    return log
