"""The files under a folder as `shim.c` sees them: what was done to them, and what of it a power failure leaves."""

from __future__ import annotations

import ctypes
import random
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

KINDS = ("open", "write", "sync", "rename", "unlink", "mkdir", "link", "truncate")
_O_CREAT, _O_TRUNC = 0o100, 0o1000
_HEAD = struct.Struct("6q")


class Done(NamedTuple):
    """One operation: `at` is the offset of a write, the size of a truncation or the flags of an opening."""

    kind: str
    failed: bool
    at: int
    path: str
    other: str
    data: bytes


def build(folder: Path) -> Path:
    """Compiles the shim; returns what to preload."""
    library = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"], check=True)
    return library


class Fault(NamedTuple):
    """The `nth` operation of this kind fails; if `forever`, so does every one of any kind after it."""

    kind: str = "open"
    nth: int = 0  # none
    forever: bool = False
    error: int = 0


def arm(folder: Path, journal: Path, fault: Fault) -> None:
    """From now on, in this process: writes down what happens in the folder, and lets it fail."""
    names = str(folder).encode(), str(journal).encode()
    kind = KINDS.index(fault.kind) + 1
    ctypes.CDLL(None).arm(*names, kind, ctypes.c_long(fault.nth), int(fault.forever), fault.error)


def read(journal: Path) -> list[Done]:
    """What was written down."""
    content, place, found = journal.read_bytes(), 0, []
    while place < len(content):
        kind, failed, at, length, first, second = _HEAD.unpack_from(content, place)
        place += _HEAD.size
        parts = []
        for size in (first, second, length):
            parts.append(content[place : place + size])
            place += size
        found.append(Done(KINDS[kind - 1], bool(failed), at, parts[0].decode(), parts[1].decode(), parts[2]))
    return found


class _File:
    """Its content as all see it, what of that is on the disk for certain, and the changes that may be or not."""

    def __init__(self, content: bytes = b"") -> None:
        self.live, self.synced = bytearray(content), bytes(content)
        self.loose: list[tuple[int, bytes | None]] = []

    def change(self, at: int, data: bytes | None) -> None:
        _apply(self.live, at, data)
        self.loose.append((at, data))

    def sync(self) -> None:
        self.synced, self.loose = bytes(self.live), []

    def left(self, chance: random.Random | None) -> bytes:
        content = bytearray(self.synced)
        for at, data in self.loose:
            if chance is not None and chance.random() < 0.5:
                _apply(content, at, data)
        return bytes(content)


class _Folder:
    """Its names as all see them, and those that are on the disk for certain."""

    def __init__(self) -> None:
        self.live: dict[str, _File | _Folder] = {}
        self.synced: dict[str, _File | _Folder] = {}

    def sync(self) -> None:
        self.synced = dict(self.live)


class Disk:
    """A folder whose operations are done again one by one; at any moment the power may fail."""

    def __init__(self, folder: Path) -> None:
        """All that is there now is on the disk."""
        self._at = folder
        self._root = _Folder()
        for path in sorted(folder.rglob("*")):
            home, name = self._home(str(path))
            home.live[name] = _Folder() if path.is_dir() else _File(path.read_bytes())
            home.sync()

    def do(self, operations: Iterable[Done]) -> None:
        """Does what was done; what failed, half-done writes aside, was not."""
        for done in operations:
            if not done.failed or done.kind == "write":
                self._do(done)

    def after_power_failure(self, target: Path, how: str, chance: random.Random) -> None:
        """Writes into the new folder `target` what is left.

        `how`: "synced", only what was brought to the disk, names included; "names", files lose what was not synced and
        keep their names; "some", of names and writes that were not synced, some; "all", nothing is lost.
        """
        self._leave(self._root, target, how, chance)

    def _leave(self, folder: _Folder, target: Path, how: str, chance: random.Random) -> None:
        target.mkdir()
        live = how in ("names", "all") or (how == "some" and chance.random() < 0.5)
        for name, node in (folder.live if live else folder.synced).items():
            if isinstance(node, _Folder):
                self._leave(node, target / name, how, chance)
            elif not name.endswith("-shm"):  # shared memory: SQLite makes it anew
                content = bytes(node.live) if how == "all" else node.left(chance if how == "some" else None)
                (target / name).write_bytes(content)

    def _do(self, done: Done) -> None:
        if done.path.endswith(" (deleted)"):
            return
        if done.kind in ("write", "sync", "truncate"):
            node = self._node(done.path)
            if done.kind == "sync":
                node.sync()
            elif isinstance(node, _File):
                node.change(done.at, done.data if done.kind == "write" else None)
            return
        if Path(done.path) == self._at:  # opened, to be brought to the disk
            return
        home, name = self._home(done.path)
        if done.kind == "open":
            self._open(home.live, name, done.at)
        elif done.kind == "mkdir":
            home.live[name] = _Folder()
        elif done.kind == "unlink":
            del home.live[name]
        else:
            other, target = self._home(done.other)
            other.live[target] = home.live[name]
            if done.kind == "rename":
                del home.live[name]

    def _open(self, names: dict[str, _File | _Folder], name: str, flags: int) -> None:
        if name not in names and flags & _O_CREAT:
            names[name] = _File()
        elif name not in names:  # safetensors renames what it wrote by a system call of its own
            (written,) = (other for other in names if other.startswith(".tmp"))
            names[name] = names.pop(written)
        node = names.get(name)
        if isinstance(node, _File) and flags & _O_TRUNC and node.live:
            node.change(0, None)

    def _home(self, path: str) -> tuple[_Folder, str]:
        *folders, name = Path(path).relative_to(self._at).parts
        home = self._root
        for part in folders:
            found = home.live[part]
            assert isinstance(found, _Folder)
            home = found
        return home, name

    def _node(self, path: str) -> _File | _Folder:
        if Path(path) == self._at:
            return self._root
        home, name = self._home(path)
        return home.live[name]


def _apply(content: bytearray, at: int, data: bytes | None) -> None:
    """A write, or, without data, a truncation."""
    if data is None:
        del content[at:]
        content.extend(bytes(at - len(content)))
    else:
        content.extend(bytes(max(at - len(content), 0)))
        content[at : at + len(data)] = data


def spread(last: int, most: int, shift: float = 0.5) -> list[int]:
    """At most so many of the numbers 1 … last, evenly; 0 <= `shift` < 1 chooses other ones."""
    if last <= most:
        return list(range(1, last + 1))
    return [1 + int((i + shift) * last / most) for i in range(most)]
