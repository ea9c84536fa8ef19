"""Train one run and record every episode."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dapo_cli.errors import BadInput, RunFailed
from dapo_cli.options import completion
from dapo_cli.options.shared import Db, Json, count_number, seed_number, whole_number
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from dapo_cli.configuration.run_configuration import RunConfig


def train(
    algo: Annotated[
        str | None,
        typer.Option(
            "--algo", metavar="ALGO", help="Algorithm (see dapo algos).", autocompletion=completion.algorithms
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option("--env", metavar="ENV", help="Gymnasium environment.", autocompletion=completion.environments),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", parser=seed_number, help="Seed of the run [default: 0].")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="SEEDS", help="A run for each seed: 5 is 0 to 4; also 0-4,7."),
    ] = None,
    vectorise: Annotated[
        bool, typer.Option("--vectorise", help="With --seeds: train them together, in one process.")
    ] = False,
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", parser=whole_number, help="Environment steps [default: 1e6].")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A hyperparameter, such as beta=0.3 (see dapo algos ALGO). Repeatable."
        ),
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Go on from this run to --steps N in all, as a new run with its settings.",
            autocompletion=completion.runs,
        ),
    ] = None,
    modules: Annotated[
        list[str] | None,
        typer.Option("--import", metavar="MODULE", help="With --from: allow this module of its environment."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE.toml", help="Settings from a file, over those of dapo.toml."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help="Hyperparameters by name.", autocompletion=completion.presets),
    ] = None,
    db: Db = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="TAG", help="A word to find the run by. Repeatable.", autocompletion=completion.tags
        ),
    ] = None,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="A remark, kept with the run.")] = None,
    tuning: Annotated[
        bool | None,
        typer.Option(
            "--tuning/--reporting", help="A run to choose hyperparameters by, or one to report [default: to report]."
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to train [default: auto].")
    ] = None,
    compile_: Annotated[
        str | None,
        typer.Option(
            "--compile", metavar="auto|on|off", help="Compile the update [default: auto, if the run is long]."
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision", metavar="fp32|bf16", help="Of the matrix products; bf16 is experimental [default: fp32]."
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", parser=count_number, help="CPU threads [default: 1].")
    ] = None,
    eval_every: Annotated[
        int | None,
        typer.Option(
            "--eval-every", metavar="N", parser=whole_number, help="Steps between evaluations [default: 10000]."
        ),
    ] = None,
    eval_episodes: Annotated[
        int | None,
        typer.Option(
            "--eval-episodes", metavar="N", parser=count_number, help="Episodes per evaluation [default: 10]."
        ),
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            "--checkpoint-every", metavar="N", parser=whole_number, help="Steps between checkpoints [default: 10000]."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved configuration and write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train one run and record every episode.

    Values come from defaults, then --preset, then dapo.toml and --config, then the command line; the database keeps
    where each came from. Ctrl-C saves a checkpoint; dapo resume continues.

    With --from RUN, a completed or interrupted run goes on to --steps N in all as a new run, which begins with a copy
    of its record. It is exact if that run kept its replay (--set keep_replay=true, or interrupted), else approximate.
    """
    from dapo_cli.commands._closing import print_closing
    from dapo_cli.configuration import run_configuration as configuration
    from dapo_cli.configuration.project_file import database_location
    from dapo_cli.training import extension, session

    options = {
        "algo": algo,
        "env": env,
        "seed": seed,
        "steps": steps,
        "device": device,
        "compile": compile_,
        "precision": precision,
        "threads": threads,
        "eval_every": eval_every,
        "eval_episodes": eval_episodes,
        "checkpoint_every": checkpoint_every,
    }
    location = database_location(db)
    if vectorise and seeds is None:
        raise BadInput("--vectorise is for several seeds: add --seeds, such as --seeds 0-4")
    if seeds is not None and (seed is not None or parent is not None):
        raise BadInput(f"--seeds and {'--from' if seed is None else '--seed'} exclude each other: leave one out")
    plan = None
    if parent is not None:
        typed = configuration.given(options | {"config": config, "preset": preset}, assignments or ())
        plan = extension.plan(location, parent, typed, tags or (), note, modules or ())
    elif modules:
        raise BadInput("--import belongs to --from: name a module as in --env module:Env-v0")
    if plan:
        if tuning is not None:
            plan = plan._replace(config=replace(plan.config, tuning=tuning))
        resolved = plan.config
    else:
        resolved = configuration.resolve(options, assignments or (), config, preset, tags or (), note, tuning=tuning)
    if dry_run:
        if plan:
            extension.check(location, plan)
        resolved = session.resolved(resolved)
        settings = resolved.settings
        head = {"algo": settings.algo, "env": settings.env, "seed": settings.seed}
        if as_json:
            kind = "tuning" if resolved.tuning else "train"
            console.print_json(
                {**head, "kind": kind, "db": location, "tags": list(resolved.tags), "values": resolved.rows()}
            )
            return
        words = {"kind": "tuning"} if resolved.tuning else {}
        console.print_fields({name: str(value) for name, value in head.items()} | words, indent=0)
        rows = [
            (row["name"], json.dumps(row["value"]).strip('"'), row["origin"], row["symbol"] or "")
            for row in resolved.rows()
        ]
        console.print_table(("setting", "value", "origin", "symbol"), rows)
        return
    if seeds is not None:
        _train_seeds(resolved, seeds, vectorise, location, as_json)
        return
    run_id = session.extend(plan, location) if plan else session.start(resolved, location)
    print_closing(location, [run_id], as_json)


def _train_seeds(config: RunConfig, seeds: str, vectorise: bool, location: str, as_json: bool) -> None:
    from dapo_cli.commands._closing import print_closing
    from dapo_cli.configuration.run_configuration import seeded
    from dapo_cli.sweeps.definition.sweep_file import seeds_of
    from dapo_cli.training import groups, session

    numbers = seeds_of(seeds, "--seeds")
    done, failures = [], []
    if vectorise:
        done = groups.start(config, numbers, location)
    for number in [] if vectorise else numbers:
        try:
            done.append(session.start(seeded(config, number), location))
        except RunFailed as error:  # does not keep the other seeds from their training
            console.warning(str(error))
            failures.append(error)
    if done:
        print_closing(location, done, as_json)
    if failures:
        raise RunFailed(f"{len(failures)} of {len(numbers)} seeds failed")
