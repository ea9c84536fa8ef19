"""What a sweep is asked to be: layers of settings, as `dapo.toml`, a sweep file and the command line give them.

A sweep file is a file of settings (`dapo_cli.configuration.setting_files`) in which a list stands for each of its
values, with these names beside the settings:

    name = "main"                # else the file's own
    algo = ["dapo-kl", "sac"]
    env = ["Hopper-v4"]
    seeds = 5                    # 0 to 4; also "0-4,7" or [0, 7]
    exclude = ["algo = 'sac' and learning_rate > 1e-3"]
    preset, tags, note, tuning   # as in dapo.toml; a table may name a preset of its own

    [[vary]]                     # values that hold only where a filter does, or that go side by side
    where = "m > 1"
    zip = true
    beta = [0.1, 0.5]

Nothing is expanded here: `dapo_cli.sweeps.definition.grid` does that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import algorithms
from dapo_cli.configuration.assignments import literal
from dapo_cli.configuration.project_file import find_project_file, read_toml
from dapo_cli.errors import BadInput, did_you_mean

SWEEP_KEYS = ("name", "seeds", "exclude", "vary", "tags", "note", "tuning", "search")
"""What a layer may hold at its top level beside settings, `algo`, `env` and `preset`."""

LONGEST_NAME = 100
MOST_SEEDS = 100_000
DEFAULT_SEEDS = 5
COMMAND_LINE = "the command line"

_PROJECT_ONLY = ("db", "seed", "sweep")  # of dapo.toml, and nothing to a sweep
_SEEDS = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?", re.ASCII)


@dataclass(frozen=True)
class Definition:
    """A sweep as it was asked for. `content` is what the database keeps: {"layers": [layer, …]}, JSON throughout.

    A layer is {"origin": "file" or "command line", "source": where it stands, "content": its names and tables}; a later
    one wins. `source` is what errors call the whole.
    """

    name: str
    content: Mapping[str, Any]
    source: str

    @property
    def layers(self) -> Sequence[Mapping[str, Any]]:
        """The layers, the most general first."""
        layers: Sequence[Mapping[str, Any]] = self.content["layers"]
        return layers

    def value(self, key: str, default: Any = None) -> Any:
        """What the last layer that has this name says at its top level."""
        return next((layer["content"][key] for layer in reversed(self.layers) if key in layer["content"]), default)

    def all_of(self, key: str) -> list[tuple[Any, str]]:
        """The entries of the lists of that name in all layers, each with its source; BadInput where one is no list."""
        found = []
        for layer in self.layers:
            entries = layer["content"].get(key, [])
            if not isinstance(entries, list):
                what = f"write it as [[{key}]]" if key == "vary" else f'write it as {key} = ["…"]'
                raise BadInput(f"{key} in {layer['source']} is no list: {what}")
            found += [(entry, layer["source"]) for entry in entries]
        return found

    @property
    def seeds(self) -> list[int]:
        """The seeds of each configuration. Raises BadInput."""
        return seeds_of(self.value("seeds", DEFAULT_SEEDS), self.source)


def read(path: Path, typed: Mapping[str, Any] | None = None, directory: Path | None = None) -> Definition:
    """The sweep of a file, under what was typed beside it (`typed`, see `typed_layer`) and over `dapo.toml`.

    `directory` is where to look for `dapo.toml` (default: the working directory). Raises BadInput, also for a file that
    is not there.
    """
    content = read_toml(path)
    _check_file(content, str(path))
    own = {"origin": "file", "source": str(path), "content": content}
    return _definition([*_project(directory), own, *_typed(typed)], str(path), path.stem)


def from_command_line(typed: Mapping[str, Any], directory: Path | None = None) -> Definition:
    """The sweep that the options of `dapo sweep` alone define (`typed_layer`), over `dapo.toml`. Raises BadInput."""
    return _definition([*_project(directory), *_typed(typed)], COMMAND_LINE, None)


def restored(name: str, content: Mapping[str, Any]) -> Definition:
    """The definition that a database holds. Raises BadInput where it is not one, as in a foreign database."""
    source = f"the definition of sweep '{name}'"
    layers = content.get("layers") if isinstance(content, Mapping) else None
    kinds = {"origin": str, "source": str, "content": dict}
    sound = isinstance(layers, list) and all(
        isinstance(layer, dict) and all(isinstance(layer.get(key), kind) for key, kind in kinds.items())
        for layer in layers
    )
    if not sound:
        raise BadInput(f"{source} is not one that this dapo can read: define the sweep anew under another name")
    return Definition(name, content, source)


def with_typed(definition: Definition, typed: Mapping[str, Any]) -> Definition:
    """The same with a further layer on top, such as {"seeds": 10} of `dapo sweep top-up`."""
    return replace(definition, content={**definition.content, "layers": [*definition.layers, *_typed(typed)]})


def typed_layer(
    *,
    algo: str | None = None,
    env: str | None = None,
    assignments: Iterable[str] = (),
    exclude: Sequence[str] = (),
    tags: Sequence[str] = (),
    **values: Any,
) -> dict[str, Any]:
    """What the options say, as the content of a layer: comma-separated `algo` and `env`, the KEY=VALUE,… of --set.

    `values` are other names of a sweep or settings, None where the option was not given. Raises BadInput.
    """
    content: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    for name, text in (("algo", algo), ("env", env)):
        if text is not None:
            content[name] = [word.strip() for word in text.split(",")]
    for text in assignments:
        table, name, value = _assignment(text)
        place = content.setdefault(table, {}) if table else content
        if name in place:
            raise BadInput(f"--set {name} is given twice: write its values in one, such as --set {name}=0.1,0.5")
        place[name] = value
    if exclude:
        content["exclude"] = list(exclude)
    if tags:
        content["tags"] = list(tags)
    return content


def seeds_of(value: Any, source: str) -> list[int]:
    """Seeds from `5` (0 to 4), `"0-4,7"` or `[0, 7]`, in that order. Raises BadInput, also for one named twice."""
    remedy = 'write seeds = 5 for 0 to 4, or "0-4,7", or [0, 7]'
    wrong = BadInput(f"seeds = {_short(value)} in {source} are no seeds: {remedy}")
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool):
        raise wrong
    if isinstance(value, int):
        ranges = [(0, value - 1)]
    elif isinstance(value, str):
        matches = [_SEEDS.fullmatch(part.strip()) for part in value.split(",")]
        ranges = [(int(match[1]), int(match[2] or match[1])) for match in matches if match]
        if len(ranges) < len(matches):
            raise wrong
    elif isinstance(value, list) and all(isinstance(seed, int) and not isinstance(seed, bool) for seed in value):
        ranges = [(seed, seed) for seed in value]
    else:
        raise wrong
    if not ranges or any(first < 0 or last < first or last >= 2**63 for first, last in ranges):
        raise BadInput(f"seeds = {_short(value)} in {source} has none, or one that is none: {remedy}")
    if sum(last - first + 1 for first, last in ranges) > MOST_SEEDS:
        raise BadInput(f"seeds = {_short(value)} in {source} are more than {MOST_SEEDS}: {remedy}")
    seeds = [seed for first, last in ranges for seed in range(first, last + 1)]
    if len(set(seeds)) < len(seeds):
        raise BadInput(f"seeds = {_short(value)} in {source} names a seed twice: {remedy}")
    return seeds


def _definition(layers: list[dict[str, Any]], source: str, default_name: str | None) -> Definition:
    definition = Definition("", {"layers": layers}, source)
    name = definition.value("name", default_name)
    if name is None:
        raise BadInput("the sweep needs a name, by which it is found again: add --name, such as --name main")
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise BadInput(f"name = {_short(name)} in {source}: a name is printable text of at most {LONGEST_NAME} letters")
    return replace(definition, name=name.strip())


def _project(directory: Path | None) -> list[dict[str, Any]]:
    """The layer of `dapo.toml`, where there is one."""
    file = find_project_file(directory or Path.cwd())
    if file is None:
        return []
    content = {name: value for name, value in read_toml(file).items() if name not in _PROJECT_ONLY}
    for name in ("name", "seeds", "exclude", "vary", "search"):
        if name in content:
            raise BadInput(f"{name} in {file}: a sweep has a file of its own (dapo sweep run FILE): move it there")
    _check_json(content, str(file))
    return [{"origin": "file", "source": str(file), "content": content}]


def _typed(typed: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    return [{"origin": "command line", "source": COMMAND_LINE, "content": dict(typed)}] if typed else []


def _check_file(content: Mapping[str, Any], source: str) -> None:
    """Raise BadInput for names that mean something elsewhere and nothing in a sweep file."""
    if "seed" in content:
        raise BadInput(f"seed in {source}: a sweep has seeds, such as seeds = 5 or seeds = [{_short(content['seed'])}]")
    if "db" in content:
        raise BadInput(f"db in {source}: the database is named by --db, DAPO_DB or dapo.toml: take it out")
    _check_json(content, source)


def _check_json(value: Any, source: str, key: str = "") -> None:
    """Raise BadInput for what TOML can hold and JSON can't: dates and times."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_json(inner, source, name)
    elif isinstance(value, list):
        for inner in value:
            _check_json(inner, source, key)
    elif not isinstance(value, bool | int | float | str):
        raise BadInput(f"{key} = {value} in {source}: no setting is a date or a time: put it in quotes")


