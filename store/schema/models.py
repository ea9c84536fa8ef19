"""The published tables: what a run leaves behind, for people who read it with SQL, pandas or Datasette.

Conventions, also in docs/database.md: times are UTC, ISO 8601 text (`2026-11-20T10:44:54.123456Z`); ids are 16
hexadecimal digits; a number that may be non-finite stands beside a `*_kind` column that is NULL for a finite number and
"nan", "inf" or "-inf" otherwise (SQLite turns NaN into NULL, so the kind is the only place that tells).
"""

# ruff: noqa: RUF012 (mutable class attributes are how SQLAlchemy is told)
from __future__ import annotations

from sqlalchemy import BigInteger, Float, ForeignKey, Index, Integer, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

STATUSES = ("queued", "running", "interrupted", "completed", "diverged", "failed", "cancelled")
SWEEP_STATES = ("active", "paused", "cancelled")
ORIGINS = ("default", "preset", "file", "command line")


class Base(DeclarativeBase):
    """All tables of a results database."""

    # Steps, seeds and file sizes outgrow 32 bits, which is what other databases take INTEGER for.
    type_annotation_map = {int: BigInteger().with_variant(Integer(), "sqlite")}


def _of_run(*, primary_key: bool = True) -> Mapped[str]:
    return mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=primary_key)


class Run(Base):
    """One training run: what was asked for, what produced it, where it stands."""

    __tablename__ = "run"
    __table_args__ = (
        Index("run_by_algo_env", "algo", "env"),
        Index("run_by_created_at", "created_at"),
        Index("run_by_status", "status"),
        Index("run_by_configuration", "configuration"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="train")
    algo: Mapped[str]
    env: Mapped[str]
    seed: Mapped[int]
    status: Mapped[str]
    reason: Mapped[str | None] = mapped_column(Text)  # why it failed or diverged, in one line
    exactness: Mapped[str] = mapped_column(default="exact")  # "approximate" once a resume could not be exact
    steps: Mapped[int]  # the budget, in environment steps
    step: Mapped[int] = mapped_column(default=0)  # the last environment step on record
    wall_time: Mapped[float] = mapped_column(Float, default=0.0)  # seconds of training, over all sessions
    note: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str | None] = mapped_column(Text)  # where an imported run came from
    parent: Mapped[str | None]  # the run that it extends; no foreign key: the fact outlives that run
    sweep_id: Mapped[str | None] = mapped_column(ForeignKey("sweep.id", ondelete="SET NULL"))  # that asked first
    configuration: Mapped[
        str | None
    ]  # a hash of what it computes (store.records.configurations); NULL where that is unknown
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")  # that crashed since its last new checkpoint
    worker_id: Mapped[str | None]  # who has claimed it; no foreign key: workers come and go
    group_id: Mapped[str | None]  # of the seeds that one process trains as one batch
    group_size: Mapped[int | None]
    created_at: Mapped[str]
    started_at: Mapped[str | None]
    ended_at: Mapped[str | None]
    heartbeat_at: Mapped[str | None]  # last sign of life of the process that trains it
    # Provenance of the session that created the run; a resume adds an `event` with its own.
    command: Mapped[str | None] = mapped_column(Text)  # as typed, shell-quoted
    commit: Mapped[str | None]  # of dapo's source, where it runs from a clone
    dirty: Mapped[bool | None]  # uncommitted changes in that clone
    versions: Mapped[str | None] = mapped_column(Text)  # JSON object: package -> version
    host: Mapped[str | None]  # host and pid are those of the latest session, as they tell whether it is alive
    pid: Mapped[int | None]
    processor: Mapped[str | None]
    threads: Mapped[int | None]
    device: Mapped[str | None]
    backend: Mapped[str | None]  # of the matrix products, e.g. "oneDNN fp32"
    compiled: Mapped[bool | None]


class Tag(Base):
    """A word that the user hung on a run."""

    __tablename__ = "tag"

    run_id: Mapped[str] = _of_run()
    tag: Mapped[str] = mapped_column(primary_key=True, index=True)


class Hyperparameter(Base):
    """One resolved setting of a run, with where its value came from."""

    __tablename__ = "hyperparameter"
    __table_args__ = (Index("hyperparameter_by_name", "name", "value"),)

    run_id: Mapped[str] = _of_run()
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str | None] = mapped_column(Text)  # JSON, except that a string stands without its quotes
    type: Mapped[str]  # bool, int, float, str, list or null
    origin: Mapped[str]  # one of ORIGINS
    symbol: Mapped[str | None]  # as in the papers: β, m, τ


