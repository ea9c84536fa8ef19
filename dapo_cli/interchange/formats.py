"""Which format a path holds, and the runs that it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dapo_cli.errors import BadInput
from dapo_cli.interchange import (
    exported_folder,
    log_files,
    plain_csv,
    spinning_up,
    stable_baselines3,
    tensorboard_logs,
)
from dapo_cli.interchange.logs import Log

AUTO, STABLE_BASELINES3, SPINNING_UP, TENSORBOARD, CSV, DAPO = (
    "auto",
    "stable-baselines3",
    "spinning-up",
    "tensorboard",
    "csv",
    "dapo",
)
_IN_FOLDERS = (DAPO, STABLE_BASELINES3, SPINNING_UP, TENSORBOARD, CSV)
_OPTIONS = {  # of Reading, which only these formats take
    "return_tag": (SPINNING_UP, TENSORBOARD),
    "episode_tag": (TENSORBOARD,),
    "columns": (CSV,),
    "kind": (CSV,),
}


@dataclass(frozen=True)
class Reading:
    """How to read: the options of `dapo import` that depend on the format."""

    format: str = AUTO
    return_tag: str | None = None
    episode_tag: str | None = None
    columns: tuple[str, ...] = ()
    kind: str | None = None
    eval_actions: str = "mean"


@dataclass(frozen=True)
class _Found:
    format: str
    files: list[Path] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # formats that the folder holds, too


def read(path: Path, how: Reading) -> Iterator[Log]:
    """The runs at `path`: one, or those of an export of dapo's. Raises BadInput."""
    found = _find(path, how.format)
    for option, formats in _OPTIONS.items():
        if getattr(how, option) and found.format not in formats:
            name = "--column" if option == "columns" else f"--{option.replace('_', '-')}"
            raise BadInput(f"{name} is for {' and '.join(formats)}, and {path} is {found.format}: leave it out")
    if found.format == DAPO:
        logs: Iterable[Log] = exported_folder.read(path)
    else:
        logs = [_one(path, found, how)]
    hashes = {file.name if len(found.files) == 1 else str(file): log_files.sha256_of(file) for file in found.files}
    for log in logs:
        if not (any(log.columns()) or log.original):
            raise BadInput(f"{path} holds no row of results: name another")
        log.files = hashes
        log.sha256 = log.sha256 or log_files.combined(hashes.values())
        if found.others:
            log.remarks.append(f"read as {found.format}; it also holds {', '.join(found.others)} (--format)")
        yield log


def _one(path: Path, found: _Found, how: Reading) -> Log:
    file = found.files[0]
    if found.format == STABLE_BASELINES3:
        return stable_baselines3.read(path, found.files, how.eval_actions)
    if found.format == SPINNING_UP:
        return spinning_up.read(path, file, how.return_tag, how.eval_actions)
    if found.format == TENSORBOARD:
        return tensorboard_logs.read(path, found.files, how.return_tag, how.episode_tag, how.eval_actions)
    return plain_csv.read(path, file, plain_csv.column_names(list(how.columns)), how.kind, how.eval_actions)


def _find(path: Path, wanted: str) -> _Found:
    with log_files.readable(path):
        path.stat()
        if path.is_dir():
            return _in_folder(path, sorted(file for file in path.iterdir() if file.is_file()), wanted)
    if not path.is_file():
        raise BadInput(f"{path} is neither a file nor a folder: name a log")
    return _Found(wanted if wanted != AUTO else _format_of(path), [path])


def _in_folder(path: Path, files: list[Path], wanted: str) -> _Found:
    by_format = {name: [file for file in files if _belongs(file, name)] for name in _IN_FOLDERS}
    if not {file.name for file in by_format[DAPO]} >= set(exported_folder.FILES):
        del by_format[DAPO]
    held = [name for name, members in by_format.items() if members]
    if not held or (wanted != AUTO and wanted not in held):
        what = "log that dapo knows" if wanted == AUTO else plain_csv.PROGRESS if wanted == CSV else f"log of {wanted}"
        raise BadInput(f"{path} holds no {what}: name the run's own folder, or a file")
    chosen = held[0] if wanted == AUTO else wanted
    return _Found(chosen, by_format[chosen], [name for name in held if name != chosen])


def _belongs(file: Path, name: str) -> bool:
    if name == DAPO:
        return file.name in exported_folder.FILES
    if name == STABLE_BASELINES3:
        return stable_baselines3.is_monitor(file) or file.name == stable_baselines3.EVALUATIONS
    if name == TENSORBOARD:
        return ".tfevents." in file.name
    return file.name == ("progress.txt" if name == SPINNING_UP else plain_csv.PROGRESS)


def _format_of(file: Path) -> str:
    for name in (STABLE_BASELINES3, SPINNING_UP, TENSORBOARD):
        if _belongs(file, name):
            return name
    if file.suffix == ".npz":
        return STABLE_BASELINES3
    if file.suffix == ".csv":
        with log_files.readable(file), file.open("rb") as content:
            return STABLE_BASELINES3 if content.read(2) == b"#{" else CSV
    raise BadInput(f"{file}: its name tells no format: choose one with --format")
