"""Publishes a results database as `runs.db.example`: its runs that have ended, without what is the machine's.

    python benchmarks/example_database.py EVIDENCE.db [MORE.db …] [--out runs.db.example]

Several databases are merged. To go on from what is published, take the runs back first: dapo merge runs.db.example.
docs/protocol.md says which runs are made, and benchmarks/evidence.py writes docs/results.md from them.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from sqlalchemy import text

from dapo_cli import publishing
from store.session import Database

ROOT = Path(__file__).resolve().parents[1]
STATEMENTS = """\
DELETE FROM checkpoint
DELETE FROM run WHERE status IN ('queued', 'running', 'interrupted')
DELETE FROM sweep_run WHERE run_id NOT IN (SELECT id FROM run)
DELETE FROM sweep WHERE id NOT IN (SELECT sweep_id FROM sweep_run)
UPDATE event SET message = 'from the path that the command names' WHERE kind = 'imported'
"""


def publish(sources: list[Path], target: Path) -> None:
    """Writes the target anew."""
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder) / "example.db"
        command = [sys.executable, "-m", "dapo_cli", "merge", *map(str, sources), "--db", str(aside)]
        subprocess.run(command, check=True)
        with Database.write(str(aside)) as db, db.transaction() as session:
            for statement in STATEMENTS.splitlines():
                session.execute(text(statement))
            redaction = publishing.redaction(db, anonymous=True)
        connection = sqlite3.connect(aside, isolation_level=None)
        redaction.apply(connection)
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")
        connection.close()
        target.write_bytes(aside.read_bytes())


def main() -> None:
    """Reads the options and publishes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("databases", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "runs.db.example")
    options = parser.parse_args()
    publish(options.databases, options.out)


if __name__ == "__main__":
    main()
