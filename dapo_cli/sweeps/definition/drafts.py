"""The configurations of a sweep before they are validated: layers, grids, [[vary]] tables, no seeds yet."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dapo_cli.configuration import run_configuration as configuration
from dapo_cli.configuration import setting_files
from dapo_cli.configuration.run_configuration import RunConfig, Settings, kinds
from dapo_cli.errors import BadInput, did_you_mean
from dapo_cli.filters import matching
from dapo_cli.sweeps.definition import vary
from dapo_cli.sweeps.definition.sweep_file import COMMAND_LINE, SWEEP_KEYS, Definition

MOST_RUNS = 100_000
NAMED_APART = ("algo", "env", "seed")
"""Of `Settings`; a sweep says them in ways of its own."""

_PRESET, _VARIED = -1, 1_000_000  # ranks below and above those of layers

Known = Mapping[str, Mapping[str, Any]]
"""Algorithm -> what a sweep may set for it: name -> field."""


class Draft(NamedTuple):
    """A configuration in the making: name -> value, origin, source, and rank (the number of the layer)."""

    values: dict[str, Any]
    origins: dict[str, str]
    sources: dict[str, str]
    ranks: dict[str, int]

    def built(self, tags: tuple[str, ...] = (), note: str | None = None, tuning: Any = False) -> RunConfig:
        """The validated configuration, with seed 0. Raises BadInput."""
        return configuration.build(self.values, self.origins, self.sources, tags, note, tuning)


def drafts(definition: Definition) -> Iterator[Draft]:
    """All configurations of a sweep before exclusion, by algorithm, environment, and values in the order written.

    Raises BadInput, also where they would be too many.
    """
    algos, envs = _names(definition, "algo"), _names(definition, "env")
    known = {algo: _known(algo) for algo in algos}
    _check_typed_tables(definition, algos)
    blocks = vary.blocks(definition)
    seeds, count = len(definition.seeds), 0
    for algo, env in itertools.product(algos, envs):
        base = _layered(definition, algo, env, known)
        axes = {name: _axis(known[algo].get(name), name, value, base) for name, value in base.values.items()}
        _refuse_repeated(axes, base)
        _limit((count + math.prod(map(len, axes.values()))) * seeds)
        made = [base._replace(values=dict(zip(axes, row, strict=True))) for row in itertools.product(*axes.values())]
        for block in blocks:
            origin = definition.layers[block.layer]["origin"]
            varied = [one for draft in made for one in _varied(draft, block, origin, known)]
            made = list(
                {repr(one.values): one for one in varied}.values()
            )  # what a replaced list told apart is one now
            _limit((count + len(made)) * seeds)
        count += len(made)
        yield from made


def judged(config: RunConfig) -> dict[str, Any]:
    """What filters see of a configuration: its values as they are written, `auto` where that is written."""
    return {**config.hyperparameters.model_dump(), **config.settings.model_dump()}


def _names(definition: Definition, key: str) -> list[str]:
    """The algorithms or the environments."""
    value = definition.value(key)
    names = [value] if isinstance(value, str) else value
    if value is None:
        raise BadInput(f'no {key} given: name one or more with --{key}, or as {key} = ["…"] in the sweep\'s file')
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise BadInput(f'{key} = {value!r} in {definition.source}: write names in quotes, such as {key} = ["…", "…"]')
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise BadInput(f"{key} in {definition.source} names '{twice}' twice: take one out")
    return names


def _known(algo: str) -> dict[str, Any]:
    fields = Settings.model_fields | configuration.load_algorithm(algo).Config.model_fields
    return {name: field for name, field in fields.items() if name not in NAMED_APART}


def _check_typed_tables(definition: Definition, algos: Sequence[str]) -> None:
    """Raise BadInput for --set ALGO.key of an algorithm that is not in the sweep."""
    for layer in definition.layers:
        for name, value in layer["content"].items():
            if layer["origin"] == "command line" and isinstance(value, dict) and name not in algos:
                key = next(iter(value), "…")
                raise BadInput(f"--set {name}.{key}: '{name}' is not in the sweep: name it with --algo, too")


def _layered(definition: Definition, algo: str, env: str, known: Known) -> Draft:
    """What preset and layers say for an algorithm in an environment; a value may still be a list of values."""
    layers: list[tuple[int, str, str, dict[str, Any]]] = []
    preset: tuple[Any, str] | None = None
    for rank, layer in enumerate(definition.layers):
        source = layer["source"]
        content = {name: value for name, value in layer["content"].items() if name not in (*SWEEP_KEYS, "algo", "env")}
        found = setting_files.applicable(content, algo, env, source)
        if "preset" in found:
            preset = (found.pop("preset"), source)
        layers.append((rank, layer["origin"], source, found))
    if preset:
        name, source = preset
        if not isinstance(name, str):
            raise BadInput(f"preset = {name!r} in {source}: name one preset (see dapo presets)")
        found = setting_files.applicable(setting_files.preset(name), algo, env, f"preset {name}")
        layers.insert(0, (_PRESET, "preset", f"preset {name}", found))
    draft = Draft({"algo": algo, "env": env}, {}, dict.fromkeys(("algo", "env"), definition.source), {})
    for rank, origin, source, found in layers:
        draft = _with(draft, found, origin, source, rank, known)
    return draft


def _with(draft: Draft, values: Mapping[str, Any], origin: str, source: str, rank: int, known: Known) -> Draft:
    """A draft with further values; raises BadInput for a name that its algorithm does not have."""
    algo = draft.values["algo"]
    for name in values:
        if name not in known[algo]:
            raise _unknown(name, algo, source, known)
    return Draft(
        {**draft.values, **values},
        {**draft.origins, **dict.fromkeys(values, origin)},
        {**draft.sources, **dict.fromkeys(values, source)},
        {**draft.ranks, **dict.fromkeys(values, rank)},
    )


def _unknown(name: str, algo: str, source: str, known: Known) -> BadInput:
    able = [other for other in known if name in known[other]]
    if not able:
        return BadInput(f"unknown setting '{name}' for {algo} in {source}: {did_you_mean(name, known[algo])}")
    if source.startswith("[[vary]]"):
        remedy = f"add to its where: algo = '{able[0]}'"
    else:
        place = f"--set {able[0]}.{name}=…" if source == COMMAND_LINE else f"it in the table [{able[0]}]"
        remedy = f"write {place}"
    return BadInput(f"{algo} has no {name}, which {source} gives for every algorithm: {remedy}")


def _axis(field: Any, name: str, value: Any, draft: Draft) -> list[Any]:
    """The values that a value written down stands for: those of a list, unless the setting is itself a list."""
    is_list = field is not None and tuple in kinds(field)
    several = isinstance(value, list) and (not is_list or (bool(value) and isinstance(value[0], list)))
    values = value if several else [value]
    source = draft.sources[name]
    if not values:
        raise BadInput(f"{name} = [] in {source} is an empty grid: give it a value, or take it out")
    return values


def _refuse_repeated(axes: Mapping[str, Sequence[Any]], draft: Draft) -> None:
    for name, values in axes.items():
        twice = [one for index, one in enumerate(values) if _among(one, values[:index])]
        if twice:
            raise BadInput(f"{name} in {draft.sources[name]} has the value {twice[0]!r} twice: take one out")


def _among(value: Any, others: Iterable[Any]) -> bool:
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in others)


def _varied(draft: Draft, block: vary.Block, origin: str, known: Known) -> Iterator[Draft]:
    """The drafts that a [[vary]] makes of one: the same one where its filter does not hold."""
    if block.where is not None and not matching.holds(block.where, judged(draft.built())):
        yield draft
        return
    for name in block.values:
        rank = draft.ranks.get(name, _PRESET)
        if rank > block.layer or (rank == block.layer and block.where is None):
            raise BadInput(f"{name} is given both by {draft.sources[name]} and by {block.source}: take one out")
    made = _with(draft, block.values, origin, block.source, _VARIED, known)
    axes = {name: _axis(known[draft.values["algo"]][name], name, made.values[name], made) for name in block.values}
    if not block.zipped:
        _refuse_repeated(axes, made)
    for values in block.combined(axes):
        yield made._replace(values={**draft.values, **values})


def _limit(count: int) -> None:
    if count > MOST_RUNS:
        raise BadInput(f"the sweep has more than {MOST_RUNS} runs: make it several, with fewer values or seeds")
