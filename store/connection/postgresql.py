"""What is particular to PostgreSQL: how a server is connected to, and how it keeps transactions apart.

A writer's transaction takes a lock that only other writers want, as SQLite has it, so that what it read is still true
when it commits; those who write only rows of their own do without (`shared` in `Database.transaction`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, text

from store.connection import sqlite

# Numbers of advisory locks ("dapo" and neighbours), which no other program is likely to take.
SCHEMA, WRITERS, MERGE = 0x6461706F, 0x64617070, 0x64617071

# Without these, a machine that vanishes is noticed after minutes or hours; as libpq calls them, in seconds (and ms).
_CONNECT = {
    "application_name": "dapo",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


def engine(url: URL) -> Engine:
    """An engine that keeps one connection: a hundred runs on a server that allows a hundred are no rarity.

    It waits for locks as long as SQLite does. What is committed is on the server's disk, even if the server is set up
    otherwise: a run forgets rows once they are committed.
    """
    logging.getLogger("psycopg").addHandler(logging.NullHandler())  # its warnings are no lines for the user
    wanted = {**_CONNECT, "options": f"-c lock_timeout={int(sqlite.BUSY_TIMEOUT * 1000)} -c synchronous_commit=on"}
    options = {name: value for name, value in wanted.items() if name not in url.query}
    url = url.difference_update_query(["files"])  # ours, not the driver's
    return create_engine(url, poolclass=QueuePool, pool_size=1, pool_pre_ping=True, connect_args=options)


def reading(connection: Connection) -> Connection:
    """The connection for a transaction that only reads, and whose statements all see the same state."""
    return connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def lock(connection: Connection, key: int) -> None:
    """Wait for an advisory lock, until the end of the transaction."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


@contextmanager
def alone(engine: Engine, key: int) -> Iterator[None]:
    """One body at a time, of all processes on all machines."""
    with engine.connect() as connection:
        lock(connection, key)
        yield
