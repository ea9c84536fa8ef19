"""stable-baselines3's logs: `monitor.csv` (training episodes) and `evaluations.npz` (evaluation episodes)."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dapo_cli.errors import BadInput
from dapo_cli.interchange import log_files
from dapo_cli.interchange.logs import Log

EVALUATIONS = "evaluations.npz"


@dataclass(frozen=True)
class _Monitor:
    """One environment's file: (k,) steps of its own so far, returns, lengths, and seconds since `start`.

    `sessions`: how many processes wrote it, one after the other.
    """

    path: Path
    env: str | None
    start: float
    rows: list[tuple[int, float, int, float]]
    sessions: int


def is_monitor(path: Path) -> bool:
    """Whether the name is one that stable-baselines3's Monitor gives: `monitor.csv`, `0.monitor.csv`."""
    return path.name == "monitor.csv" or path.name.endswith(".monitor.csv")


def read(path: Path, files: list[Path], actions: str) -> Log:
    """The run that these files of stable-baselines3 hold: any number of monitor files and at most one evaluations.npz.

    Several monitor files are the environments of one vectorised run, which step together: an episode that ends after L
    steps of its own environment, one of n, ends at step n · L of the run. `actions`: of the evaluations.
    """
    monitors = [_monitor(file) for file in files if file.suffix == ".csv"]
    arrays = [file for file in files if file.suffix == ".npz"]
    parts = ["monitor.csv"] * bool(monitors) + [EVALUATIONS] * bool(arrays)
    log = Log(source=f"stable-baselines3 {' and '.join(parts)}", path=path)
    environments = {monitor.env for monitor in monitors if monitor.env}
    if len(environments) > 1:
        raise BadInput(f"{path}: its monitor files are of {', '.join(sorted(environments))}: import each by itself")
    log.env = environments.pop() if environments else None
    _add_episodes(log, monitors)
    for file in arrays:
        _add_evaluations(log, file, actions)
    for monitor in monitors:
        if monitor.sessions > 1:
            who = f"{monitor.path.name}: {monitor.sessions} processes wrote it, one after the other"
            log.remarks.append(f"{who}; steps and seconds go on")
    if monitors:
        log.remarks.append("monitor.csv does not tell terminated from truncated: both are false")
    if arrays:
        log.remarks.append(f"evaluations are taken to be of {actions} actions (--eval-actions)")
    return log


def _monitor(path: Path) -> _Monitor:
    """Steps and seconds are counted on where another process went on with the file, with or without a new header."""
    headers: list[tuple[str | None, float]] = []
    rows: list[tuple[int, float, int, float]] = []
    steps, sessions, before, now = 0, 0, 0.0, 0.0  # `before`: seconds of the sessions before
    with closing(log_files.lines(path)) as lines:
        for place, row in _rows(path, lines, headers):
            if row is None:
                sessions, before, now = sessions + 1, before + now, 0.0
                continue
            length = log_files.whole(place, "l", log_files.column(place, row, "l"))
            return_ = log_files.number(place, "r", log_files.column(place, row, "r"))
            seconds = log_files.seconds(place, "t", row.get("t", "0"))
            if seconds < now:
                sessions, before = sessions + 1, before + now
            steps, now = steps + length, seconds
            rows.append((steps, return_, length, before + now))
    environments = {env for env, _ in headers if env}
    if len(environments) > 1:
        raise BadInput(f"{path}: its headers are of {', '.join(sorted(environments))}: split the file")
    return _Monitor(path, environments.pop() if environments else None, headers[0][1], rows, sessions)


def _rows(
    path: Path, lines: Iterator[str], headers: list[tuple[str | None, float]]
) -> Iterator[tuple[str, dict[str, str] | None]]:
    """The episodes, each with its place, and None where a process begins; its header goes into `headers`."""
    text = enumerate(lines, start=1)
    following = [next(text, (1, ""))]
    while following:
        number, line = following.pop()
        headers.append(_header(f"{path}, line {number}", line))
        part = _up_to_header(text, following)
        first = next(part, None)
        if first is None and len(headers) > 1:
            return  # it was killed before its first episode ended
        yield f"{path}, line {number}", None
        for place, row in log_files.table(path, chain([first or ""], part), first_line=number + 1):
            yield place, None if row.get("r") == "r" else row


def _header(place: str, line: str) -> tuple[str | None, float]:
    """The environment, if told, and the time at which a process began to write."""
    if not line.startswith("#"):
        raise BadInput(f"{place}: no monitor.csv starts like that: name another, or choose --format")
    header = log_files.json_object(place, line[1:])
    env, start = header.get("env_id"), header.get("t_start", 0.0)
    if not (isinstance(start, (int, float)) and abs(start) < 1e15):
        raise BadInput(f"{place}: t_start is no number: correct the file")
    return env if isinstance(env, str) and env not in ("", "None") else None, float(start)


