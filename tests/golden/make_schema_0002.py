"""Makes schema-0002.db, a database as the second revision left it: python tests/golden/make_schema_0002.py

The file is kept, not made anew: it stands for the databases that users have. It is schema-0001.db upgraded, with a
sweep of one of its runs, a selection, an export, and a run that came from elsewhere.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from sqlalchemy import create_engine

from store.schema.migrations import migrate

SOURCE = Path(__file__).with_name("schema-0001.db")
TARGET = Path(__file__).with_name("schema-0002.db")
TIME = "2026-11-21T10:00:00.000000Z"


def main() -> None:
    shutil.copyfile(SOURCE, TARGET)
    engine = create_engine(f"sqlite:///{TARGET}")
    with engine.begin() as connection:
        migrate(connection, "0002")
    engine.dispose()
    connection = sqlite3.connect(TARGET)
    with connection:
        connection.execute("INSERT INTO sweep VALUES ('5', 'temperatures', '{}', ?)", [TIME])
        connection.execute("UPDATE run SET sweep_id = '5' WHERE algo = 'sac'")
        connection.execute("UPDATE run SET source = 'elsewhere.db' WHERE algo = 'dapo-kl'")
        connection.execute("INSERT INTO selection VALUES ('paper', ?, ?)", ["0" * 16, TIME])
        connection.execute("INSERT INTO export VALUES ('fig1', ?, 'dapo table', '{}')", [TIME])
    connection.execute("VACUUM")
    connection.close()


if __name__ == "__main__":
    main()
