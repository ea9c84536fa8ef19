"""[search] of a sweep file: what is searched for, checked, and the trials that Optuna proposes.

    [search]
    trials = 30
    measure = "final"              # of dapo compare, mean over the seeds
    sampler = "tpe"                # or "random"
    seed = 0                       # of the sampler
    batch = 1                      # trials that are proposed together and may train side by side
    pruner = "median"              # or "none": give up trials whose returns stay below the median of those before

    [search.parameters]
    beta = { low = 0.05, high = 1.0, log = true }
    m = { low = 1, high = 100, log = true }
    activation = ["relu", "tanh"]

A proposal depends on the sampler's seed, the trial's number and the results of earlier batches, and on nothing else: no
state is kept but the runs, and the same file gives the same trials, interrupted or not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from dapo_cli.configuration.run_configuration import RunConfig, kinds
from dapo_cli.errors import BadInput, did_you_mean, naming
from dapo_cli.sweeps.definition import grid
from dapo_cli.sweeps.definition.sweep_file import Definition

_OPTIONS = {"trials", "measure", "sampler", "seed", "batch", "pruner", "parameters"}
_MOST_TRIALS = 10_000
_WARM_UP = 5  # trials before the pruner compares


class Search(NamedTuple):
    """A search: `base` is the sweep without it, `parameters` name -> range or list of choices."""

    base: Definition
    parameters: Mapping[str, Any]
    trials: int
    measure: str
    sampler: str
    seed: int
    batch: int
    pruner: str

    def configs(self, values: Mapping[str, Any]) -> list[RunConfig]:
        """The runs of a trial, one for each seed, all for tuning. Raises BadInput."""
        algo = self.base.value("algo")
        content = {"tuning": True, algo if isinstance(algo, str) else algo[0]: dict(values)}
        layer = {"origin": "file", "source": f"[search] of {self.base.source}", "content": content}
        layers = [*self.base.layers, layer]
        return grid.expand(replace(self.base, content={**self.base.content, "layers": layers}))


class Trial(NamedTuple):
    """A trial: the values of its parameters, its score (None: it has none), and its evaluations, step -> return.

    `pruned`: it was given up after the last of them.
    """

    values: dict[str, Any]
    score: float | None
    evaluations: dict[int, float]
    pruned: bool


def read(definition: Definition) -> Search:
    """The search of a definition, with everything that it may propose checked at its ends. Raises BadInput."""
    from dapo_cli.analysis.selection import measures

    table, place = definition.value("search"), f"[search] of {definition.source}"
    if not isinstance(table, dict) or not isinstance(table.get("parameters"), dict) or not table["parameters"]:
        raise BadInput(f"{place} has no parameters: add [search.parameters], such as beta = {{low = 0.1, high = 1}}")
    unknown = min(set(table) - _OPTIONS, default=None)
    if unknown is not None:
        raise BadInput(f"{place} has an unknown name '{unknown}': {did_you_mean(unknown, _OPTIONS)}")
    numbers = {
        name: _whole(table.get(name, default), name, place, least)
        for name, default, least in (("trials", None, 1), ("seed", 0, 0), ("batch", 1, 1))
    }
    for name, choices in (("sampler", ("tpe", "random")), ("pruner", ("median", "none"))):
        if table.get(name, choices[0]) not in choices:
            raise BadInput(
                f"{name} = {table[name]!r} in {place} is not possible: {name} must be {' or '.join(choices)}"
            )
    with naming(f"measure in {place}"):
        measure = measures.parse(str(table.get("measure", measures.FINAL)))
    pruner = table.get("pruner", "median")
    if not measure.has_best or (measure.lower_is_better and pruner != "none"):
        remedy = 'add pruner = "none"' if measure.has_best else "choose another"
        raise BadInput(f"measure = '{measure}' in {place} can't be searched by: {remedy}")
    layers = [
        {**layer, "content": {name: value for name, value in layer["content"].items() if name != "search"}}
        for layer in definition.layers
    ]
    base = replace(definition, content={**definition.content, "layers": layers})
    parameters = table["parameters"]
    search = Search(
        base, parameters, measure=str(measure), sampler=table.get("sampler", "tpe"), pruner=pruner, **numbers
    )
    configs = grid.configurations(base)
    if len(configs) != 1:
        raise BadInput(f"{place} belongs to one configuration, and there are {len(configs)}: make each a sweep")
    given = next((name for name in parameters if configs[0].origins.get(name) in ("file", "command line")), None)
    if given is not None:
        raise BadInput(f"{given} is given and searched for in {definition.source}: take one out")
    ends = {name: _ends(name, value, place) for name, value in parameters.items()}
    for name, field in type(configs[0].hyperparameters).model_fields.items():
        if kinds(field) == {int} and any(isinstance(end, float) for end in ends.get(name, ())):
            raise BadInput(f"{name} in {place} is a whole number: write its low and high without a point")
    for number in range(max(map(len, ends.values()))):
        search.configs({name: values[number % len(values)] for name, values in ends.items()})
    return search


def propose(search: Search, number: int, before: Sequence[Trial]) -> dict[str, Any]:
    """The parameters of a trial by its number, given the trials of earlier batches."""
    trial = _study(search, number, before).ask(_distributions(search))
    return {
        name: json.loads(value) if isinstance(search.parameters[name], list) else value
        for name, value in trial.params.items()
    }


def hopeless(
    search: Search, values: Mapping[str, Any], evaluations: Mapping[int, float], before: Sequence[Trial]
) -> bool:
    """Whether the pruner gives up a trial with these evaluations (step -> return), after the last of them."""
    if search.pruner == "none":
        return False
    study = _study(search, 0, before)
    study.enqueue_trial(_encoded(search, values))
    trial = study.ask(_distributions(search))
    for step in sorted(evaluations):
        trial.report(evaluations[step], step)
    return bool(evaluations) and trial.should_prune()


def _study(search: Search, number: int, before: Sequence[Trial]) -> Any:
    try:
        import optuna
    except ImportError as error:
        raise BadInput("a search needs Optuna: pip install 'dapo-cli[optuna]'") from error
    from dapo_cli.analysis.selection import measures

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seed = (search.seed * _MOST_TRIALS + number) % 2**32
    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    lower = measures.parse(search.measure).lower_is_better
    study = optuna.create_study(
        direction="minimize" if lower else "maximize",
        sampler=samplers[search.sampler](seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_WARM_UP),
    )
    states, distributions = optuna.trial.TrialState, _distributions(search)
    for trial in before:
        scored = trial.score is not None
        made = optuna.trial.create_trial(
            params=_encoded(search, trial.values),
            distributions=distributions,
            value=trial.score,
            intermediate_values=trial.evaluations,
            state=states.PRUNED if trial.pruned else states.COMPLETE if scored else states.FAIL,
        )
        study.add_trial(made)
    return study


def _distributions(search: Search) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for name, value in search.parameters.items():
        if isinstance(value, list):
            found[name] = CategoricalDistribution([json.dumps(choice) for choice in value])
        else:
            whole = isinstance(value["low"], int) and isinstance(value["high"], int)
            kind = IntDistribution if whole else FloatDistribution
            found[name] = kind(value["low"], value["high"], log=value.get("log", False))
    return found


def _encoded(search: Search, values: Mapping[str, Any]) -> dict[str, Any]:
    lists = {name for name, value in search.parameters.items() if isinstance(value, list)}
    return {name: json.dumps(value) if name in lists else value for name, value in values.items()}


def _ends(name: str, value: Any, place: str) -> list[Any]:
    """The values between which, or among which, a parameter is searched for."""
    if isinstance(value, list) and len(value) > 1:
        return value
    remedy = f"write {name} = {{ low = 0.1, high = 1.0, log = true }}, or a list of choices"
    if not isinstance(value, dict) or not {"low", "high"} <= set(value) <= {"low", "high", "log"}:
        raise BadInput(f"{name} in {place} is no range and no list of choices: {remedy}")
    low, high, log = value["low"], value["high"], value.get("log", False)
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
    if not numbers or not isinstance(log, bool) or not low < high or (log and low <= 0):
        raise BadInput(f"{name} in {place}: low must be below high, and above 0 on a logarithmic scale: {remedy}")
    return [low, high]


def _whole(value: Any, name: str, place: str, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST_TRIALS:
        raise BadInput(f"{name} in {place} must be a whole number from {least} to {_MOST_TRIALS}, such as {name} = 20")
    return value
