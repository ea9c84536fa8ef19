"""What a log of another program says about one run, whatever its format."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dapo_cli.errors import BadInput
from dapo_cli.interchange.log_files import LARGEST_NUMBER
from store.records.imports import EpisodeRow, EvaluationRow, MetricRow

TERMINATED, TRUNCATED = 1, 2


class Column:
    """Rows of (step, number, length, seconds), 32 bytes each; in a finished log in order of their steps."""

    def __init__(self) -> None:
        self.steps = array("q")
        self.numbers = array("d")
        self.lengths = array("q")
        self.times = array("d")

    def __len__(self) -> int:
        return len(self.steps)

    def add(
        self,
        where: str,
        step: int,
        number: float,
        length: int = 0,
        time: float = 0.0,
        *,
        once: bool,
        ordered: bool = True,
    ) -> bool:
        """Append a row; False where it replaced one at the same step, which only `once` does.

        `where` names file and line. Raises BadInput for a step that is out of range and, if `ordered`, for one before
        that of the last row.
        """
        if not 0 <= step <= LARGEST_NUMBER:
            raise BadInput(f"{where}: {step} is no environment step: correct or remove that row")
        if ordered and self.steps and step < self.steps[-1]:
            raise BadInput(f"{where}: step {step} comes after step {self.steps[-1]}: sort or split the file")
        new = not (once and self.steps and step == self.steps[-1])
        if not new:
            for values in (self.steps, self.numbers, self.lengths, self.times):
                values.pop()
        self.steps.append(step)
        self.numbers.append(number)
        self.lengths.append(length)
        self.times.append(time)
        return new

    def rows(self) -> Iterator[tuple[int, float, int, float]]:
        """(step, number, length, seconds) of each row."""
        return zip(self.steps, self.numbers, self.lengths, self.times, strict=True)

    def of(self, indices: Sequence[int]) -> Column:
        """The rows at these places, in this order."""
        chosen = Column()
        for index in indices:
            row = (self.steps[index], self.numbers[index], self.lengths[index], self.times[index])
            chosen.add("", *row, once=False, ordered=False)
        return chosen

    def extend(self, other: Column) -> None:
        """Append another's rows, as they are."""
        self.steps.extend(other.steps)
        self.numbers.extend(other.numbers)
        self.lengths.extend(other.lengths)
        self.times.extend(other.times)


@dataclass
class Log:
    """One run as its files tell it.

    `source` is what the column of that name will hold. `episodes` and `metrics` (name -> column) have a row a step;
    `evaluations` (actions -> column) have as many rows at a step as it had episodes, or one with their mean. `env` and
    `seed` are None where the files do not tell. `ends`, if known: TERMINATED, TRUNCATED or their sum for each episode.
    `run` has other columns of `run`, `settings` hyperparameters as `store.records.runs.create` takes them. `remarks`
    are for the user. `sha256` is of what the run was read from, `original` the id of a run that dapo exported.
    """

    source: str
    path: Path
    files: dict[str, str] = field(default_factory=dict)
    sha256: str = ""
    original: str | None = None
    env: str | None = None
    seed: int | None = None
    algo: str | None = None
    episodes: Column = field(default_factory=Column)
    ends: bytearray = field(default_factory=bytearray)
    evaluations: dict[str, Column] = field(default_factory=dict)
    metrics: dict[str, Column] = field(default_factory=dict)
    wall_time: float = 0.0
    run: Mapping[str, Any] = field(default_factory=dict)
    settings: list[dict[str, Any]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def metric(self, name: str) -> Column:
        """The column of a metric, made at first use."""
        return self.metrics.setdefault(name, Column())

    def evaluation(self, actions: str) -> Column:
        """The column of the evaluations with these actions, made at first use."""
        return self.evaluations.setdefault(actions, Column())

    def columns(self) -> tuple[Column, ...]:
        """All of them; none may have a row."""
        return (self.episodes, *self.evaluations.values(), *self.metrics.values())

    @property
    def last_step(self) -> int:
        """The last environment step on record."""
        return max((column.steps[-1] for column in self.columns() if column), default=0)

    def counts(self) -> str:
        """`20 episodes, 3 evaluations, 4 metrics`."""
        evaluations = sum(len(set(column.steps)) for column in self.evaluations.values())
        parts = ((len(self.episodes), "episode"), (evaluations, "evaluation"), (len(self.metrics), "metric"))
        return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in parts if n)

    def episode_rows(self) -> Iterator[EpisodeRow]:
        """The training episodes in order."""
        for row, end in zip(self.episodes.rows(), self.ends or bytes(len(self.episodes)), strict=True):
            yield EpisodeRow(*row, bool(end & TERMINATED), bool(end & TRUNCATED))

    def evaluation_rows(self) -> Iterator[EvaluationRow]:
        """The evaluation episodes, numbered from 0 within each evaluation."""
        for actions, column in self.evaluations.items():
            before, number = -1, 0
            for step, return_, length in zip(column.steps, column.numbers, column.lengths, strict=True):
                number = number + 1 if step == before else 0
                before = step
                yield EvaluationRow(step, actions, number, return_, length)

    def metric_rows(self) -> Iterator[MetricRow]:
        """The diagnostics, one name after the other."""
        for name, column in self.metrics.items():
            for step, value in zip(column.steps, column.numbers, strict=True):
                yield MetricRow(name, step, value)