class Episode(Base):
    """One training episode. `number` counts from 0, `step` is the environment step at which it ended."""

    __tablename__ = "episode"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: Mapped[str] = _of_run()
    number: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[int]
    return_: Mapped[float | None] = mapped_column("return", Float)  # undiscounted sum of rewards
    return_kind: Mapped[str | None]
    length: Mapped[int]
    wall_time: Mapped[float] = mapped_column(Float)  # seconds of training up to its end
    terminated: Mapped[bool]
    truncated: Mapped[bool]


class Evaluation(Base):
    """One evaluation episode, played at training step `step`. `number` counts from 0 within that evaluation."""

    __tablename__ = "evaluation"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: Mapped[str] = _of_run()
    step: Mapped[int] = mapped_column(primary_key=True)
    actions: Mapped[str] = mapped_column(primary_key=True, default="mean")  # "mean" or "sampled"
    number: Mapped[int] = mapped_column(primary_key=True)
    return_: Mapped[float | None] = mapped_column("return", Float)
    return_kind: Mapped[str | None]
    length: Mapped[int]


class Metric(Base):
    """One diagnostic, such as `critic_loss`: its mean over the updates between the row before and this step."""

    __tablename__ = "metric"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: Mapped[str] = _of_run()
    name: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[float | None] = mapped_column(Float)
    value_kind: Mapped[str | None]


class Checkpoint(Base):
    """A complete checkpoint on disk; its row is written last, so a row means that the files are whole."""

    __tablename__ = "checkpoint"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: Mapped[str] = _of_run()
    step: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(Text)  # relative to the folder of the run's files
    bytes: Mapped[int]  # written for this checkpoint
    sha256: Mapped[str]  # of its manifest, which lists every file with its own
    created_at: Mapped[str]


class Event(Base):
    """Something that happened to a run: created, extended, resumed, interrupted, approximate, diverged, failed."""

    __tablename__ = "event"
    __table_args__ = (Index("event_by_run", "run_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = _of_run(primary_key=False)
    created_at: Mapped[str]
    step: Mapped[int | None]
    kind: Mapped[str]
    message: Mapped[str] = mapped_column(Text)
    data: Mapped[str | None] = mapped_column(Text)  # JSON object


class Sweep(Base):
    """A set of runs that was asked for together."""

    __tablename__ = "sweep"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    definition: Mapped[str] = mapped_column(Text)  # JSON object
    created_at: Mapped[str]
    state: Mapped[str] = mapped_column(default="active", server_default="active")  # one of SWEEP_STATES


class SweepRun(Base):
    """That a run belongs to a sweep. Two sweeps that ask for the same configuration share its run."""

    __tablename__ = "sweep_run"
    __table_args__ = (Index("sweep_run_by_run", "run_id"), {"sqlite_with_rowid": False})

    sweep_id: Mapped[str] = mapped_column(ForeignKey("sweep.id", ondelete="CASCADE"), primary_key=True)
    run_id: Mapped[str] = _of_run()
    position: Mapped[int]  # in the order of the sweep, from 0: workers take the lowest first


class Worker(Base):
    """A process that takes runs from the queue and has them trained."""

    __tablename__ = "worker"

    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    jobs: Mapped[int]  # how many runs it trains at once
    sweep: Mapped[str | None] = mapped_column(Text)  # the only sweep that it works for, by name; NULL: any
    started_at: Mapped[str]
    heartbeat_at: Mapped[str]
    ended_at: Mapped[str | None]  # NULL while it works, and for ever if it was killed
    message: Mapped[str | None] = mapped_column(Text)  # why it ended


class Selection(Base):
    """A frozen list of runs under a name: one row for each run."""

    __tablename__ = "selection"

    name: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(primary_key=True)  # no foreign key: a deleted run must be noticed
    created_at: Mapped[str]


class Export(Base):
    """One exported table or figure, with what is needed to compute it again."""

    __tablename__ = "export"

    key: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[str]
    command: Mapped[str] = mapped_column(Text)
    definition: Mapped[str] = mapped_column(Text)  # JSON object
