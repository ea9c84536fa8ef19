"""Import runs of other programs: stable-baselines3, Spinning Up, TensorBoard, CSV."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dapo_cli.configuration import remarks
from dapo_cli.errors import BadInput
from dapo_cli.options import completion
from dapo_cli.options.shared import Db, seed_number, whole_number
from dapo_cli.terminal import console


class Format(StrEnum):
    """The formats of interchange.formats."""

    AUTO = "auto"
    STABLE_BASELINES3 = "stable-baselines3"
    SPINNING_UP = "spinning-up"
    TENSORBOARD = "tensorboard"
    CSV = "csv"
    DAPO = "dapo"


class Kind(StrEnum):
    """What a row of a CSV file is."""

    EPISODE = "episode"
    EVALUATION = "evaluation"


class Actions(StrEnum):
    """How the policy acted in evaluations."""

    MEAN = "mean"
    SAMPLED = "sampled"


def import_(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files or folders; each is one run.")],
    algo: Annotated[
        str | None,
        typer.Option("--algo", metavar="NAME", help="Algorithm, any name.", autocompletion=completion.algorithms),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option("--env", metavar="ID", help="Environment.", autocompletion=completion.environments),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", parser=seed_number, help="Seed, where no file tells.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", parser=whole_number, help="Budget in environment steps [default: last]."),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="A word to find the runs by. Repeatable."),
    ] = None,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="A remark.")] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A hyperparameter to record. Repeatable."),
    ] = None,
    format_: Annotated[
        Format,
        typer.Option(
            "--format", metavar="FORMAT", help="auto, stable-baselines3, spinning-up, tensorboard, csv or dapo."
        ),
    ] = Format.AUTO,
    eval_actions: Annotated[
        Actions, typer.Option("--eval-actions", metavar="HOW", help="Actions of the evaluations: mean or sampled.")
    ] = Actions.MEAN,
    return_tag: Annotated[
        str | None, typer.Option("--return-tag", metavar="NAME", help="Tag, or Spinning Up's column, of evaluations.")
    ] = None,
    episode_tag: Annotated[
        str | None, typer.Option("--episode-tag", metavar="NAME", help="TensorBoard's tag of training episodes.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="OURS=THEIRS", help="CSV: the name of step, return, length or kind."),
    ] = None,
    kind: Annotated[
        Kind | None, typer.Option("--kind", metavar="KIND", help="CSV: every row is an episode, or an evaluation.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Import what is on record already as a new run.")] = False,
    db: Db = None,
) -> None:
    """Import runs of other programs, each PATH as one new run that is completed and says where it comes from.

    Read are stable-baselines3's monitor.csv and evaluations.npz, Spinning Up's progress.txt, TensorBoard's event files,
    plain CSV, and the CSV folders of dapo export. The same content is not imported twice.
    """
    from dapo_cli.configuration.project_file import database_location
    from dapo_cli.configuration.run_configuration import given as typed
    from dapo_cli.interchange import importing
    from dapo_cli.interchange.formats import Reading
    from dapo_cli.training.provenance import command
    from store.records.runs import shorten
    from store.session import Database

    if seed is not None and seed < 0:
        raise BadInput(f"--seed: {seed} is negative: a seed is 0 or greater")
    settings = typed({}, assignments or ())
    for name, value in settings.items():
        if not isinstance(value, (bool, int, float, str, list)):
            raise BadInput(f"--set {name}: a hyperparameter is a number, a text, true, false or a list")
    given = importing.Given(
        algo=algo,
        env=env,
        seed=seed,
        steps=steps,
        note=remarks.note(note),
        tags=remarks.tags(tags or ()),
        settings=settings,
        command=command(),
        again=again,
    )
    how = Reading(format_, return_tag, episode_tag, tuple(columns or ()), kind, eval_actions)
    logs = importing.read(paths, how, given)
    said: set[str] = set()
    with Database.write(database_location(db)) as database:
        for run_id, new, log in importing.record(database, logs, given):
            short = shorten(database)[run_id]
            if new:
                for remark in log.remarks:
                    if remark not in said:
                        console.info(remark)
                said.update(log.remarks)
                run = f"{log.algo} {log.env} seed {log.seed}"
                console.info(f"imported {log.path} as {short}: {run}, {log.counts()}")
            else:
                console.info(f"{log.path} is on record already as {short}: --again imports it anew")
            console.write(run_id)
