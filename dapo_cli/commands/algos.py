"""List the algorithms, or every hyperparameter of one."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from dapo_cli import completion, console
from dapo_cli.options import Json


def algos(
    name: Annotated[
        str | None, typer.Argument(metavar="[ALGO]", help="An algorithm.", autocompletion=completion.algorithms)
    ] = None,
    as_json: Json = False,
) -> None:
    """List the algorithms, or every hyperparameter of one: symbol, default, range, meaning."""
    from dapo_cli import config as configuration

    if name is None:
        import algorithms

        rows = [(name, _summary(configuration.load_algorithm(name).__doc__)) for name in algorithms.names()]
        if as_json:
            console.print_json([{"name": name, "summary": summary} for name, summary in rows])
        else:
            console.print_table(("algorithm", "what it is"), rows, whole=("algorithm",))
        return

    from algorithms._hyperparameters import Hyperparameters, OnPolicyHyperparameters

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
        console.print_json({"name": name, "summary": _summary(algorithm.__doc__), "hyperparameters": fields})
        return
    console.write((algorithm.__doc__ or "").strip() + "\n")
    console.print_table(
        ("name", "symbol", "default", "range", "meaning"),
        [(f["name"], f["symbol"] or "", json.dumps(f["default"]).strip('"'), f["range"], f["meaning"]) for f in fields],
        whole=("name", "symbol", "default"),
        keys=("name",),
    )


def _summary(doc: str | None) -> str:
    return (doc or "").strip().partition("\n")[0].partition(": ")[2]
