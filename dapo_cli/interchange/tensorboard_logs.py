"""TensorBoard's scalars as a run: which tag is an episode's return, which an evaluation's, and the rest."""

from __future__ import annotations

import contextlib
import json
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from dapo_cli.errors import BadInput, did_you_mean
from dapo_cli.interchange import event_files, log_files
from dapo_cli.interchange.logs import Column, Log

EPISODES = {"charts/episodic_return": "charts/episodic_length", "rollout/episode_return": "rollout/episode_length"}
"""Tags of single training episodes, CleanRL's and ours: return -> length."""

EVALUATIONS = {"eval/mean_reward": "eval/mean_ep_length", "eval_sampled/mean_reward": "eval_sampled/mean_ep_length"}
"""Tags of evaluations' means, stable-baselines3's and ours: return -> length."""

RUNNING_MEAN = "rollout/ep_rew_mean"
RUN, SETTINGS, OURS = "run/text_summary", "hyperparameters/text_summary", "train/"
_MOST_TAGS = 2000
_ROW = re.compile(r"^\|((?:\\.|[^|\\])*)\|(.*)\|$")  # CleanRL escapes no | of a value


def read(path: Path, files: list[Path], return_tag: str | None, episode_tag: str | None, actions: str) -> Log:
    """The run of these event files, oldest first: one process's, or those of a run that was continued.

    A restart from an older step (SessionLog.START, `purge_step`) takes back what was logged from that step on, as
    TensorBoard does. `return_tag` and `episode_tag` name the tags of evaluations and of training episodes in place of
    those known. Metrics are all other scalars, by their tags.
    """
    log = Log(source="TensorBoard", path=path)
    scalars, texts = _collect(log, files)
    for tag in (return_tag, episode_tag):
        if tag is not None and tag not in scalars:
            raise BadInput(f"{path}: no scalar has the tag '{tag}': {did_you_mean(tag, scalars)}")
    _describe(log, texts)
    episodes = [episode_tag] if episode_tag else [tag for tag in EPISODES if tag in scalars and tag != return_tag]
    evaluations = [return_tag] if return_tag else [tag for tag in EVALUATIONS if tag in scalars and tag != episode_tag]
    if len(episodes) > 1:
        raise BadInput(f"{path}: both {' and '.join(episodes)} are there: choose one with --episode-tag")
    for tag in episodes:
        lengths = scalars.pop(EPISODES.get(tag, ""), None)
        log.episodes = _checked(path, tag, _with_lengths(scalars.pop(tag), lengths))
        log.remarks.append(f"{tag}: one row an episode; terminated and truncated are not told, both are false")
    for tag in evaluations:
        lengths = scalars.pop(EVALUATIONS.get(tag, ""), None)
        column = _checked(path, tag, _with_lengths(scalars.pop(tag), lengths))
        means = "sampled" if tag.startswith("eval_sampled/") else actions
        log.evaluations[means] = _once(log, tag, column)
        log.remarks.append(f"{tag} is a mean over episodes: one row an evaluation, of {means} actions")
    if RUNNING_MEAN in scalars:
        log.remarks.append(f"{RUNNING_MEAN} is a running mean and stays a metric (--return-tag to count it)")
    ours = RUN in texts
    for tag, column in scalars.items():
        log.metrics[tag.removeprefix(OURS) if ours else tag] = _once(log, tag, _in_order(log, tag, column))
    return log


def _collect(log: Log, files: list[Path]) -> tuple[dict[str, Column], dict[str, str]]:
    scalars: dict[str, Column] = {}
    texts: dict[str, str] = {}
    start: float | None = None
    for file in files:
        own: dict[str, Column] = {}
        for place, event in event_files.events(file):
            if event is None:
                log.remarks.append(f"{place}: the file ends within a record; what is before it counts")
                break
            time = event.wall_time if math.isfinite(event.wall_time) else 0.0
            start = time if start is None else start
            log.wall_time = max(log.wall_time, time - start)
            if event_files.restarts(event) and (taken_back := sum(_purge(c, event.step) for c in (scalars, own))):
                log.remarks.append(f"{place}: restarted at step {event.step}; {taken_back} numbers from it on are void")
            for value in event.summary.value:
                tag, number = value.tag, event_files.number(value)
                if number is not None:
                    column = own.setdefault(tag, Column())
                    where = f"{place}, tag '{tag}'"
                    column.add(where, event.step, number, time=max(time - start, 0.0), once=False, ordered=False)
                elif tag in (RUN, SETTINGS):
                    texts[tag] = event_files.text(value) or ""
                if len(scalars) + len(own) > _MOST_TAGS:
                    raise BadInput(f"{place}: more than {_MOST_TAGS} tags: name another file")
        _append(file, scalars, own)
    return {tag: column for tag, column in scalars.items() if column}, texts


