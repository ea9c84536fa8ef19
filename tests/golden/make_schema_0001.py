"""Makes schema-0001.db, a database as the first revision left it: python tests/golden/make_schema_0001.py

The file is kept, not made anew: it stands for the databases that users have. Runs: one completed, one diverged.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import create_engine

from store.schema.migrations import migrate

TARGET = Path(__file__).with_name("schema-0001.db")
TIME = "2026-11-20T10:00:{:02d}.000000Z"


def main() -> None:
    TARGET.unlink(missing_ok=True)
    engine = create_engine(f"sqlite:///{TARGET}")
    with engine.begin() as connection:
        migrate(connection, "0001")
    engine.dispose()
    connection = sqlite3.connect(TARGET)
    with connection:
        for number, (algo, status, note) in enumerate([("sac", "completed", "Grüße"), ("dapo-kl", "diverged", None)]):
            fill(connection, f"{number:016x}", algo, status, note)
    connection.execute("VACUUM")
    connection.close()


def fill(connection: sqlite3.Connection, run: str, algo: str, status: str, note: str | None) -> None:
    def insert(table: str, *rows: tuple[object, ...]) -> None:
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)

    reason = "critic_loss is nan at step 900" if status == "diverged" else None
    asked = (run, "train", algo, "HalfCheetah-v4", 0, status, reason, "exact", 1000, 1000, 4.5, note)
    times = tuple(TIME.format(second) for second in (0, 1, 30, 30))
    command = f"dapo train --algo {algo} --env HalfCheetah-v4 --steps 1000"
    made = (command, "0f" * 20, 0, '{"torch": "2.13.0"}', "host", 17, "AMD EPYC", 1, "cpu", "oneDNN fp32", 0)
    insert("run", asked + times + made)
    insert("tag", (run, "first"), (run, "paper"))
    insert(
        "hyperparameter",
        (run, "beta", "0.5", "float", "default", "β"),
        (run, "hidden_sizes", "[256, 256]", "list", "preset", None),
        (run, "temperature", "auto", "str", "command line", "τ"),
    )
    insert("episode", *((run, n, 100 * (n + 1), -1.5 * n, None, 100, 0.45 * n, 0, 1) for n in range(9)))
    insert("episode", (run, 9, 1000, None, "nan", 100, 4.5, 0, 1))
    insert("evaluation", *((run, 1000, "mean", n, 10.0 + n, None, 100) for n in range(5)))
    insert("metric", *((run, "critic_loss", step, step / 7, None) for step in (250, 500, 750)))
    insert("metric", (run, "critic_loss", 1000, None, "inf"))
    insert("checkpoint", (run, 1000, "checkpoints/1000", 4096, "ab" * 32, TIME.format(29)))
    insert("event", (None, run, TIME.format(0), None, "created", command, None))
    insert("event", (None, run, TIME.format(30), 1000, status, reason or status, '{"step": 1000}'))


if __name__ == "__main__":
    main()
