"""How many configurations of each algorithm were tried: what a paper's appendix says of its search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dapo_cli.analysis.accounts.cost import cost
from dapo_cli.analysis.selection.labels import Key, key_text, label_order, labels_of
from dapo_cli.analysis.selection.selected import Choice, Record, matching
from dapo_cli.terminal.formatting import steps_text
from store.records import settings
from store.records.accounting import Inherited, inherited

if TYPE_CHECKING:
    from store.session import Database

NOT_COUNTED = {"steps", "eval_every", "eval_episodes", "checkpoint_every", "log_every", "keep_replay"}
NOT_COUNTED |= {"device", "compile", "threads"}
"""Settings that make no other configuration: they change how long, where and how closely watched a run trains."""

_MANY = 8  # values of a setting that words still list


@dataclass(frozen=True)
class Tally:
    """Runs in figures: `configurations` are their distinct hyperparameters, `states` status -> runs."""

    configurations: int
    runs: int
    tuning: int
    states: Mapping[str, int]
    steps: int  # of the environment

    def record(self) -> dict[str, Any]:
        """The same as JSON has it."""
        names = {"configurations": self.configurations, "runs": self.runs, "tuning": self.tuning}
        return {**names, "reporting": self.runs - self.tuning, "states": dict(self.states), "steps": self.steps}


@dataclass(frozen=True)
class Entry:
    """One algorithm: in all, by environment, and the hyperparameters that were varied (name -> value -> runs)."""

    algo: str
    total: Tally
    environments: Mapping[str, Tally]
    varied: Mapping[str, Mapping[Key, int]]
    symbols: Mapping[str, str]

    def words(self) -> str:
        """`dapo-kl: 3 configurations (β: 0.1, 0.5, 0.9) in 10 runs (4 for tuning, 6 for reporting) on …`."""
        tried = "; ".join(f"{self.symbols.get(name, name)}: {_values(self.varied[name])}" for name in self.varied)
        total, envs = self.total, list(self.environments)
        where = envs[0] if len(envs) == 1 else f"{len(envs)} environments"
        return (
            f"{self.algo}: {_count(total.configurations, 'configuration')}{f' ({tried})' if tried else ''} in "
            f"{_count(total.runs, 'run')} ({total.tuning} for tuning, {total.runs - total.tuning} for reporting) on "
            f"{where}, {steps_text(total.steps)} environment steps in all."
        )


def entries(database: Database, choice: Choice) -> list[Entry]:
    """The ledger of a choice of runs, whatever their kind and state, by algorithm."""
    by_algo: dict[str, list[Record]] = {}
    for run in matching(database, choice):
        by_algo.setdefault(run["algo"], []).append(run)
    taken_over = inherited(database)
    return [_entry(database, algo, by_algo[algo], taken_over) for algo in sorted(by_algo)]


def _entry(database: Database, algo: str, runs: list[Record], taken_over: Mapping[str, Inherited]) -> Entry:
    by_env: dict[str, list[Record]] = {}
    for run in runs:
        by_env.setdefault(run["env"], []).append(run)
    several = _several(runs)
    origins = settings.origins(database, [run["id"] for run in runs], several)
    names = [name for name in several if not _follows_the_environment(name, by_env, origins)]
    return Entry(
        algo,
        _tally(runs, names, taken_over),
        {env: _tally(by_env[env], _several(by_env[env]), taken_over) for env in sorted(by_env)},
        {name: _counts(runs, name) for name in names},
        settings.symbols(database, names),
    )


def _several(runs: Sequence[Record]) -> list[str]:
    """The settings in whose values runs differ, and which count."""
    names = sorted({name for run in runs for name in run["settings"]} - NOT_COUNTED)
    return [name for name in names if len({_value(run, name) for run in runs}) > 1]


def _follows_the_environment(
    name: str, by_env: Mapping[str, list[Record]], origins: Mapping[str, Mapping[str, str]]
) -> bool:
    """Whether a setting is a default that the environment determines, such as the target entropy: nobody varied it."""
    return all(
        len({_value(run, name) for run in runs}) == 1 and all(origins[run["id"]].get(name) == "default" for run in runs)
        for runs in by_env.values()
    )


def _tally(runs: Sequence[Record], names: Sequence[str], taken_over: Mapping[str, Inherited]) -> Tally:
    return Tally(
        configurations=len({tuple(_value(run, name) for name in names) for run in runs}),
        runs=len(runs),
        tuning=sum(run["kind"] == "tuning" for run in runs),
        states=dict(sorted(Counter(run["status"] for run in runs).items())),
        steps=cost(runs, taken_over).steps,
    )


def _counts(runs: Sequence[Record], name: str) -> dict[Key, int]:
    counts = Counter(_value(run, name) for run in runs)
    return {value: counts[value] for value in sorted(counts, key=lambda value: label_order((value,)))}


def _value(run: Record, name: str) -> Key:
    ((value,),) = labels_of(run, [name])
    return value


def _values(values: Mapping[Key, int]) -> str:
    texts = [key_text(value) for value in values]
    return ", ".join(texts) if len(texts) <= _MANY else f"{len(texts)} values from {texts[0]} to {texts[-1]}"


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