def _purge(columns: dict[str, Column], step: int) -> int:
    """Take back all rows from this step on; how many there were."""
    before = sum(map(len, columns.values()))
    for tag, column in columns.items():
        if any(own >= step for own in column.steps):
            columns[tag] = column.of([index for index, own in enumerate(column.steps) if own < step])
    return before - sum(map(len, columns.values()))


def _append(file: Path, scalars: dict[str, Column], own: dict[str, Column]) -> None:
    """Put a file's columns after those of the files before, which it must not go back behind: that is another run."""
    for tag, column in own.items():
        before = scalars.setdefault(tag, Column())
        if before and column and (first := min(column.steps)) < (last := max(before.steps)):
            remedy = "import each file by itself, or leave the older one away"
            raise BadInput(f"{file}, tag '{tag}': step {first} comes after step {last} of the file before: {remedy}")
        before.extend(column)


def _describe(log: Log, texts: dict[str, str]) -> None:
    """Environment, seed and settings, where CleanRL or we wrote them as a Markdown table."""
    ours = RUN in texts
    run = _table(log, texts.get(RUN, ""), ours)
    settings = _table(log, texts.get(SETTINGS, ""), ours)
    log.algo = run.get("algo")
    log.env = run.get("env") or settings.pop("env_id", None)
    log.seed = log_files.as_seed(run.get("seed", settings.pop("seed", None)))
    log.settings = [{"name": name, "value": _value(text), "origin": "file"} for name, text in settings.items()]


def _table(log: Log, text: str, escaped: bool) -> dict[str, str]:
    """The rows after the header. Only we escape cells; elsewhere a `|`, or a backslash, of a value stands as it is."""
    lines = text.strip().splitlines()[2:1000]
    rows = [match.groups() for line in lines if (match := _ROW.match(line.strip()))]
    if len(rows) < len(lines):
        log.remarks.append(f"left out: {len(lines) - len(rows)} lines of the settings' text that are no row of a table")
    return {_unescaped(n) if escaped else n: _unescaped(value) if escaped else value for n, value in rows if n}


def _unescaped(cell: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], cell)


def _value(text: str) -> Any:
    """What Python, or JSON, prints as `text`."""
    words = {"True": True, "true": True, "False": False, "false": False, "None": None, "": None}
    if text in words:
        return words[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    with contextlib.suppress(ValueError, RecursionError):
        if text.startswith("["):
            return json.loads(text)
    return text


def _with_lengths(returns: Column, lengths: Column | None) -> Column:
    if lengths is not None and lengths.steps == returns.steps:
        for index, length in enumerate(lengths.numbers):
            returns.lengths[index] = round(length) if 0 <= length < 2**53 else 0
    return returns


def _checked(path: Path, tag: str, column: Column) -> Column:
    """The column, whose steps must be in order: those of returns do not go back within a run."""
    for before, step in pairwise(column.steps):
        if step < before:
            remedy = "two runs share the file, or one went on from an older point: import each by itself"
            raise BadInput(f"{path}, tag '{tag}': step {step} comes after step {before}: {remedy}")
    return column


def _in_order(log: Log, tag: str, column: Column) -> Column:
    """The column sorted by step; of several values at one step, in the order of the file."""
    back = sum(step < before for before, step in pairwise(column.steps))
    if not back:
        return column
    log.remarks.append(f"{tag}: {back} times a step before the last one; sorted by step")
    return column.of(sorted(range(len(column)), key=column.steps.__getitem__))


def _once(log: Log, tag: str, column: Column) -> Column:
    """The column, its steps in order, with the last of several values at one step."""
    kept = Column()
    repeated = sum(not kept.add(tag, *row, once=True) for row in column.rows())
    if repeated:
        log.remarks.append(f"{tag}: {repeated} times a second value at one step; the last counts")
    return kept
