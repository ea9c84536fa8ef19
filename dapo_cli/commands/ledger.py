"""How many configurations of each algorithm were tried, and in how many runs."""

from __future__ import annotations

from dapo_cli.configuration.project_file import database_location
from dapo_cli.options.run_options import AnyRuns
from dapo_cli.options.shared import Db, Json
from dapo_cli.terminal import console


def ledger(
    *,
    chosen: AnyRuns,
    db: Db = None,
    json: Json = False,
) -> None:
    """How many configurations of each algorithm were tried, and in how many runs.

    Two runs have the same configuration if they differ in nothing but seed, budget, environment and what changes no
    result (evaluations, checkpoints, device, threads). Every run counts: tuning and reporting, completed or not. The
    last lines are the words for a paper's appendix.
    """
    from dapo_cli.analysis.accounts.ledger import entries
    from dapo_cli.analysis.selection.labels import key_text
    from dapo_cli.terminal import formatting
    from store.session import Database

    with Database.read(database_location(db)) as database:
        book = entries(database, chosen.choice())
    if json:
        console.print_json(
            [
                {
                    "algo": entry.algo,
                    **entry.total.record(),
                    "environments": [{"env": env, **tally.record()} for env, tally in entry.environments.items()],
                    "varied": [
                        {
                            "name": name,
                            "symbol": entry.symbols.get(name),
                            "values": [{"value": value, "runs": runs} for value, runs in values.items()],
                        }
                        for name, values in entry.varied.items()
                    ],
                    "words": entry.words(),
                }
                for entry in book
            ]
        )
    elif book:
        lines = []
        for entry in book:
            tallies = dict(entry.environments)
            if len(tallies) > 1:
                tallies["all"] = entry.total
            lines += [(entry.algo, env, tally) for env, tally in tallies.items()]
        console.print_table(
            ("algo", "env", "configs", "runs", "tuning", "reporting", "steps", "states"),
            [
                (
                    algo,
                    env,
                    str(tally.configurations),
                    str(tally.runs),
                    str(tally.tuning),
                    str(tally.runs - tally.tuning),
                    formatting.steps_text(tally.steps),
                    ", ".join(f"{count} {status}" for status, count in tally.states.items()),
                )
                for algo, env, tally in lines
            ],
            right=("configs", "runs", "tuning", "reporting", "steps"),
            keys=("algo", "env"),
            droppable=("steps",),
        )
        varied = [
            (
                entry.algo,
                name,
                entry.symbols.get(name, ""),
                "  ".join(f"{key_text(v)} ({n})" for v, n in values.items()),
            )
            for entry in book
            for name, values in entry.varied.items()
        ]
        if varied:
            console.print_heading("Varied: value (runs)")
            console.print_table(("algo", "hyperparameter", "symbol", "values"), varied, keys=("algo", "hyperparameter"))
        console.print_heading("In words")
        for entry in book:
            console.write(console.visible(entry.words()))
    if not book:
        console.info("no runs yet: train one with dapo train" if chosen == AnyRuns() else "no run matches")
