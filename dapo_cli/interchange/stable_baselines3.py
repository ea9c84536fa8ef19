"""stable-baselines3's logs: `monitor.csv` (training episodes) and `evaluations.npz` (evaluation episodes)."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dapo_cli.errors import BadInput
from dapo_cli.interchange import reading
from dapo_cli.interchange.logs import Log

EVALUATIONS = "evaluations.npz"


@dataclass(frozen=True)
class _Monitor:
    """One environment's file: (k,) steps of its own so far, returns, lengths, and seconds since `start`."""

    path: Path
    env: str | None
    start: float
    rows: list[tuple[int, float, int, float]]


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
    if monitors:
        log.remarks.append("monitor.csv does not tell terminated from truncated: both are false")
    if arrays:
        log.remarks.append(f"evaluations are taken to be of {actions} actions (--eval-actions)")
    return log


def _monitor(path: Path) -> _Monitor:
    text = reading.lines(path)
    first = next(text, "")
    if not first.startswith("#"):
        raise BadInput(f"{path}, line 1: no monitor.csv starts like that: name another, or choose --format")
    header = reading.json_object(f"{path}, line 1", first[1:])
    env, start = header.get("env_id"), header.get("t_start", 0.0)
    if not (isinstance(start, (int, float)) and abs(start) < 1e15):
        raise BadInput(f"{path}, line 1: t_start is no number: correct the file")
    rows, steps = [], 0
    for place, row in reading.table(path, text, first_line=2):
        length = reading.whole(place, "l", reading.column(place, row, "l"))
        steps += length
        return_ = reading.number(place, "r", reading.column(place, row, "r"))
        rows.append((steps, return_, length, reading.seconds(place, "t", row.get("t", "0"))))
    return _Monitor(path, env if isinstance(env, str) and env not in ("", "None") else None, float(start), rows)


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
    arrays = _arrays(path)
    for name, axes in (("timesteps", 1), ("results", 2)):
        if name not in arrays or arrays[name].ndim != axes:
            raise BadInput(f"{path}: no array '{name}' of {axes} axes: that is no evaluations.npz")
    steps, results = arrays["timesteps"], arrays["results"].astype(float)
    lengths = arrays.get("ep_lengths", np.zeros(results.shape, dtype=int))
    if lengths.shape != results.shape or len(steps) != len(results):
        shapes = f"timesteps {steps.shape}, results {results.shape}, ep_lengths {lengths.shape}"
        raise BadInput(f"{path}: {shapes} do not belong together: write the file again")
    column = log.evaluation(actions)
    for index, step in enumerate(_whole(path, "timesteps", steps)):
        if index and step <= column.steps[-1]:
            raise BadInput(f"{path}: timesteps[{index}] is {step}, after {column.steps[-1]}: they must increase")
        for return_, length in zip(results[index], _whole(path, "ep_lengths", lengths[index]), strict=True):
            column.add(f"{path}: timesteps[{index}]", step, float(return_), length, once=False)


def _whole(path: Path, name: str, values: NDArray[Any]) -> list[int]:
    if not (np.isfinite(values) & (values >= 0) & (values < 2.0**53) & (values == np.floor(values))).all():
        raise BadInput(f"{path}: '{name}' holds something else than whole numbers: write the file again")
    return [int(value) for value in values]


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file. No pickle is ever loaded, and no more is unpacked than the limit."""
    try:
        with reading.readable(path), zipfile.ZipFile(path) as archive:
            return dict(_unpacked(path, archive))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadInput(f"{path}: that is no .npz file, or a damaged one: write it again") from error


def _unpacked(path: Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, NDArray[Any]]]:
    members = archive.infolist()
    if len(members) > 20 or sum(member.file_size for member in members) > reading.LARGEST_ARRAYS:
        raise BadInput(f"{path}: its arrays are too large for an evaluations.npz: name another file")
    for member in members:
        name = member.filename.removesuffix(".npy")
        if name in ("timesteps", "results", "ep_lengths"):
            yield name, _array(f"{path}: '{name}'", archive.read(member))


def _array(place: str, data: bytes) -> NDArray[Any]:
    # The header is believed only after it agrees with the size: numpy would first allocate what it says.
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except (ValueError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        raise BadInput(f"{place} is no array: write the file again") from error
    if dtype.hasobject:
        remedy = "evaluations of unequal numbers of episodes are saved like that: save them as rectangular arrays"
        raise BadInput(f"{place} holds pickled objects, which are never loaded: {remedy}")
    count = 1
    for length in shape:
        count *= length
    if dtype.kind not in "iuf" or dtype.itemsize * count != len(data) - stream.tell():
        raise BadInput(f"{place} is no whole array of numbers: write the file again")
    return np.load(io.BytesIO(data), allow_pickle=False)  # type: ignore[no-any-return]
