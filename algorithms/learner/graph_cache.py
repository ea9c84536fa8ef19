"""Compiled updates that outlive their process: a later one of the same kind loads the graph instead of tracing it anew.

A graph is kept in the user's cache under a digest of everything that it was made from. The files are torch's own
(`torch.compiler.load_compiled_function`), which unpickles them, as its compiler does with its cache in the same place:
the folder belongs to the user alone, which is checked, and nothing from a database or a checkpoint is ever loaded this
way.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor

from algorithms.learner.cache_folder import WITHOUT, CacheError, own

Function = Callable[..., Any]
DIGEST_BYTES = 32
LONGEST_CAUSE = 200  # characters
KEPT = 64  # graphs, of about 1 MB each; the least recently used go


def kept(step: Any, options: dict[str, Any]) -> Function:
    """`torch.compile(step, fullgraph=True, dynamic=False, options=options)`, kept for later processes.

    Loads or compiles at the first call, and serves calls with arguments like the first's only. What cannot be told from
    its parts, such as the step of an algorithm of another package, is compiled in every process.
    """
    ready: Function | None = None

    def call(*arguments: Any) -> Any:
        nonlocal ready
        if ready is None:
            ready = _load_or_compile(step, arguments, options)
        return ready(*arguments)

    return call


def _load_or_compile(step: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Function:
    name = digest(step, arguments, options)
    if name is None:
        return torch.compile(step, fullgraph=True, dynamic=False, options=options)
    _remember_probes()
    place = own("graphs") / f"{name}.graph"
    with suppress(Exception):  # a damaged file, or one that this torch does not take, is made anew
        graph: Any = torch.compiler.load_compiled_function(io.BytesIO(_verified(place)))
        graph.disable_guard_check()
        place.touch()  # used
        return graph  # type: ignore[no-any-return]
    graph = _compiled(step, arguments, options)
    graph.disable_guard_check()
    with suppress(OSError, RuntimeError):  # no room to keep it, or nothing that can be written
        _save(graph, place)
        for old in sorted(place.parent.glob("*.graph"), key=lambda file: file.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
    return graph  # type: ignore[no-any-return]


def _compiled(step: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    compiled: Any = torch.compile(step, fullgraph=True, dynamic=False, options=options)
    try:
        return compiled.aot_compile((arguments, {}))
    except Exception as error:
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"[:LONGEST_CAUSE]
        cache = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
        raise CacheError(f"the update can't be compiled: delete {cache}, {WITHOUT} ({cause})") from error


def _save(graph: Any, place: Path) -> None:
    """The graph's file, whose first bytes are the SHA-256 of the others: it is run as it is read."""
    aside = place.with_suffix(f".{os.getpid()}")
    try:
        graph.save_compiled_function(str(aside))
        content = aside.read_bytes()
        aside.write_bytes(hashlib.sha256(content).digest() + content)
        aside.replace(place)
    finally:
        aside.unlink(missing_ok=True)


def _verified(place: Path) -> bytes:
    """What `_save` wrote; ValueError if that is damaged, OSError if it is not there or not this user's."""
    with place.open("rb") as file:
        if os.fstat(file.fileno()).st_uid != os.geteuid():
            raise PermissionError
        hash_, content = file.read(DIGEST_BYTES), file.read()
    if hashlib.sha256(content).digest() != hash_:
        raise ValueError
    return content


def digest(step: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> str | None:
    """Of all that a graph depends on: our sources, what the step closes over, shapes, versions, machine, switches.

    None where something could differ unseen: a value whose text names an address, a module, whose functions anyone may
    replace, or a function of another package. Functions that ours call by name count by their files alone: whoever
    replaces one while a process runs must compile with another cache.
    """
    parts = [*_of(step), repr([_shape(argument) for argument in arguments]), _sources(), _machine()]
    parts += [repr({name: option for name, option in options.items() if not callable(option)})]
    parts += [str(torch.get_num_threads()), torch.get_float32_matmul_precision()]
    text = "\n".join(parts)
    return None if " at 0x" in text or UNSEEN in text else hashlib.sha256(text.encode()).hexdigest()


OURS = __name__.partition(".")[0]  # the package whose files `_sources` hashes
KNOWN = {OURS, "builtins", "numpy", "torch"}  # packages whose values their text tells apart
UNSEEN = "<what could differ unseen>"


def _of(value: Any) -> Iterator[str]:
    """Lines that tell this value from any other: of a function, its name and what it closes over."""
    if isinstance(value, FunctionType):
        yield f"{value.__module__}.{value.__qualname__}"
        if value.__module__.partition(".")[0] != OURS:
            yield UNSEEN
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            yield f"{name}:"
            yield from _of(cell.cell_contents)
    elif isinstance(value, ModuleType):
        yield UNSEEN
    else:
        kind = type(value)
        yield f"{kind.__module__}.{kind.__qualname__} {value!r}"
        if kind.__module__.partition(".")[0] not in KNOWN:  # such as a mirror map of another package
            yield UNSEEN
        for part in fields(value) if is_dataclass(value) and not isinstance(value, type) else ():
            yield from _of(getattr(value, part.name))


def _shape(value: Any) -> Any:
    """Of a tensor what a graph depends on; of a nested tuple the same."""
    if isinstance(value, Tensor):
        return str(value.dtype), tuple(value.shape), value.stride(), str(value.device)
    return [_shape(part) for part in value] if isinstance(value, tuple) else repr(value)


@cache
def _sources() -> str:
    files = sorted(Path(__file__).parents[1].rglob("*.py"))  # every equation, wherever it stands
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@cache
def _machine() -> str:
    """Versions and the processor, whose instructions the kernels use."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return f"{sys.version} {torch.__version__} {line}"
    return f"{sys.version} {torch.__version__} {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def _remember_probes() -> None:
    """Lets torch's compiler ask once, not in every process, whether libraries with this processor's instructions load.

    It asks child processes, which takes a second. A library that did load once, in the same cache, does.
    """
    from torch._inductor.cpu_vec_isa import VecISA

    probe = getattr(VecISA, "_probe_load", None)
    if probe is None or hasattr(probe, "remembers"):
        return

    def remembered(instructions: Any, library: str) -> bool:
        mark = Path(f"{library}.loads")
        if not mark.exists():
            if not probe(instructions, library):
                return False
            with suppress(OSError):
                mark.touch()
        return True

    remembered.remembers = True  # type: ignore[attr-defined]
    VecISA._probe_load = remembered  # type: ignore[method-assign, assignment]
