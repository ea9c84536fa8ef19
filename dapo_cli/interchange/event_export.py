"""Runs as TensorBoard's event files: a folder for each, its scalars by environment step, its settings as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dapo_cli.interchange import event_files
from dapo_cli.interchange.tensorboard_logs import OURS, RUN, SETTINGS
from store.records import streaming
from store.records.runs import shorten

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from store.session import Database
    from store.transfer.redaction import Redaction

EPISODE = ("rollout/episode_return", "rollout/episode_length")
EVALUATION = {
    "mean": ("eval/mean_reward", "eval/mean_ep_length"),
    "sampled": ("eval_sampled/mean_reward", "eval_sampled/mean_ep_length"),
}
FILE = "events.out.tfevents.0.dapo"
_DESCRIBED = ("id", "algo", "env", "seed", "status", "steps", "step", "source", "note", "commit")


def write(folder: Path, database: Database, runs: Sequence[Mapping[str, Any]], redaction: Redaction) -> None:
    """A folder for each run, named by its algorithm, environment, seed and id. Raises BadInput without TensorBoard.

    TensorBoard's numbers have 32 bits. Its times are the run's beginning, plus the training time where that is known.
    """
    messages = event_files.messages()
    from tensorboard.summary.writer.record_writer import RecordWriter

    short = shorten([run["id"] for run in runs])
    for run in runs:
        name = f"{run['algo']}-{run['env']}-s{run['seed']}-{short[run['id']]}"
        place = folder / re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[-200:]
        place.mkdir()
        start = datetime.fromisoformat(run["started_at"] or run["created_at"]).timestamp()
        with (place / FILE).open("xb") as file, database.connect() as session:
            writer = RecordWriter(file)
            version = messages.Event(wall_time=start, file_version="brain.Event:2")
            writer.write(version.SerializeToString(deterministic=True))
            for tag, text in _texts(session, run, redaction):
                writer.write(_text(messages, start, tag, text))
            for step, seconds, values in _scalars(session, run["id"]):
                event = messages.Event(wall_time=start + seconds, step=step)
                for tag, value in values.items():
                    event.summary.value.add(tag=tag, simple_value=value)
                writer.write(event.SerializeToString(deterministic=True))


def _scalars(session: Session, run_id: str) -> Iterator[tuple[int, float, dict[str, float]]]:
    """(environment step, seconds of training, tag -> value)."""
    for _, _, step, return_, length, seconds, *_ in streaming.rows(session, "episode", [run_id]):
        yield step, seconds, dict(zip(EPISODE, (return_, length), strict=True))
    evaluations = streaming.rows(session, "evaluation", [run_id])
    for (step, actions), rows in groupby(evaluations, key=itemgetter(1, 2)):
        returns, lengths = zip(*((return_, length) for *_, return_, length in rows), strict=True)
        means = (sum(returns) / len(returns), sum(lengths) / len(lengths))  # fsum refuses inf - inf
        yield step, 0.0, dict(zip(EVALUATION[actions], means, strict=True))
    for _, name, step, value in streaming.rows(session, "metric", [run_id]):
        yield step, 0.0, {OURS + name: value}


def _texts(session: Session, run: Mapping[str, Any], redaction: Redaction) -> Iterator[tuple[str, str]]:
    yield RUN, _table([(name, run[name]) for name in _DESCRIBED if run[name] is not None])
    rows = redaction.rows("hyperparameter", streaming.rows(session, "hyperparameter", [run["id"]]))
    settings = [(name, value) for _, name, value, *_ in rows]
    yield SETTINGS, _table(settings)


def _table(rows: Sequence[tuple[str, Any]]) -> str:
    """A Markdown table, as CleanRL writes its settings."""
    lines = [f"|{_cell(name)}|{_cell('' if value is None else str(value))}|" for name, value in rows]
    return "\n".join(["|param|value|", "|-|-|", *lines])


def _cell(text: str) -> str:
    return re.sub(r"([\\|<])", r"\\\1", text).replace("\r", " ").replace("\n", "\\n")


def _text(messages: Any, time: float, tag: str, text: str) -> bytes:
    event = messages.Event(wall_time=time)
    value = event.summary.value.add(tag=tag)
    value.metadata.plugin_data.plugin_name = "text"
    value.tensor.dtype = event_files.STRING
    value.tensor.tensor_shape.dim.add(size=1)
    value.tensor.string_val.append(text.encode("utf-8"))
    return bytes(event.SerializeToString(deterministic=True))
