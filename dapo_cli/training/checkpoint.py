"""Checkpoints: everything a run needs to go on as if nothing had happened.

In the run's folder: `replay/<first>-<last>.safetensors`, transitions appended since the checkpoint before, and
`checkpoints/<step>/` with `tensors.safetensors` and `manifest.json` (counters, and the SHA-256 of every file). A
checkpoint is written aside, flushed and renamed, and its row is inserted last: a row means that the files are whole. No
pickle anywhere.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from algorithms.learner.base import Learner
from dapo_cli.errors import BadInput, DapoError
from store.connection import run_files
from store.connection.durable import flush
from store.errors import CannotWrite
from store.records import runs
from store.session import Database

FORMAT = 2  # 1 had no diagnostics at the end of a policy iteration
KEPT = 2  # checkpoints of a run: the last, and one to fall back on

# A database or a manifest may come from anywhere: what it names is opened and deleted only if it is a name of ours.
_CHECKPOINT = re.compile(r"checkpoints/\d{12}")
_FILE = re.compile(r"tensors\.safetensors")
_SEGMENT = re.compile(r"\d{12}-\d{12}\.safetensors")
_LEFT_OVER = re.compile(r"\d{12}-\d{12}\.(safetensors|partial)")  # what pruning may delete


class Unusable(DapoError):
    """A checkpoint whose files are missing, damaged or of another format."""


class Loaded(NamedTuple):
    """A checkpoint as read: the loop's own numbers and tensors, and what the run looked like then."""

    step: int
    loop: dict[str, Any]
    tensors: dict[str, Tensor]
    fingerprint: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, db: Database, run_id: str) -> None:
        self._db, self._run_id = db, run_id
        self._segments: list[dict[str, Any]] = []  # of the replay on disk: file, start, stop, sha256

    @property
    def _folder(self) -> Path:
        return self._db.run_folder(self._run_id)  # elsewhere, once the database had to move

    def save(
        self, step: int, learner: Learner, loop: dict[str, Any], tensors: dict[str, Tensor], fingerprint: dict[str, Any]
    ) -> None:
        """Writes a checkpoint and its row. Everything recorded up to `step` must be committed before."""
        runs.add_checkpoint(self._db, self._run_id, **self.write(step, learner, loop, tensors, fingerprint))
        self._prune()

    def write(
        self, step: int, learner: Learner, loop: dict[str, Any], tensors: dict[str, Tensor], fingerprint: dict[str, Any]
    ) -> dict[str, Any]:
        """Writes the files of a checkpoint, and returns the row that makes it one: step, path, size, sha256."""
        name = f"{step:012d}"
        final = self._folder / "checkpoints" / name
        aside = final.with_name(f"{name}.partial")
        try:
            written = self._append_replay(learner)
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            file = aside / "tensors.safetensors"
            save_file({**learner.tensors(), **tensors}, file)
            manifest = {
                "format": FORMAT,
                "step": step,
                "files": {file.name: _sha256(file)},
                "replay": self._segments,
                "learner": learner.counters(),
                "loop": loop,
                "fingerprint": fingerprint,
            }
            (aside / "manifest.json").write_text(json.dumps(manifest, indent=1))
            for path in aside.iterdir():
                flush(path)
                written += path.stat().st_size
            if final.exists():  # at this step, but before its evaluation
                runs.remove_checkpoint(self._db, self._run_id, step)
                shutil.rmtree(final)
            aside.rename(final)
            for folder in (final, final.parent, self._folder):
                flush(folder)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(aside, ignore_errors=True)
            cause = getattr(error, "strerror", None) or error
            raise CannotWrite(f"cannot write a checkpoint in {self._folder} ({cause}): make room there") from error
        name = str(final.relative_to(self._folder))
        return {"step": step, "path": name, "size": written, "sha256": _sha256(final / "manifest.json")}

    def load(
        self, learner: Learner | None, with_replay: bool = True, forget: bool = False
    ) -> tuple[Loaded | None, list[str]]:
        """Restores the newest usable checkpoint into the learner, None if the run has none; also what was unusable.

        Without a learner one is usable if its files are whole.
        BadInput if there are some and none is usable; ForeignFile if a link is in the run's folder. With `forget`,
        unusable ones are deleted once an older one is restored. Without its replay, which a completed run has dropped,
        the learner's is empty.
        """
        run_files.check(self._folder)
        complaints: list[str] = []
        unusable: list[dict[str, Any]] = []
        for row in runs.checkpoints(self._db, self._run_id):
            try:
                loaded = self._load(row, learner, with_replay)
            except Unusable as error:
                complaints.append(f"checkpoint at step {row['step']} is unusable: {error}")
                unusable.append(row)
            else:
                if forget:
                    self._remove(unusable)
                return loaded, complaints
        if unusable:
            where = self._folder / "checkpoints"
            raise BadInput(f"{complaints[0]}, and none before it is better: bring {where} back, or train the run anew")
        return None, complaints

    def inherit_replay(self, parent: Checkpoints) -> None:
        """Takes over the replay that `parent` has loaded. Its files never change, so that both runs may share them."""
        source, target = (checkpoints._folder / "replay" for checkpoints in (parent, self))
        try:
            target.mkdir(parents=True, exist_ok=True)
            for segment in parent._segments:
                _link_or_copy(source / segment["file"], target / segment["file"])
            flush(target)
        except OSError as error:
            raise CannotWrite(f"cannot write the replay in {target} ({error.strerror}): make room there") from error
        self._segments = list(parent._segments)

    def drop_replay(self) -> None:
        """Deletes the replay of a completed run; its last checkpoint keeps the networks."""
        shutil.rmtree(self._folder / "replay", ignore_errors=True)

    def _append_replay(self, learner: Learner) -> int:
        """Writes the transitions that are not on disk yet. Returns the bytes written."""
        total, capacity, folder = learner.replay.total, learner.replay.capacity, self._folder / "replay"
        if not all((folder / segment["file"]).is_file() for segment in self._segments):
            self._segments = []  # somebody removed them, and a checkpoint needs all: write them again
        start = max(self._segments[-1]["stop"] if self._segments else 0, total - capacity)
        if start == total:
            return 0
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{start:012d}-{total:012d}.safetensors"
        aside = file.with_suffix(".partial")
        save_file({"rows": learner.replay.read(start, total)}, aside)
        flush(aside)
        aside.rename(file)
        flush(folder)
        self._segments = [s for s in self._segments if s["stop"] > total - capacity]
        self._segments.append({"file": file.name, "start": start, "stop": total, "sha256": _sha256(file)})
        return file.stat().st_size

    def _load(self, row: dict[str, Any], learner: Learner | None, with_replay: bool) -> Loaded:
        try:
            folder = self._folder / _ours(_CHECKPOINT, row["path"])
            manifest = json.loads(_verified(folder / "manifest.json", row["sha256"]))
            if manifest["format"] != FORMAT:
                raise Unusable(f"format {manifest['format']}, where this dapo reads {FORMAT}")
            if manifest["step"] != row["step"]:
                raise Unusable(f"it is of step {str(manifest['step'])[:40]}, and recorded as one of step {row['step']}")
            for name, sha256 in manifest["files"].items():
                _verified(folder / _ours(_FILE, name), sha256)
            listed = manifest["replay"] if with_replay else []
            segments = [(self._folder / "replay" / _ours(_SEGMENT, s["file"]), s) for s in listed]
            for file, segment in segments:
                _verified(file, segment["sha256"])
            tensors = load_file(folder / "tensors.safetensors")
            if learner is not None:
                learner.restore(tensors, manifest["learner"])
                for file, segment in segments:
                    learner.replay.write(segment["start"], load_file(file)["rows"])
            loaded = Loaded(manifest["step"], manifest["loop"], tensors, manifest["fingerprint"])
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise Unusable(f"it does not fit this dapo's {row['path']}: {' '.join(str(error).split())}") from error
        if learner is not None and not with_replay:
            learner.replay.total = 0
        self._segments = listed
        return loaded

    def _remove(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            runs.remove_checkpoint(self._db, self._run_id, row["step"])
            if _CHECKPOINT.fullmatch(row["path"]):
                shutil.rmtree(self._folder / row["path"], ignore_errors=True)

    def _prune(self) -> None:
        """Keeps the newest checkpoints, and every replay segment that one of them may need."""
        kept = runs.checkpoints(self._db, self._run_id)
        self._remove(kept[KEPT:])
        needed = {segment["file"] for segment in self._segments}
        for row in kept[:KEPT]:
            manifest = self._folder / row["path"] / "manifest.json"
            if manifest.exists():
                needed |= {segment["file"] for segment in json.loads(manifest.read_text())["replay"]}
        for file in (self._folder / "replay").glob("*"):
            if file.name not in needed and _LEFT_OVER.fullmatch(file.name):
                file.unlink(missing_ok=True)


def _ours(pattern: re.Pattern[str], name: str) -> str:
    if pattern.fullmatch(name) is None:
        raise Unusable(f"it names {name!r}, which is no file of a checkpoint")
    return name


def _verified(file: Path, sha256: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Unusable(f"{file.name}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise Unusable(f"{file.name} is damaged")
    return content


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # not every disk can
        shutil.copyfile(source, target)
        flush(target)
