"""A planned sweep as people look at it: what varies, in groups over the seeds, with time and space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from dapo_cli.configuration.run_configuration import RunConfig
from dapo_cli.sweeps.definition import grid
from dapo_cli.sweeps.definition.drafts import judged
from dapo_cli.sweeps.definition.estimate import Estimate, Measured, estimate
from dapo_cli.sweeps.definition.plan import Plan
from dapo_cli.terminal import formatting

NEW = "to make"


class Group(NamedTuple):
    """The runs of one configuration over its seeds. `seconds` is one run's time; None where no speed is known."""

    config: RunConfig
    values: dict[str, Any]  # of the names that vary in the sweep
    seeds: list[int]
    states: Counter[str]
    seconds: float | None


def groups(plan: Plan, measured: Measured) -> list[Group]:
    """The configurations of a plan in their order."""
    names = grid.varying(plan.configs)
    found: dict[str, Group] = {}
    for config, held in zip(plan.configs, plan.held, strict=True):
        values = judged(config)
        key = repr((config.settings.algo, config.settings.env, [values.get(name) for name in names]))
        if key not in found:
            alone = estimate(measured, [(config, 0)], 1)
            shown = {name: values[name] for name in names if name in values}
            found[key] = Group(config, shown, [], Counter(), alone.seconds if alone.known else None)
        found[key].seeds.append(config.settings.seed)
        found[key].states[held["status"] if held else NEW] += 1
    return list(found.values())


def table(found: Sequence[Group]) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of the groups."""
    names = list(dict.fromkeys(name for group in found for name in group.values))
    header = ["algo", "env", *names, "seeds", "runs", "each"]
    rows = [
        [
            group.config.settings.algo,
            group.config.settings.env,
            *(_value(group.values[name]) if name in group.values else "" for name in names),
            seeds_text(group.seeds),
            _states(group.states),
            "–" if group.seconds is None else formatting.duration_text(group.seconds),
        ]
        for group in found
    ]
    return header, rows


def closing(plan: Plan, guess: Estimate, jobs: int) -> list[str]:
    """What is said below the table: how many runs, how long, how large."""
    states = Counter(held["status"] if held else NEW for held in plan.held)
    steps = sum(config.settings.steps - step for config, step in plan.waiting)
    lines = [
        f"sweep {plan.definition.name}: {_count(len(plan.configs), 'run')}, {_states(states)}; "
        f"{formatting.steps_text(steps)} environment steps to go"
    ]
    if plan.gone:
        lines.append(f"{_count(len(plan.gone), 'run')} of the sweep, which it no longer names, stay in it")
    if not plan.waiting:
        return lines
    with_jobs = f"with {_count(jobs, 'job')} side by side"
    if guess.known:
        more = f", and {_count(guess.unknown, 'run')} whose speed is not known" if guess.unknown else ""
        basis = f"; {guess.similar} of them by runs of other sizes" if guess.similar else ""
        time = formatting.duration_text(guess.seconds)
        lines.append(f"time: about {time} {with_jobs}{more} (by speeds measured in this database{basis})")
    else:
        lines.append(f"time: no speed is known: no such run has trained in this database yet ({with_jobs})")
    if guess.bytes is None:
        lines.append("disk: no size is known: not every such run has been completed here, with its files beside")
    else:
        lines.append(f"disk: about {formatting.bytes_text(guess.bytes)} at the end, more while runs keep their replay")
    return lines


def record(plan: Plan, guess: Estimate, jobs: int) -> dict[str, Any]:
    """The plan as JSON has it."""
    names = grid.varying(plan.configs)
    rows = []
    for config, held in zip(plan.configs, plan.held, strict=True):
        values, settings = judged(config), config.settings
        head = {name: getattr(settings, name) for name in ("algo", "env", "seed", "steps")}
        varied = {name: values[name] for name in names if name in values}
        rows.append({**head, **varied, "run": held["id"] if held else None, "status": held["status"] if held else None})
    return {
        "sweep": plan.definition.name,
        "jobs": jobs,
        "seconds": guess.seconds if guess.known else None,
        "runs_of_unknown_speed": guess.unknown,
        "bytes": guess.bytes,
        "no_longer_named": [row["id"] for row in plan.gone],
        "runs": rows,
    }


def seeds_text(seeds: Sequence[int]) -> str:
    """`0-4,7`: seeds as they are typed."""
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and seed == parts[-1][-1] + 1:
            parts[-1][1:] = [seed]
        else:
            parts.append([seed])
    return ",".join("-".join(map(str, part)) for part in parts)


def _states(states: Counter[str]) -> str:
    """`3 completed, 2 to make`."""
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