def _assignment(text: str) -> tuple[str | None, str, Any]:
    """`[ALGO.]key=value,…` of --set: the algorithm or None, the key, and the value or the list of values."""
    name, equals, value = text.partition("=")
    table, dot, key = name.strip().rpartition(".")
    if not equals or not key:
        raise BadInput(f"--set takes key=value,…, such as --set beta=0.1,0.5 or --set dapo-kl.beta=0.3, not '{text}'")
    if key in ("algo", "env", "seed", "seeds", *SWEEP_KEYS, "preset"):
        raise BadInput(f"--set {key}=… is not possible: use --{'seeds' if key == 'seed' else key}")
    known = algorithms.names()
    if dot and table not in known:
        raise BadInput(f"--set {name.strip()}: unknown algorithm '{table}': {did_you_mean(table, known)}")
    return table if dot else None, key, _values(value.strip())


def _values(text: str) -> Any:
    """One value, or a list of several: TOML literals where they are, else bare words."""
    values = literal(f"[{text}\n]")
    if not isinstance(values, list) or not all(map(_is_setting, values)):
        parts = [part.strip() for part in text.split(",")]
        pairs = [(literal(part), part) for part in parts]
        values = [value if _is_setting(value) else part for value, part in pairs]
    if values in ([], [""]):
        raise BadInput("--set: there is no value after '=': write one, such as --set beta=0.3")
    return values[0] if len(values) == 1 else values


def _is_setting(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_setting, value))
    return isinstance(value, bool | int | float | str)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
