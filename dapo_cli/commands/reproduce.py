"""Run a published experiment whole: its runs, tables, figures and report."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dapo_cli.errors import BadInput
from dapo_cli.options.shared import Db, Json, whole_number
from dapo_cli.terminal import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dapo_cli.sweeps.definition.protocols import Protocol


def _protocols(incomplete: str) -> list[str]:
    folder = Path(__file__).parent.parent / "protocols"
    return sorted(file.stem for file in folder.glob("*.toml") if file.stem.startswith(incomplete))


def reproduce(
    name: Annotated[
        str | None,
        typer.Argument(metavar="PROTOCOL", help="Such as dapo-paper (see --list).", autocompletion=_protocols),
    ] = None,
    budget: Annotated[
        str, typer.Option(metavar="BUDGET", help="quick (does it work?), day (of two cores) or full.")
    ] = "quick",
    listing: Annotated[bool, typer.Option("--list", help="What can be reproduced, and how large it is.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="For tables, figures and report [default: PROTOCOL-BUDGET].")
    ] = None,
    env: Annotated[str | None, typer.Option(metavar="ENV,…", help="Only these environments, or others.")] = None,
    seeds: Annotated[str | None, typer.Option(metavar="N|LIST", help="Other seeds.")] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", parser=whole_number, help="Other environment steps.")
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="[ALGO.]KEY=VALUE,…", help="Other settings. Repeatable.")
    ] = None,
    sweep: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Of the sweep [default: PROTOCOL-BUDGET].")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=1024, help="Runs side by side [default: one for each core].")
    ] = None,
    enqueue: Annotated[bool, typer.Option("--enqueue", help="Only fill the queue; dapo worker works it off.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the runs, their time and their space; write nothing.")
    ] = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Run a published experiment: its runs as a sweep, then its tables, figures and report in a folder.

    Stopped and typed again, it goes on where it was; finished and typed again, it makes the tables anew.
    """
    from dapo_cli.configuration.project_file import database_location
    from dapo_cli.sweeps.definition import plan as planning
    from dapo_cli.sweeps.definition import protocols
    from dapo_cli.sweeps.definition.sweep_file import typed_layer
    from dapo_cli.sweeps.work import foreground

    if listing:
        _list(as_json)
        return
    if name is None:
        raise BadInput("what is to be reproduced? dapo reproduce --list shows it; such as: dapo reproduce dapo-paper")
    typed = typed_layer(env=env, assignments=assignments or (), seeds=seeds, steps=steps, name=sweep)
    protocol = protocols.protocol(name, budget, typed)
    location = database_location(db)
    folder = out or Path(protocol.definition.name)
    if dry_run:
        plan = planning.make(location, protocol.definition)
        foreground.print_plan(plan, location, jobs or foreground.cores(), as_json)
        if not as_json:
            console.info(f"then, in {folder}: {', '.join(protocols.files(protocol.outputs))}")
        return
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file: name a folder with --out")
    plan, queued = planning.enqueue(location, protocol.definition)
    foreground.say_queued(plan, queued)
    if enqueue:
        console.info(
            f"then: dapo worker --sweep {quote(protocol.definition.name)}, and this command again for the tables"
        )
        return
    whole = foreground.work_off(location, plan, jobs or foreground.cores(), as_json)
    if not _show(protocol, folder, location) or not whole:
        raise typer.Exit(1)


def _list(as_json: bool) -> None:
    from dapo_cli.configuration.setting_files import summary
    from dapo_cli.sweeps.definition import grid, protocols
    from dapo_cli.terminal.formatting import steps_text

    records: list[dict[str, Any]] = []
    for name in protocols.names():
        sizes = {}
        for budget in protocols.BUDGETS:
            configs = grid.expand(protocols.protocol(name, budget).definition)
            sizes[budget] = {"runs": len(configs), "steps": sum(config.settings.steps for config in configs)}
        records.append({"protocol": name, "meaning": summary(protocols.text(name)), "budgets": sizes})
    if as_json:
        console.print_json(records)
        return
    rows = [
        [
            record["protocol"],
            *(f"{size['runs']} × {steps_text(size['steps'] // size['runs'])}" for size in record["budgets"].values()),
            record["meaning"],
        ]
        for record in records
    ]
    console.print_table(("protocol", *protocols.BUDGETS, "meaning"), rows, right=protocols.BUDGETS, whole=("protocol",))
    console.info("runs × environment steps of each; next: dapo reproduce PROTOCOL --budget quick --dry-run")


def _show(protocol: Protocol, folder: Path, location: str) -> bool:
    """Make the outputs, one after another; whether all could be made."""
    import contextlib
    import io
    import shlex

    from dapo_cli.app import app
    from dapo_cli.errors import DapoError
    from dapo_cli.files import write_files
    from dapo_cli.sweeps.definition import protocols
    from store.errors import StoreError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make the folder {folder}: {error.strerror}: name another with --out") from error
    command = typer.main.get_command(app)
    lines: list[Sequence[str]] = []
    sound = True
    for output in protocol.outputs:
        words = protocols.output_command(output, folder, protocol.definition.name, location)
        lines.append(words)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # the files are what counts
                command.main([*words, "--quiet"], prog_name="dapo", standalone_mode=False)
        except (DapoError, StoreError) as error:
            console.warning(f"{shlex.join(['dapo', *words])}: {error}")
            sound = False
    script = "".join(f"{shlex.join(['dapo', *words])}\n" for words in lines)
    write_files({folder / "commands.sh": script.encode("utf-8", "backslashreplace")})
    console.set_verbosity(0)
    console.info(f"in {folder}: {', '.join(file.name for file in sorted(folder.iterdir()) if file.is_file())}")
    return sound
