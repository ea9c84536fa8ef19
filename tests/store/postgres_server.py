"""A real PostgreSQL server of one's own, in a temporary folder and on a Unix socket, gone when it is no longer needed.

By hand, for a benchmark or to try a command on it:

    python tests/store/postgres_server.py
"""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, create_engine, make_url

INSTALLED = "/usr/lib/postgresql/*/bin"  # where Debian has what it does not put on the path
NAME = "runs"  # the database that is there from the start


class Server:
    """A running server; `url` names its empty database `runs`. Nobody else can reach its socket."""

    def __init__(self, folder: Path, *, settings: tuple[str, ...], sync: bool, passwords: bool) -> None:
        self._bin = programs()
        self._data, self._socket = folder / "data", folder
        self._settings = (*settings, *(() if sync else ("fsync=off", "full_page_writes=off")))
        # The server refuses to run as root: Debian's package made a user for it.
        self._user = "postgres" if os.getuid() == 0 else getpass.getuser()
        if os.getuid() == 0:
            shutil.chown(folder, self._user)
        secret = folder / "secret"
        secret.write_text("open sesame\n")
        secret.chmod(0o644)
        how = ["--auth=scram-sha-256", f"--pwfile={secret}"] if passwords else ["--auth=trust"]
        # A language's collation, as most servers have one, not the bytes' order that SQLite has.
        order = ["--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
        self._run("initdb", "-D", str(self._data), "-U", "dapo", "--no-sync", *how, *order)
        self.url = URL.create(
            "postgresql", "dapo", "open sesame" if passwords else None, database=NAME, query={"host": str(folder)}
        )
        self.start()
        self.execute(f"CREATE DATABASE {NAME}")

    def location(self, name: str = NAME, **query: str) -> str:
        """The database of this name as `--db` takes it."""
        return self.url.set(database=name).update_query_dict(query).render_as_string(hide_password=False)

    def start(self) -> None:
        """Start it; returns when it answers."""
        options = ["listen_addresses=", f"unix_socket_directories={self._socket}", "max_connections=150"]
        flags = " ".join(f"-c {option}" for option in (*options, *self._settings))
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._data / "log"), "-w", "-o", flags, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` ends all connections, `immediate` is a crash."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def execute(self, statement: str, name: str = "postgres") -> None:
        """Run one statement outside a transaction."""
        engine = create_engine(make_url(self.location(name)), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def _run(self, program: str, *arguments: str) -> None:
        user = {} if os.getuid() else {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []}
        # Its output goes to a file: the server would keep a pipe open.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [str(self._bin / program), *arguments], stdout=output, stderr=output, cwd="/", check=False, **user
            )
            output.seek(0)
            if done.returncode:
                raise RuntimeError(f"{program}: {output.read()}")


def programs() -> Path:
    """The folder of initdb and pg_ctl; FileNotFoundError."""
    installed = sorted(Path("/").glob(f"{INSTALLED.lstrip('/')}/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb") or (installed[-1] if installed else None)
    if found is None:
        raise FileNotFoundError("no PostgreSQL server here: install Debian's package postgresql")
    return Path(found).resolve().parent


@contextmanager
def serve(*settings: str, sync: bool = False, passwords: bool = False) -> Iterator[Server]:
    """A server with these settings (`shared_buffers=1GB`). `sync`: it waits for the disk, as a real one does."""
    folder = Path(tempfile.mkdtemp(prefix="dapo-postgres-"))  # not in a test's folder: a socket's path is short
    try:
        server = Server(folder, settings=settings, sync=sync, passwords=passwords)
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    with serve(sync=True) as started:
        print(f"{started.location()}\nuntil Ctrl-C", flush=True)  # noqa: T201
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
