"""Logs that nobody wrote in good faith: nearly right files of every format of `dapo import`."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from inputs import text
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import masked_crc32c

numbers = st.one_of(
    st.integers(0, 2000).map(str),
    st.integers().map(str),
    st.floats().map(repr),
    st.sampled_from(["", " 1", "1_000", "0x10", "1e400", "-0", "nan", "inf", "9" * 400, "1e6", "٣", "1,5", "true"]),
)
_storable = text.map(lambda words: words.encode("utf-8", "replace").decode())
_cells = st.one_of(numbers, numbers, text)
_RETURNS = ("return", "r", "AverageTestEpRet", "EpRet", "LossPi")


@st.composite
def _tables(draw: st.DrawFn, names: list[str], delimiter: str) -> str:
    """A header of these names and rows of numbers, the first of which increase; up to two changes to that."""
    kinds = {"kind": ["episode", "evaluation"]}
    rows = [names]
    for number in range(1, draw(st.sampled_from([3, 0, 1, 2])) + 1):
        others = [kinds.get(name, ["1", "2.5", "nan", "-3e2"] if name in _RETURNS else ["7"]) for name in names[1:]]
        rows.append([str(100 * number), *(draw(st.sampled_from(words)) for words in others)])
    rows = [list(row) for row in rows]
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        row = draw(st.sampled_from(rows))
        change = draw(st.integers(0, 9))
        if change == 0:
            del row[draw(st.integers(0, len(row) - 1))]
        elif change == 1:
            for longer in rows:
                longer.append(draw(_cells))
        else:
            row[draw(st.integers(0, len(row) - 1))] = draw(_cells)
    return draw(st.sampled_from(["\n", "\n", "\r\n", "\n\n"])).join(map(delimiter.join, rows))


@st.composite
def damaged(draw: st.DrawFn, files: st.SearchStrategy[bytes]) -> bytes:
    """One of the files, as it is or with some bytes changed, lost or added."""
    content = bytearray(draw(files))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        content[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.integers(0, 5)) == 0 else content)


def _bytes(texts: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    return texts.map(lambda words: words.encode("utf-8", "surrogatepass"))


_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=5,
)
_right = st.just('{"t_start": 1.5, "env_id": "Hopper-v4"}')
_wrong = [st.builds(lambda env, start: json.dumps({"t_start": start, "env_id": env}), _values, _values), text]
_header_json = st.one_of(_right, _right, _right, _right, *_wrong, st.just("[" * 3000))

_session = st.builds("#{}\n{}".format, _header_json, _tables(["l", "r", "t"], ","))
monitors = damaged(_bytes(st.one_of(_session, _session, st.builds("{}\n{}".format, _session, _session))))
progress = damaged(
    _bytes(_tables(["TotalEnvInteracts", "AverageTestEpRet", "TestEpLen", "Time", "EpRet", "LossPi"], "\t"))
)
_headers = [["step", "return", "length", "kind"], ["time/total_timesteps", "eval/mean_reward", "", "note", "x"]]
csv_files = damaged(_bytes(st.sampled_from(_headers).flatmap(lambda names: _tables(names, ","))))


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """A zip of .npy files: whole arrays of any type, or headers that claim anything."""
    names = draw(st.permutations(["timesteps", "results", "ep_lengths", "../x", draw(_storable)]))
    whole = draw(st.booleans())
    names = ["timesteps", "results", "ep_lengths", *names] if whole else names
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))) as archive:
        for name in names[: draw(st.integers(3 if whole else 1, 4))]:
            if f"{name}.npy" in archive.namelist():
                continue
            name = name.replace("\0", "0")  # where `zipfile` would cut it off
            archive.writestr(f"{name}.npy", _npy(draw, name, whole))
    return made.getvalue()


_SHAPES = st.sampled_from([(2, 2), (2, 2), (2, 2, 1), (4,), (4, 1), (2, 1, 2)])


def _npy(draw: st.DrawFn, name: str, whole: bool) -> bytes:
    file = io.BytesIO()
    if whole and name in ("timesteps", "results", "ep_lengths"):
        results = np.array([[1.0, np.nan], [np.inf, -1e300]])
        values = {"timesteps": np.array([100, 200]), "results": results.reshape(draw(_SHAPES))}
        np.save(file, values.get(name, np.ones((2, 2))))
        return file.getvalue()
    if draw(st.booleans()):
        kinds = st.one_of(npst.scalar_dtypes(), st.just(np.dtype([("a", "f8")])))
        np.save(file, draw(npst.arrays(draw(kinds), npst.array_shapes(max_dims=3, max_side=3, min_side=0))))
        return file.getvalue()
    claimed = draw(
        st.sampled_from(
            [
                "{'descr': '<f8', 'fortran_order': False, 'shape': (10**12,)}",
                "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
                "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 1)}",
                "{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}",
                "{'descr': '<i8', 'fortran_order': True, 'shape': (999999999999,)}",
                "__import__('os').system('touch executed')",
                "(" * 500,
            ]
        )
    ).encode()
    body = draw(st.one_of(st.binary(max_size=40), st.just(b"cposix\nsystem\n(S'touch executed'\ntR.")))
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(claimed)) + claimed + body


_TAGS = ["charts/episodic_return", "charts/episodic_length", "eval/mean_reward", "eval/mean_ep_length", "x"]
_TAGS += ["rollout/episode_return", "rollout/episode_length", "rollout/ep_rew_mean", "eval_sampled/mean_reward"]
_TEXTS = ["hyperparameters/text_summary", "run/text_summary"]
_floats = st.floats(width=32)
_rows = st.lists(
    st.builds("|{}|{}|".format, st.one_of(st.sampled_from(["env_id", "env", "algo", "seed", "gamma"]), text), _cells),
    max_size=4,
).map(lambda rows: "\n".join(["|param|value|", "|-|-|", *rows]))


@st.composite
def _event(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.binary(max_size=60))
    if kind == 1 and draw(st.booleans()):
        started = Event(step=draw(st.integers(-1, 300)))
        started.session_log.status = draw(st.sampled_from([1, 1, 2, 3]))
        return started.SerializeToString()
    event = Event(
        wall_time=draw(st.floats()), step=draw(st.one_of(st.integers(0, 300), st.integers(-(2**63), 2**63 - 1)))
    )
    value = event.summary.value.add(tag=draw(st.one_of(st.sampled_from(_TAGS + _TEXTS), _storable)))
    if kind < 5:
        value.simple_value = draw(_floats)
        return event.SerializeToString()
    value.tensor.dtype = draw(st.sampled_from([1, 2, 3, 7, 9, 22]))
    if value.tag in _TEXTS or kind == 5:
        value.tensor.dtype = 7
        value.tensor.string_val.append(draw(_rows).encode("utf-8", "surrogatepass"))
    elif kind == 6:
        value.tensor.tensor_content = draw(st.binary(max_size=9))
    else:
        value.tensor.float_val.extend(draw(st.lists(_floats, max_size=2)))
        value.tensor.double_val.extend(draw(st.lists(st.floats(), max_size=2)))
    return event.SerializeToString()


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    checked = (struct.pack("<I", masked_crc32c(part)) for part in (length, data))
    return length + next(checked) + data + next(checked)


event_files = damaged(st.lists(_event().map(_record), max_size=6).map(b"".join))

_EXPORTED: dict[str, str] = {
    "runs.csv": "id,kind,algo,env,seed,status,steps,wall_time,versions,dirty,threads,tags,source,parent",
    "episodes.csv": "run_id,number,step,return,length,wall_time,terminated,truncated",
    "evaluations.csv": "run_id,step,actions,number,return,length",
    "metrics.csv": "run_id,name,step,value",
    "hyperparameters.csv": "run_id,name,value,type,origin,symbol",
}
_GOOD: dict[str, list[str]] = {
    "runs.csv": [
        "a",
        "train",
        "sac",
        "Hopper-v4",
        "0",
        "completed",
        "900",
        "1.5",
        "",
        "true",
        "1",
        '"[""t""]"',
        "",
        "",
    ],
    "episodes.csv": ["a", "0", "100", "1.5", "100", "0.5", "true", "false"],
    "evaluations.csv": ["a", "500", "mean", "0", "nan", "10"],
    "metrics.csv": ["a", "loss", "100", "0.5"],
    "hyperparameters.csv": ["a", "gamma", "0.5", "float", "default", "γ"],
}


@st.composite
def exported(draw: st.DrawFn) -> dict[str, bytes]:
    """A folder of `dapo export`: a file -> its content. One run; some of it is not what was written."""
    files = {}
    for name, header in _EXPORTED.items():
        rows = [list(_GOOD[name]) for _ in range(draw(st.integers(0, 2)) or (name == "runs.csv"))]
        for row in rows:
            if draw(st.integers(0, 2)) == 0:
                row[draw(st.integers(0, len(row) - 1))] = draw(st.one_of(_quoted, numbers))
        files[name] = "\n".join([header, *map(",".join, rows)]).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 5)) == 0:
        name = draw(st.sampled_from(sorted(files)))
        files[name] = draw(damaged(st.just(files[name])))
    return files


_quoted = text.map(lambda words: '"' + words.replace('"', '""') + '"')

KINDS: dict[str, tuple[str, Callable[[], st.SearchStrategy[bytes]]]] = {
    "monitor": ("monitor.csv", lambda: monitors),
    "evaluations": ("evaluations.npz", lambda: damaged(archives())),
    "progress": ("progress.txt", lambda: progress),
    "tensorboard": ("events.out.tfevents.1.host", lambda: event_files),
    "csv": ("scores.csv", lambda: csv_files),
}
"""Format -> the name of its file, and what such a file may hold."""
