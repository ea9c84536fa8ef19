"""What is particular to SQLite: how a file is opened for reading and for writing, and on which disks it may use WAL."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

BUSY_TIMEOUT = 30.0  # seconds that a connection waits for another's lock
LOWER = "dapo_lower"

# Write-ahead logging needs memory shared between all processes that open the file, which network disks don't have.
_LOCAL_DISKS = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "bcachefs", "f2fs", "jfs", "reiserfs"}
_LOCAL_DISKS |= {"tmpfs", "ramfs", "overlay", "aufs", "apfs", "hfs", "ufs"}
_MAGIC = b"SQLite format 3\0"
_HEADER_WAL = _MAGIC + b"\x10\x00\2\2"


def connect_writing(path: Path, *, create: bool = True) -> sqlite3.Connection:
    """A connection that reads and writes; it creates the file if there is none, and if it may.

    Transactions are begun by us (see Database), as the driver would begin them too late: at the first INSERT.
    """
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    teach(connection)
    return connection


def teach(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that `store.connection.folding` needs."""
    connection.create_function(LOWER, 1, _lower, deterministic=True)


def _lower(value: object) -> str | None:
    return None if value is None else str(value).lower()


def wal_of(path: Path) -> Path:
    """The write-ahead log, which exists while a process has the database open in WAL mode (or died doing so)."""
    return companions(path)[0]


def companions(path: Path) -> list[Path]:
    """The files that SQLite keeps beside the database while it is open, and writes to: log, index, rollback journal."""
    place = Path(os.path.realpath(path)) if path.is_symlink() else path  # of a link, they lie beside the file
    return [place.with_name(place.name + ending) for ending in ("-wal", "-shm", "-journal")]


def names(path: Path) -> tuple[Path, Path, Path]:
    """The database, its write-ahead log, and the index of that, which is there as long as the log is."""
    wal = wal_of(path)
    return path, wal, wal.with_name(wal.name.removesuffix("wal") + "shm")


def has_log(path: Path) -> bool:
    """Whether the write-ahead log holds anything: a writer has the file open, or left without writing it back."""
    try:
        return wal_of(path).stat().st_size > 0
    except FileNotFoundError:
        return False


def header(path: Path) -> bytes:
    """The first 20 bytes: enough to tell an SQLite file and its journal mode; empty for an empty or missing file.

    Beside a write-ahead log they are known, and the file is left alone: to close a file drops all locks that this
    process has on it (POSIX), also those of a connection of SQLite's that is still writing.
    """
    try:
        if path.stat().st_size > 0 and wal_of(path).exists():
            return _HEADER_WAL
        with path.open("rb") as file:
            return file.read(20)
    except FileNotFoundError:
        return b""


def uses_wal(header: bytes) -> bool:
    """Whether the SQLite file that starts with `header` is in WAL mode."""
    return header.startswith(_MAGIC) and header[18:19] == b"\2"


def is_idle(path: Path) -> bool:
    """Whether nobody writes to the file, which is in WAL mode."""
    return not has_log(path) and uses_wal(header(path))


def wants_wal(path: Path) -> bool:
    """Whether the disk that holds `path` may use WAL: a local one, or any where the system can't tell."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return True
    mounts = (_mount(line) for line in lines)
    place = Path(os.path.realpath(path)).parent
    over = [
        (len(point.parts), index, kind) for index, (point, kind) in enumerate(mounts) if place.is_relative_to(point)
    ]
    return not over or max(over)[2] in _LOCAL_DISKS


def _mount(line: str) -> tuple[Path, str]:
    before, _, after = line.partition(" - ")
    point = before.split(" ")[4]
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, character)
    return Path(point), after.split(" ")[0]


def set_journal_mode(path: Path) -> None:
    """Put the file (created if missing) into the journal mode that suits its disk."""
    connection = connect_writing(path)
    try:
        if wants_wal(path):
            connection.execute("PRAGMA journal_mode = WAL")
        else:
            connection.execute("PRAGMA journal_mode = DELETE")
    finally:
        connection.close()
