"""TensorBoard's scalars as a run: which tag is an episode's return, which an evaluation's, and the rest."""

from __future__ import annotations

import contextlib
import json
import math
import re
from pathlib import Path
from typing import Any

from dapo_cli.errors import BadInput, did_you_mean
from dapo_cli.interchange import event_files, reading
from dapo_cli.interchange.logs import Column, Log

EPISODES = {"charts/episodic_return": "charts/episodic_length", "rollout/episode_return": "rollout/episode_length"}
"""Tags of single training episodes, CleanRL's and ours: return -> length."""

EVALUATIONS = {"eval/mean_reward": "eval/mean_ep_length", "eval_sampled/mean_reward": "eval_sampled/mean_ep_length"}
"""Tags of evaluations' means, stable-baselines3's and ours: return -> length."""

RUNNING_MEAN = "rollout/ep_rew_mean"
RUN, SETTINGS, OURS = "run/text_summary", "hyperparameters/text_summary", "train/"
_MOST_TAGS = 2000
_ROW = re.compile(r"^\|((?:\\.|[^|\\])*)\|((?:\\.|[^|\\])*)\|$")


def read(path: Path, files: list[Path], return_tag: str | None, episode_tag: str | None, actions: str) -> Log:
    """The run of these event files, oldest first: one process's, or those of a run that was continued.

    `return_tag` and `episode_tag` name the tags of evaluations and of training episodes in place of those known.
    Metrics are all other scalars, by their tags.
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
        log.episodes = _with_lengths(scalars.pop(tag), scalars.pop(EPISODES.get(tag, ""), None))
        log.remarks.append(f"{tag}: one row an episode; terminated and truncated are not told, both are false")
    for tag in evaluations:
        column = _with_lengths(scalars.pop(tag), scalars.pop(EVALUATIONS.get(tag, ""), None))
        means = "sampled" if tag.startswith("eval_sampled/") else actions
        log.evaluations[means] = _once(log, tag, column)
        log.remarks.append(f"{tag} is a mean over episodes: one row an evaluation, of {means} actions")
    if RUNNING_MEAN in scalars:
        log.remarks.append(f"{RUNNING_MEAN} is a running mean and stays a metric (--return-tag to count it)")
    ours = RUN in texts
    for tag, column in scalars.items():
        log.metrics[tag.removeprefix(OURS) if ours else tag] = _once(log, tag, column)
    return log


def _collect(log: Log, files: list[Path]) -> tuple[dict[str, Column], dict[str, str]]:
    scalars: dict[str, Column] = {}
    texts: dict[str, str] = {}
    start: float | None = None
    for file in files:
        for place, event in event_files.events(file):
            if event is None:
                log.remarks.append(f"{place}: the file ends within a record; what is before it counts")
                break
            time = event.wall_time if math.isfinite(event.wall_time) else 0.0
            start = time if start is None else start
            log.wall_time = max(log.wall_time, time - start)
            for value in event.summary.value:
                tag, number = value.tag, event_files.number(value)
                if number is not None:
                    column = scalars.setdefault(tag, Column())
                    column.add(f"{place}, tag '{tag}'", event.step, number, time=max(time - start, 0.0), once=False)
                elif tag in (RUN, SETTINGS):
                    texts[tag] = event_files.text(value) or ""
                if len(scalars) > _MOST_TAGS:
                    raise BadInput(f"{place}: more than {_MOST_TAGS} tags: name another file")
    return scalars, texts


def _describe(log: Log, texts: dict[str, str]) -> None:
    """Environment, seed and settings, where CleanRL or we wrote them as a Markdown table."""
    run = _table(texts.get(RUN, ""))
    settings = _table(texts.get(SETTINGS, ""))
    log.algo = run.get("algo")
    log.env = run.get("env") or settings.pop("env_id", None)
    log.seed = reading.as_seed(run.get("seed", settings.pop("seed", None)))
    log.settings = [{"name": name, "value": _value(text), "origin": "file"} for name, text in settings.items()]


def _table(text: str) -> dict[str, str]:
    rows = [match.groups() for line in text.splitlines() if (match := _ROW.match(line.strip()))]
    return {_unescaped(name): _unescaped(value) for name, value in rows[2:1000] if name}


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


def _once(log: Log, tag: str, column: Column) -> Column:
    """The column with the last of several values at one step."""
    kept = Column()
    rows = zip(column.steps, column.numbers, column.lengths, column.times, strict=True)
    repeated = sum(not kept.add(tag, *row, once=True) for row in rows)
    if repeated:
        log.remarks.append(f"{tag}: {repeated} times a second value at one step; the last counts")
    return kept
