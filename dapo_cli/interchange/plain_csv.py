"""A CSV file with a column of steps and one of returns, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dapo_cli.errors import BadInput
from dapo_cli.interchange import log_files
from dapo_cli.interchange.logs import Log

COLUMNS = ("step", "return", "length", "kind")
KINDS = ("episode", "evaluation")
PROGRESS = "progress.csv"
STEP = "time/total_timesteps"
_THEIRS = {"step": STEP, "return": "eval/mean_reward", "length": "eval/mean_ep_length"}
_SECONDS = "time/time_elapsed"


def column_names(assignments: list[str]) -> dict[str, str]:
    """`step=global_step` of --column as what we call it -> what the file calls it; raises BadInput."""
    names = {}
    for text in assignments:
        ours, equals, theirs = text.partition("=")
        if not equals or not theirs or ours not in COLUMNS:
            raise BadInput(
                f"--column takes one of {', '.join(COLUMNS)} and a name, such as step=global_step, not '{text}'"
            )
        names[ours] = theirs
    return names


def read(path: Path, file: Path, given: Mapping[str, str], kind: str | None, actions: str) -> Log:
    """The run of a table of returns: each row an episode, or an evaluation's episode or mean.

    `given` are the file's names for COLUMNS where they are not ours, nor those of stable-baselines3's progress.csv;
    `kind`, one of KINDS, is that of every row where no column tells. Rows of one step are episodes of one evaluation; a
    row without a return is none. Every further column is a metric at the rows that have a number in it.
    """
    log = Log(source="CSV", path=path)
    names: dict[str, str] = {}
    left_out, without_step, indexed, theirs = log_files.LeftOut(), 0, False, False
    for place, row in log_files.table(file, log_files.lines(file)):
        if not names:
            theirs = given.get("step", STEP) == STEP and STEP in row and "step" not in row
            names = {**dict(zip(COLUMNS, COLUMNS, strict=True)), **(_THEIRS if theirs else {}), **given}
            if theirs:
                log.source = f"stable-baselines3 {PROGRESS}"
                kind = kind or ("evaluation" if names["return"] == _THEIRS["return"] else None)
        if not log_files.column(place, row, names["step"]).strip():
            without_step += 1
            continue
        step = log_files.whole(place, names["step"], row[names["step"]])
        # Who played no evaluations has no such column.
        if text := (row.get(names["return"], "") if theirs else log_files.column(place, row, names["return"])).strip():
            return_ = log_files.number(place, names["return"], text)
            length = log_files.length(place, names["length"], row.get(names["length"], "").strip())
            target = log.episodes if _kind(place, row, names["kind"], kind) == "episode" else log.evaluation(actions)
            target.add(place, step, return_, length, once=False)
        for name, text in row.items():
            if not name or name.startswith("Unnamed: "):  # pandas' index
                indexed = True
            elif theirs and name == _SECONDS and text.strip():
                log.wall_time = max(log.wall_time, log_files.seconds(place, name, text))
            elif name not in names.values() and text.strip() and (number := left_out.number(name, text)) is not None:
                log.metric(name).add(place, step, number, once=True)
    if theirs and log.evaluations:
        log.remarks.append(f"{names['return']} is a mean over episodes: one row an evaluation, of {actions} actions")
    elif not (log.evaluations or log.episodes) and log.metrics:
        log.remarks.append(f"no row has a return ({names['return']}): all columns are metrics")
    if without_step:
        log.remarks.append(f"left out: {without_step} {'row' if without_step == 1 else 'rows'} without {names['step']}")
    if indexed:
        log.remarks.append("left out: the index, a column without a name")
    log.remarks += left_out.remark()
    return log


def _kind(place: str, row: Mapping[str, str], column: str, kind: str | None) -> str:
    found = kind or row.get(column)
    if found not in KINDS:
        problem = "no column tells" if found is None else f"'{found[:40]}' does not tell"
        remedy = "add --kind episode or --kind evaluation"
        raise BadInput(f"{place}: {problem} whether that is an episode or an evaluation: {remedy}")
    return found
