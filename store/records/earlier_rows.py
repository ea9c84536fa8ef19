"""What an earlier session of a run left beyond the checkpoint from which the run goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, select

from store.schema.models import Base
from store.session import Database

Row = Mapping[str, Any]
Key = tuple[Any, ...]

_KEYS = {"episode": ("number",), "evaluation": ("step", "actions", "number"), "metric": ("name", "step")}
_NOT_COMPARED = {"run_id", "wall_time"}


@dataclass(frozen=True)
class Difference:
    """A row on record that the resumed run computed otherwise, or did not reach (`recomputed` is None)."""

    table: str
    recorded: Row
    recomputed: Row | None

    @property
    def step(self) -> int:
        """The environment step at which the two histories part."""
        steps = [int(row["step"]) for row in (self.recorded, self.recomputed) if row is not None]
        return min(steps)

    def __str__(self) -> str:
        row = self.recorded
        what = {
            "episode": "episode {number}",
            "evaluation": "evaluation episode {number} at step {step}",
            "metric": "{name} at step {step}",
        }[self.table].format_map(row)
        return f"the resumed run differs from its record, first in {what}"

    def data(self) -> dict[str, Any]:
        """For the event: the table, and the row as it was and as it is."""
        recomputed = None if self.recomputed is None else {name: self.recomputed[name] for name in self.recorded}
        return {"table": self.table, "recorded": dict(self.recorded), "recomputed": recomputed}


@dataclass(frozen=True)
class Comparison:
    """What a batch of recomputed rows says of the record."""

    new: Mapping[Table, Sequence[Row]]  # rows of the batch that are not on record as they are
    rest: Recorded  # rows on record that wait on
    obsolete: Recorded  # rows on record that have to go: after a difference, all beyond the checkpoint that still wait
    difference: Difference | None  # the earliest


class Recorded:
    """Rows that wait to be confirmed by their recomputation, by table and key. Instances don't change."""

    def __init__(self, run_id: str, start: int, rows: Mapping[str, Mapping[Key, Row]]) -> None:
        self._run_id = run_id
        self._start = start
        self._rows = rows

    @classmethod
    def after(cls, db: Database, run_id: str, step: int) -> Recorded:
        """The rows of a run beyond the checkpoint at `step`.

        Those at `step` itself are among them, as they may have been recorded after the checkpoint; they may also have
        been before, so they are not expected to come again.
        """
        rows = {}
        with db.connect() as session:
            for name, key in _KEYS.items():
                table = Base.metadata.tables[name]
                columns = [column for column in table.c if column.name not in _NOT_COMPARED]
                query = select(*columns).where(table.c.run_id == run_id, table.c.step >= step)
                found = [dict(row) for row in session.execute(query).mappings()]
                rows[name] = {tuple(row[part] for part in key): row for row in found}
        return cls(run_id, step, rows)

    def __bool__(self) -> bool:
        return any(self._rows.values())

    def compare(self, batch: Mapping[Table, Sequence[Row]], complete_to: int | None) -> Comparison:
        """Confirm rows by recomputed ones. `complete_to`: every row before this step has been recomputed by now."""
        waiting = {name: dict(rows) for name, rows in self._rows.items()}
        new: dict[Table, list[Row]] = {table: [] for table in batch}
        differences = []
        replaced = set()
        for table, rows in batch.items():
            for row in rows:
                key = tuple(row[part] for part in _KEYS.get(table.name, ()))
                recorded = waiting.get(table.name, {}).get(key)
                if recorded is None:
                    new[table].append(row)
                elif all(row[name] == value for name, value in recorded.items()):
                    del waiting[table.name][key]
                else:
                    new[table].append(row)
                    replaced.add((table.name, key))
                    differences.append(Difference(table.name, recorded, row))
        if complete_to is not None:
            differences += [
                Difference(name, recorded, None)
                for name, left in waiting.items()
                for recorded in left.values()
                if self._start < recorded["step"] < complete_to
            ]
        first = min(differences, key=lambda difference: difference.step, default=None)
        gone: dict[str, dict[Key, Row]] = {name: {} for name in waiting}
        for name, left in waiting.items() if first is not None else ():
            for key in [key for key, row in left.items() if row["step"] > self._start or (name, key) in replaced]:
                gone[name][key] = left.pop(key)
        return Comparison(new, self._with(waiting), self._with(gone), first)

    def _with(self, rows: Mapping[str, Mapping[Key, Row]]) -> Recorded:
        return Recorded(self._run_id, self._start, rows)

    def delete(self, connection: Connection) -> None:
        """Delete these rows from the database."""
        for name, rows in self._rows.items():
            table, key = Base.metadata.tables[name], _KEYS[name]
            matches = [table.c[part] == bindparam(f"old_{part}") for part in key]
            statement = delete(table).where(table.c.run_id == self._run_id, *matches)
            parameters = [{f"old_{part}": row[part] for part in key} for row in rows.values()]
            if parameters:
                connection.execute(statement, parameters)
