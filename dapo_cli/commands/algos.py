"""List the algorithms, or every hyperparameter of one."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from dapo_cli.options import completion
from dapo_cli.options.shared import Json
from dapo_cli.terminal import console


def algos(
    name: Annotated[
        str | None, typer.Argument(metavar="[ALGO]", help="An algorithm.", autocompletion=completion.algorithms)
    ] = None,
    as_json: Json = False,
) -> None:
    """List the algorithms and how they differ from dapo-kl, or every hyperparameter of one: default, range, meaning."""
    from algorithms.family.equations import DIFFERENCES
    from dapo_cli.configuration import run_configuration as configuration

    if name is None:
        import algorithms

        known = {name: configuration.load_algorithm(name) for name in algorithms.names()}
        if as_json:
            console.print_json(
                [
                    {"name": n, "actions": _kinds(one), "summary": _summary(one.__doc__), **_difference(n)}
                    for n, one in known.items()
                ]
            )
        else:
            rows = [(n, _actions(one), _summary(one.__doc__)) for n, one in known.items()]
            console.print_table(("algorithm", "actions", "what it is"), rows, whole=("algorithm", "actions"))
            for name, difference in DIFFERENCES.items():
                console.write(f"\n{name}: {difference.sentence}\n    {difference.equation}")
        return

    from algorithms.core.hyperparameters import Hyperparameters, OnPolicyHyperparameters

    algorithm = configuration.load_algorithm(name)
    shared = {*Hyperparameters.model_fields, *OnPolicyHyperparameters.model_fields} - {"temperature"}
    fields: list[dict[str, Any]] = [
        {
            "name": field_name,
            "symbol": configuration.symbol(field),
            "default": list(field.default) if isinstance(field.default, tuple) else field.default,
            "range": configuration.describe_range(field),
            "meaning": field.description,
        }
        # its own first: they are what a reader came for
        for field_name, field in sorted(algorithm.Config.model_fields.items(), key=lambda item: item[0] in shared)
    ]
    if as_json:
        facts = {"name": name, "actions": _kinds(algorithm), "summary": _summary(algorithm.__doc__)}
        console.print_json({**facts, **_difference(name), "hyperparameters": fields})
        return
    console.write((algorithm.__doc__ or "").strip() + "\n")
    if name in DIFFERENCES:
        console.write(f"Beside DAPO-KL: {DIFFERENCES[name].sentence}\n    {DIFFERENCES[name].equation}\n")
    console.write(f"actions: {', '.join(_kinds(algorithm))}\n")
    console.print_table(
        ("name", "symbol", "default", "range", "meaning"),
        [(f["name"], f["symbol"] or "", json.dumps(f["default"]).strip('"'), f["range"], f["meaning"]) for f in fields],
        whole=("name", "symbol", "default"),
        keys=("name",),
    )


def _kinds(algorithm: object) -> list[str]:
    import algorithms

    return sorted(algorithms.actions_of(algorithm))


def _actions(algorithm: object) -> str:
    kinds = _kinds(algorithm)
    return "both" if len(kinds) > 1 else kinds[0]


def _summary(doc: str | None) -> str:
    return (doc or "").strip().partition("\n")[0].partition(": ")[2]


def _difference(name: str) -> dict[str, str | None]:
    """How it differs from DAPO-KL; nulls for a plug-in, of which that is not known."""
    from algorithms.family.equations import DIFFERENCES

    found = DIFFERENCES.get(name)
    return {"difference": found and found.sentence, "equation": found and found.equation}
