"""Spinning Up's `progress.txt`: a tab-separated row of means each epoch."""

from __future__ import annotations

from pathlib import Path

from dapo_cli.interchange import log_files
from dapo_cli.interchange.logs import Log

STEP, TIME = "TotalEnvInteracts", "Time"
TEST, TRAINING = "AverageTestEpRet", "AverageEpRet"


def read(path: Path, file: Path, return_column: str | None, actions: str) -> Log:
    """The run of a `progress.txt`; a `config.json` beside it tells the seed.

    `return_column`, by default AverageTestEpRet, becomes one row an evaluation, the mean; a training episode is nowhere
    in the file. Every other column is a metric at the rows that have a number in it.
    """
    log = Log(source="Spinning Up progress.txt", path=path)
    wanted, lengths = return_column or TEST, "TestEpLen" if (return_column or TEST) == TEST else "EpLen"
    left_out = log_files.LeftOut()
    for place, row in log_files.table(file, log_files.lines(file), delimiter="\t"):
        step = log_files.whole(place, STEP, log_files.column(place, row, STEP))
        if return_column is not None:
            log_files.column(place, row, return_column)
        for name, text in row.items():
            if not text.strip() or name in ("", STEP):
                continue
            if name == wanted:
                length = log_files.length(place, lengths, row.get(lengths, ""))
                log.evaluation(actions).add(place, step, log_files.number(place, name, text), length, once=True)
            elif name == TIME:
                log.wall_time = max(log.wall_time, log_files.seconds(place, name, text))
            elif (number := left_out.number(name, text)) is not None:
                log.metric(name).add(place, step, number, once=True)
    log.remarks += left_out.remark()
    if log.evaluations:
        log.remarks.append(f"{wanted} is a mean over episodes: one row an evaluation, of {actions} actions")
    else:
        log.remarks.append(
            f"no {TEST}: there is no evaluation, {TRAINING} is a metric (--return-tag {TRAINING} to count it as one)"
        )
    config = file.with_name("config.json")
    if config.is_file():
        text = "".join(log_files.lines(config))
        log.seed = log_files.as_seed(log_files.json_object(str(config), text).get("seed"))
    return log
