"""From the definition of a sweep to its runs: every configuration, checked as a whole before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dapo_cli.configuration import remarks
from dapo_cli.configuration import run_configuration as configuration
from dapo_cli.configuration.run_configuration import RunConfig
from dapo_cli.errors import BadInput, did_you_mean
from dapo_cli.filters import matching
from dapo_cli.sweeps.definition.drafts import NAMED_APART, drafts, judged
from dapo_cli.sweeps.definition.sweep_file import Definition

if TYPE_CHECKING:
    from algorithms.core.types import Spaces


def expand(definition: Definition) -> list[RunConfig]:
    """Every run of a sweep: seed by seed, and for each seed algorithms, environments and values in the order written.

    Each is validated, with the values filled in that depend on its environment (of which one is made for each id).
    Raises BadInput with the first thing that is wrong; then nothing runs.
    """
    if definition.value("search") is not None:
        raise BadInput(f"{definition.source} has [search]: its runs are chosen one by one, as it goes")
    seeds = definition.seeds
    wanted = _included(definition, configurations(definition), seeds)
    configs = _resolved([config for config, _ in wanted])
    _refuse_equal(configs)
    return [
        with_seed(config, seed)
        for seed in seeds
        for config, (_, its_seeds) in zip(configs, wanted, strict=True)
        if seed in its_seeds
    ]


def configurations(definition: Definition) -> list[RunConfig]:
    """The validated configurations before exclusion, with seed 0 and without what only an environment can tell."""
    told = {name: layer["source"] for layer in definition.layers for name in layer["content"]}
    tags = remarks.tags([tag for entry, source in definition.all_of("tags") for tag in remarks.tags([entry], source)])
    note = remarks.note(definition.value("note"), told.get("note", definition.source))
    tuning = definition.value("tuning", False)
    return [draft.built(tags, note, tuning) for draft in drafts(definition)]


def with_seed(config: RunConfig, seed: int) -> RunConfig:
    """The same configuration with another seed."""
    return replace(config, settings=config.settings.model_copy(update={"seed": seed}))


def varying(configs: Sequence[RunConfig]) -> list[str]:
    """The hyperparameters, then the settings, in which configurations of one algorithm in one environment differ.

    A value that only follows from the environment, such as the target entropy, is none of them.
    """
    seen: dict[tuple[str, str], dict[str, set[str]]] = {}
    for config in configs:
        values = seen.setdefault((config.settings.algo, config.settings.env), {})
        for name, value in judged(config).items():
            if name not in NAMED_APART:
                values.setdefault(name, set()).add(repr(value))
    names = dict.fromkeys(name for values in seen.values() for name in values)
    return [name for name in names if any(len(values.get(name, ())) > 1 for values in seen.values())]


def label(config: RunConfig, names: Iterable[str]) -> str:
    """`dapo-kl on Hopper-v4 with beta = 0.1, m = 10`: a configuration in words, with the values of these names."""
    values = judged(config)
    said = ", ".join(f"{name} = {values[name]}" for name in names if name in values)
    return f"{config.settings.algo} on {config.settings.env}{f' with {said}' if said else ''}"


def _included(
    definition: Definition, configs: Sequence[RunConfig], seeds: Sequence[int]
) -> list[tuple[RunConfig, set[int]]]:
    """The configurations that `exclude` leaves, each with its seeds. Raises BadInput for a filter without effect."""
    records = [judged(config) for config in configs]
    left = [set(seeds) for _ in configs]
    for text, source in definition.all_of("exclude"):
        place = f"exclude = {text!r} in {source}"
        filter_ = matching.read(text, place)
        fields = {comparison.field for comparison in matching.comparisons(filter_)}
        unknown = min(fields.difference(*records), default=None)
        if unknown is not None:
            raise BadInput(f"{place}: no run has '{unknown}': {did_you_mean(unknown, set().union(*records))}")
        without = 0
        for record, its_seeds in zip(records, left, strict=True):
            if "seed" in fields:
                out = {seed for seed in seeds if matching.holds(filter_, {**record, "seed": seed})}
            else:
                out = set(seeds) if matching.holds(filter_, record) else set()
            without += len(out)
            its_seeds -= out
        if not without:
            raise BadInput(f"{place} is true of no run: correct it or take it out")
    wanted = [(config, its_seeds) for config, its_seeds in zip(configs, left, strict=True) if its_seeds]
    if not wanted:
        raise BadInput(f"{definition.source} excludes every run: take an exclude out")
    return wanted


def _resolved(configs: Iterable[RunConfig]) -> list[RunConfig]:
    """The configurations with what only their environments can tell."""
    from dapo_cli.training.environments import gym_environment

    known: dict[tuple[str, int], Spaces] = {}
    resolved = []
    for config in configs:
        key = (config.settings.env, config.hyperparameters.bins)
        if key not in known:
            known[key] = gym_environment.spaces_of(*key)
        resolved.append(config.resolved(known[key]))
    return resolved


def _refuse_equal(configs: Sequence[RunConfig]) -> None:
    """Raise BadInput where two configurations compute the same, however they are written."""
    seen: dict[str, RunConfig] = {}
    for config in configs:
        key = configuration.identity(config)
        if key in seen:
            names = [name for name in varying(configs) if name in config.origins]
            said = label(config, names)
            raise BadInput(f"the sweep has {said} twice: take one out, such as a value that means the same as another")
        seen[key] = config
