"""Makes schema-0003.db, a database as the third revision left it: python tests/golden/make_schema_0003.py

The file is kept, not made anew: it stands for the databases that users have. It is schema-0002.db upgraded, in which
one run extends the other and a second run belongs to the sweep.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from sqlalchemy import create_engine

from store.schema.migrations import migrate

SOURCE = Path(__file__).with_name("schema-0002.db")
TARGET = Path(__file__).with_name("schema-0003.db")


def main() -> None:
    shutil.copyfile(SOURCE, TARGET)
    engine = create_engine(f"sqlite:///{TARGET}")
    with engine.begin() as connection:
        migrate(connection, "0003")
    engine.dispose()
    connection = sqlite3.connect(TARGET)
    with connection:
        connection.execute("UPDATE run SET parent = ?, sweep_id = '5' WHERE algo = 'dapo-kl'", ["0" * 16])
    connection.execute("VACUUM")
    connection.close()


if __name__ == "__main__":
    main()
