"""What a sweep adds to a database: which of its runs are there already, and whether the name is free for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dapo_cli.configuration.run_configuration import RunConfig, identity
from dapo_cli.errors import BadInput
from dapo_cli.sweeps.definition import grid, shards
from dapo_cli.sweeps.definition.shards import Shard
from dapo_cli.sweeps.definition.sweep_file import Definition
from store.errors import SweepNotFound
from store.queue import sweeps
from store.queue.sweeps import Enqueued
from store.records import runs
from store.records.insertion import NewRun
from store.session import Database

Row = dict[str, Any]


class Plan(NamedTuple):
    """A sweep beside what the database has.

    `held`: for each of `configs` the row of `run` that counts for it, or None where one will be made. `gone`: rows of
    the sweep's runs that the definition no longer asks for.
    """

    definition: Definition
    configs: list[RunConfig]
    held: list[Row | None]
    gone: list[Row]

    @property
    def waiting(self) -> list[tuple[RunConfig, int]]:
        """The runs that are not at an end, each with the environment steps that it has made."""
        pairs = zip(self.configs, self.held, strict=True)
        ended = ("completed", "diverged")
        return [(config, row["step"] if row else 0) for config, row in pairs if not row or row["status"] not in ended]


def new_run(config: RunConfig, provenance: Row | None = None) -> NewRun:
    """A configuration as the store records it. `provenance`: columns of `run` that say who asked for it."""
    settings = config.settings
    row = {
        "kind": "tuning" if config.tuning else "train",
        **{name: getattr(settings, name) for name in ("algo", "env", "seed", "steps")},
        "note": config.note,
        **(provenance or {}),
    }
    return NewRun(row, config.rows(), config.tags)


def make(location: str, definition: Definition, shard: Shard | None = None) -> Plan:
    """The runs of a definition (or shard) beside those in the database, which need not exist and is only read.

    Raises BadInput for a definition that cannot be, or that another sweep of its name contradicts.
    """
    configs = _configs(definition, shard)
    if "://" not in location and not Path(location).expanduser().exists():
        return Plan(definition, configs, [None] * len(configs), [])
    with Database.read(location) as db:
        return _beside(db, definition, configs)


def enqueue(
    location: str, definition: Definition, *, again: bool = False, shard: Shard | None = None
) -> tuple[Plan, Enqueued]:
    """Put what is not there yet into the queue; returns the plan and what became of it.

    Everything is validated before the database is opened for writing. `again`: runs of other sweeps do not count.
    Raises BadInput as `make`.
    """
    from dapo_cli.training import provenance

    configs = _configs(definition, shard)
    with Database.write(location) as db:
        plan = _beside(db, definition, configs)
        wanted = [new_run(config, {"command": provenance.command()}) for config in configs]
        kept = shards.portable(definition).content
        if plan.gone:  # smaller than it was: what it was stays its definition, as its runs stay its own
            kept = sweeps.get(db, definition.name)["definition"]
        id_ = shards.sweep_id(definition)
        return plan, sweeps.enqueue(db, definition.name, kept, wanted, again=again, new_id=id_)


def _configs(definition: Definition, shard: Shard | None) -> list[RunConfig]:
    configs = grid.expand(definition)
    return shards.part(configs, shard) if shard else configs


def _beside(db: Database, definition: Definition, configs: list[RunConfig]) -> Plan:
    wanted = [new_run(config) for config in configs]
    ids = sweeps.on_record(db, wanted)
    rows = {row["id"]: row for row in runs.listing(db)} if any(ids) else {}
    held = [rows.get(id_) if id_ else None for id_ in ids]
    gone, added = _compare(db, definition.name, {identity(config) for config in configs})
    if gone and added:
        raise BadInput(
            f"there is another sweep '{definition.name}': {len(gone)} of its runs are not in this one "
            f"({_words(gone)}), and {added} of this one's not in it: give this one another name"
        )
    return Plan(definition, configs, held, gone)


def _compare(db: Database, name: str, wanted: set[str]) -> tuple[list[Row], int]:
    """Runs of the sweep of that name which are not wanted, and how many are wanted that it has not."""
    try:
        sweep = sweeps.get(db, name)
    except SweepNotFound:
        return [], len(wanted)
    members = runs.listing(db, where=sweeps.members(sweep["id"]))
    own = {row["configuration"] for row in members}
    return [row for row in members if row["configuration"] not in wanted], len(wanted - own)


def _words(rows: Sequence[Row]) -> str:
    first = rows[0]
    return f"such as {first['algo']} on {first['env']} with seed {first['seed']}"