def _up_to_header(text: Iterator[tuple[int, str]], ended: list[tuple[int, str]]) -> Iterator[str]:
    """The lines up to the next header, which goes into `ended`."""
    for number, line in text:
        if line.startswith("#"):
            ended.append((number, line))
            return
        yield line


def _add_episodes(log: Log, monitors: list[_Monitor]) -> None:
    start = min((monitor.start for monitor in monitors), default=0.0)
    episodes = [
        (len(monitors) * steps, index, return_, length, max(monitor.start - start + seconds, 0.0))
        for index, monitor in enumerate(monitors)
        for steps, return_, length, seconds in monitor.rows
    ]
    for step, index, return_, length, seconds in sorted(episodes, key=lambda row: row[:2]):
        log.episodes.add(str(monitors[index].path), step, return_, length, seconds, once=False)
        log.wall_time = max(log.wall_time, seconds)


def _add_evaluations(log: Log, path: Path, actions: str) -> None:
    arrays = {name: array if name == "timesteps" else _by_episode(array) for name, array in _arrays(path).items()}
    for name, axes in (("timesteps", 1), ("results", 2)):
        if name not in arrays or arrays[name].ndim != axes:
            raise BadInput(f"{path}: no array '{name}' of {axes} axes: that is no evaluations.npz")
    steps, results = arrays["timesteps"], arrays["results"].astype(float)
    lengths = arrays.get("ep_lengths", np.zeros(results.shape, dtype=int))
    if lengths.shape != results.shape or len(steps) != len(results):
        shapes = f"timesteps {steps.shape}, results {results.shape}, ep_lengths {lengths.shape}"
        raise BadInput(f"{path}: {shapes} do not belong together: write the file again")
    if not results.size:
        raise BadInput(f"{path} holds no evaluation: name another")
    if results.shape[1] == 1:
        log.remarks.append(f"{path.name} has one number an evaluation: an episode's, or a mean over episodes")
    column = log.evaluation(actions)
    for index, step in enumerate(_whole(path, "timesteps", steps)):
        if index and step <= column.steps[-1]:
            raise BadInput(f"{path}: timesteps[{index}] is {step}, after {column.steps[-1]}: they must increase")
        own = _whole(path, "ep_lengths", np.rint(lengths[index]))
        for return_, length in zip(results[index], own, strict=True):
            column.add(f"{path}: timesteps[{index}]", step, float(return_), length, once=False)


def _by_episode(array: NDArray[Any]) -> NDArray[Any]:
    """(k evaluations, n episodes), from that, from (k, n, 1) of a vectorised environment, or from (k,) means."""
    if array.ndim == 1:
        return array[:, None]
    return array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array


def _whole(path: Path, name: str, values: NDArray[Any]) -> list[int]:
    if not (np.isfinite(values) & (values >= 0) & (values < 2.0**53) & (values == np.floor(values))).all():
        raise BadInput(f"{path}: '{name}' holds something else than whole numbers: write the file again")
    return [int(value) for value in values]


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file. No pickle is ever loaded, and no more is unpacked than the limit."""
    try:
        with log_files.readable(path), path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            if not isinstance(content, np.lib.npyio.NpzFile):
                raise zipfile.BadZipFile
            members = content.zip.infolist()  # type: ignore[union-attr]
            # No more is unpacked of a member than it declares.
            if len(members) > 20 or sum(member.file_size for member in members) > log_files.LARGEST_ARRAYS:
                raise BadInput(f"{path}: its arrays are too large for an evaluations.npz: name another file")
            wanted = [name for name in ("timesteps", "results", "ep_lengths") if name in content.files]
            return {name: _array(f"{path}: '{name}'", content, name) for name in wanted}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BadInput(f"{path}: that is no .npz file, or a damaged one: write it again") from error


def _array(place: str, content: Any, name: str) -> NDArray[Any]:
    try:
        array = content[name]
    except (ValueError, SyntaxError, TokenError, RecursionError, MemoryError, TypeError, OverflowError) as error:
        if "allow_pickle" in str(error):
            remedy = "evaluations of unequal numbers of episodes are saved like that: save them as rectangular arrays"
            raise BadInput(f"{place} holds pickled objects, which are never loaded: {remedy}") from error
        raise BadInput(f"{place} is no array: write the file again") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise BadInput(f"{place} is no whole array of numbers: write the file again")
    return array
