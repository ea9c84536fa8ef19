"""An ablation: one configuration, the base, and those that differ from it in nothing but what was varied."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from dapo_cli.analysis.selection.grouping import differing
from dapo_cli.analysis.selection.labels import Key, key_text, label_order, labels_of
from dapo_cli.analysis.selection.selected import Record
from dapo_cli.errors import BadInput

BASE = "base"
ANOTHER = "of another algorithm than the base"
WITHOUT_BASE = "on an environment without the base"


class Arrangement(NamedTuple):
    """`names`: run id -> the name of its configuration; `order`: the names, the base first; `left_out`: run id -> why.

    `base` describes the base, where it is the same on every environment.
    """

    names: Mapping[str, str]
    order: list[str]
    left_out: Mapping[str, str]
    base: str


def arrange(
    runs: Sequence[Record],
    base: Collection[str],
    vary: Sequence[str],
    origins: Mapping[str, Mapping[str, str]],
    symbols: Mapping[str, str],
    pooled: Collection[str] = (),
) -> Arrangement:
    """Name the configuration of every run by what it changes in the base of its environment.

    `base` are the ids of the runs that `--base` matches, `vary` the settings that may change, `origins` those of the
    values of these settings: run id -> name -> origin, `pooled` settings that differ without a name. The base is their
    one configuration; where they have several, the one at the algorithm's or the preset's own values of what is varied.
    Raises BadInput where that is none or not one, and where a run differs from it in something else, too: that would be
    no ablation.
    """
    names: dict[str, str] = {}
    left_out: dict[str, str] = {}
    changed: dict[str, list[Any]] = {}
    bases: set[str] = set()
    for env in sorted({run["env"] for run in runs}):
        own = [run for run in runs if run["env"] == env]
        centre = _centre([run for run in own if run["id"] in base], vary, origins, env, pooled)
        if centre is None:
            left_out |= {run["id"]: WITHOUT_BASE for run in own}
            continue
        bases.add(", ".join(change_text(key, None, _value(centre, key), symbols) for key in vary if key != "algo"))
        for run in own:
            if run["algo"] != centre["algo"] and "algo" not in vary:
                left_out[run["id"]] = ANOTHER
                continue
            changes = [key for key in vary if _value(run, key) != _value(centre, key)]
            _refuse_more(run, centre, {*vary, *pooled})
            text = ", ".join(change_text(key, _value(centre, key), _value(run, key), symbols) for key in changes)
            name = text or BASE
            names[run["id"]] = f"{BASE} {name}" if name[0] in "−+" else name
            changed[names[run["id"]]] = [
                len(changes),
                [vary.index(key) for key in changes],
                label_order(tuple(_value(run, key) for key in changes)),
            ]
    if not names:
        raise BadInput("--base: no run matches it: see what there is with dapo runs")
    order = sorted(changed, key=lambda name: changed[name])
    return Arrangement(names, order, left_out, bases.pop() if len(bases) == 1 else "")


def change_text(key: str, before: Key, after: Key, symbols: Mapping[str, str]) -> str:
    """`β = 0.1`; for a switch that went off `− layer norm`, for one that went on `+ layer norm`."""
    if isinstance(before, bool) and isinstance(after, bool):
        return f"{'+' if after else '−'} {key.replace('_', ' ')}"
    return key_text(after) if key == "algo" else f"{symbols.get(key, key)} = {key_text(after)}"


def _centre(
    runs: Sequence[Record],
    vary: Sequence[str],
    origins: Mapping[str, Mapping[str, str]],
    env: str,
    pooled: Collection[str],
) -> Record | None:
    """A run of the base on this environment."""
    if not runs:
        return None
    configurations: dict[tuple[Key, ...], list[Record]] = {}
    for run in runs:
        configurations.setdefault(tuple(_value(run, key) for key in vary), []).append(run)
    if len(configurations) == 1:
        (chosen,) = configurations.values()
    else:
        own = [
            group
            for group in configurations.values()
            if all(origins.get(run["id"], {}).get(key) in ("default", "preset") for run in group for key in vary)
        ]
        if len(own) != 1:
            several = "; ".join(
                ", ".join(f"{key} = {key_text(value)}" for key, value in zip(vary, values, strict=True))
                for values in sorted(configurations, key=label_order)[:5]
            )
            raise BadInput(
                f"--base: it matches {len(configurations)} configurations on {env} ({several}): "
                f'let it name one, such as --base "{vary[0]} = {key_text(next(iter(configurations))[0])}"'
            )
        (chosen,) = own
    if more := differing(chosen).difference(vary, pooled):
        raise BadInput(
            f"--base: its runs on {env} differ in {', '.join(sorted(more))}, too: add that to --vary or to --base"
        )
    return chosen[0]


def _refuse_more(run: Record, centre: Record, vary: Collection[str]) -> None:
    """Raise BadInput where the two differ in what was not varied; what only one algorithm has does not count."""
    both = {*run["settings"], "algo", "steps"} & {*centre["settings"], "algo", "steps"}
    more = sorted((differing([run, centre]) & both) - set(vary))
    if more:
        told = ", ".join(
            f"{name} ({key_text(_value(run, name))}, not {key_text(_value(centre, name))})" for name in more
        )
        raise BadInput(
            f"no ablation: run {run['id']} differs from the base also in {told}: "
            f"add that to --vary, or leave it out with --where"
        )


def _value(run: Record, key: str) -> Key:
    return labels_of(run, [key])[0][0]
